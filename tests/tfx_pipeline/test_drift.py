from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from PIL import Image

from tfx_pipeline.ingesting.drift import (
    NAMES,
    NUMBERS,
    QUANTILES,
    Limits,
    distances,
    divergence,
    numbers,
    share_difference,
    sheet,
)
from tfx_pipeline.ingesting.drift_page import SAMPLES, Distance, drift_page

ALLOWED = Limits(most_drift=0.2, most_skew=0.3, on_drift="stop")


def statistics(folder: Path, *, darker: float = 0.0, word: str = "circle", eval_darker: float = 0.0) -> Path:
    """Statistics of 400 pictures, and of 400 others kept from training."""
    for split, shift in (("train", darker), ("eval", eval_darker)):
        random = np.random.default_rng(len(split))
        columns: dict[str, object] = {name: random.normal(100, 10, 400) for name in NUMBERS}
        columns["brightness"] = random.normal(100 - shift, 10, 400)
        columns |= {"language": ["en", "zh"] * 200, "words": ["a", word] * 200}
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}/FeatureStats.pb").write_bytes(measured(columns).SerializeToString())
    Image.new("RGB", (8, 8), "red").save(folder / SAMPLES)
    return folder


def measured(columns: dict[str, Any]) -> Any:
    """Statistics as a run makes them."""
    options = tfdv.StatsOptions(num_quantiles_histogram_buckets=QUANTILES)
    return tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns), options, n_jobs=1)


def apart(first: list[float], second: list[float]) -> float:
    """The divergence of two samples, by way of their statistics."""
    return divergence(*(numbers(measured({"width": values}), "width") for values in (first, second)))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("statistics")
    return {
        "usual": statistics(place / "usual"),
        "dark": statistics(place / "dark", darker=60, eval_darker=60),
        "new word": statistics(place / "word", word="square"),
        "dark kept": statistics(place / "kept", eval_darker=60),
    }


def found(now: Path, before: Path | None) -> dict[tuple[str, str], Distance]:
    return {(distance.kind, distance.feature): distance for distance in distances(now, before, ALLOWED)}


def too_far(now: Path, before: Path | None) -> set[tuple[str, str]]:
    return {key for key, distance in found(now, before).items() if distance.too_far}


def test_every_feature_is_compared_twice(places: dict[str, Path]) -> None:
    told = found(places["usual"], places["usual"])
    assert set(told) == {(kind, name) for kind in ("drift", "skew") for name in (*NUMBERS, *NAMES)}
    assert all(distance.value < 0.1 for distance in told.values())


@pytest.mark.parametrize(
    ("first", "second", "least", "most"),
    [
        ([32.0] * 108, [32.0] * 12, 0, 0),
        ([32.0] * 108, [32.0] * 11 + [33.0], 0, 0.05),
        ([32.0] * 107 + [33.0], [32.0] * 12, 0, 0),
        ([32.0] * 120, [32.0] * 119 + [4000.0], 0, 0.01),
        ([32.0] * 120, [32.0] * 60 + [33.0] * 60, 0.28, 0.32),
        ([32.0] * 120, [33.0] * 120, 0.98, 1),
        ([32.0] * 120, [33.0] * 9, 0, 0),
        ([32.0] * 120, [], 0, 0),
        (list(range(200)), list(range(200, 400)), 0.9, 1),
        (list(range(200)), list(range(0, 400, 2)), 0.22, 0.32),
    ],
)
def test_the_divergence_weighs_how_many_numbers_differ(
    first: list[float], second: list[float], least: float, most: float
) -> None:
    assert least <= apart(first, second) <= most
    assert apart(second, first) == pytest.approx(apart(first, second))


def test_small_samples_of_the_same_are_seldom_apart() -> None:
    random = np.random.default_rng(0)
    found = [apart(random.normal(size=108).tolist(), random.normal(size=12).tolist()) for _ in range(50)]
    assert np.mean(found) < 0.05
    assert np.mean(np.array(found) > ALLOWED.most_skew) <= 0.02


@pytest.mark.parametrize(
    ("first", "second", "least", "most"),
    [
        ({"en": 100}, {"en": 12}, 0, 0),
        ({"en": 60, "zh": 60}, {"en": 9, "zh": 3}, 0, 0.15),
        ({"en": 6000, "zh": 6000}, {"en": 900, "zh": 300}, 0.2, 0.25),
        ({"en": 120}, {"zh": 120}, 0.9, 1),
        ({"en": 120}, {"zh": 9}, 0, 0),
        ({"en": 120}, {}, 0, 0),
    ],
)
def test_a_difference_of_shares_is_less_what_chance_makes(
    first: dict[str, float], second: dict[str, float], least: float, most: float
) -> None:
    assert least <= share_difference(first, second) <= most


def test_the_first_data_cannot_have_drifted(places: dict[str, Path]) -> None:
    assert {kind for kind, _ in found(places["dark"], None)} == {"skew"}
    assert too_far(places["dark"], None) == set()


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("usual", set()),
        ("dark", {("drift", "brightness")}),
        ("new word", {("drift", "words"), ("skew", "words")} - {("skew", "words")}),
        ("dark kept", {("skew", "brightness")}),
    ],
)
def test_what_has_changed_is_too_far(places: dict[str, Path], now: str, expected: set[tuple[str, str]]) -> None:
    assert too_far(places[now], places["usual"]) == expected


def test_a_distance_is_told_with_both_numbers() -> None:
    assert str(Distance("brightness", "drift", 0.41, 0.2)) == "drift of brightness 0.410 > 0.200"


def test_the_page_shows_pictures_and_what_is_too_far(places: dict[str, Path]) -> None:
    told = list(found(places["dark"], places["usual"]).values())
    page = drift_page(told, places["usual"], places["dark"])
    assert page.count("data:image/png;base64,") == 2
    assert "Too far: drift of brightness" in page
    assert page.count("<tr class=far>") == 1
    assert page.count("<svg") == 2 * len(told)


def test_the_page_says_when_all_is_well(places: dict[str, Path]) -> None:
    told = list(found(places["usual"], places["usual"]).values())
    assert "Nothing exceeds the limits in the settings." in drift_page(told, places["usual"], places["usual"])


def test_a_sheet_is_full_after_32_pictures() -> None:
    drawn = sheet(Image.new("RGB", (30, 60), "red") for _ in range(32))
    assert drawn.size == (384, 192)
    assert drawn.getcolors() == [(384 * 192, (255, 0, 0))]
