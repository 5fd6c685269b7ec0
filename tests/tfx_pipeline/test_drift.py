from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from PIL import Image

from tfx_pipeline.ingesting.drift import NAMES, NUMBERS, Limits, distances, sheet
from tfx_pipeline.ingesting.drift_page import SAMPLES, Distance, drift_page

ALLOWED = Limits(most_drift=0.2, most_skew=0.3, on_drift="stop")


def statistics(folder: Path, *, darker: float = 0.0, word: str = "circle", eval_darker: float = 0.0) -> Path:
    """Statistics of 400 pictures, and of 400 others kept from training."""
    for split, shift in (("train", darker), ("eval", eval_darker)):
        random = np.random.default_rng(len(split))
        columns: dict[str, object] = {name: random.normal(100, 10, 400) for name in NUMBERS}
        columns["brightness"] = random.normal(100 - shift, 10, 400)
        columns |= {"language": ["en", "zh"] * 200, "words": ["a", word] * 200}
        made = tfdv.generate_statistics_from_dataframe(pd.DataFrame(columns), n_jobs=1)
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}/FeatureStats.pb").write_bytes(made.SerializeToString())
    Image.new("RGB", (8, 8), "red").save(folder / SAMPLES)
    return folder


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
    schema = tfdv.infer_schema(tfdv.load_stats_binary(str(now / "Split-train/FeatureStats.pb")))
    return {(distance.kind, distance.feature): distance for distance in distances(now, before, schema, ALLOWED)}


def too_far(now: Path, before: Path | None) -> set[tuple[str, str]]:
    return {key for key, distance in found(now, before).items() if distance.too_far}


def test_every_feature_is_compared_twice(places: dict[str, Path]) -> None:
    told = found(places["usual"], places["usual"])
    assert set(told) == {(kind, name) for kind in ("drift", "skew") for name in (*NUMBERS, *NAMES)}
    assert all(distance.value < 0.1 for distance in told.values())


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
    assert "Nothing is further than the settings allow." in drift_page(told, places["usual"], places["usual"])


def test_a_sheet_is_full_after_32_pictures() -> None:
    drawn = sheet(Image.new("RGB", (30, 60), "red") for _ in range(32))
    assert drawn.size == (384, 192)
    assert drawn.getcolors() == [(384 * 192, (255, 0, 0))]
