from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from storytellers import DataItself

from benchmarks.quality import storybook
from benchmarks.quality.drawing import drawing
from benchmarks.quality.rows import KEYS
from benchmarks.quality.storybook import (
    ASKED,
    Read,
    canonical_scenes,
    complete,
    edge_energy,
    fitted,
    likeness,
    measure,
    obeyed,
    obliging,
    openness,
    sharpness,
    withheld_scenes,
)
from benchmarks.quality.storybook_judge import readers
from benchmarks.speed.rounds import Timing
from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import is_withheld, is_withheld_pair
from tfx_pipeline.datasets.storybook.things import THINGS, Drawing

DRAW = drawing(DataItself())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    with readers(1) as reading:
        yield reading


def test_scenes_are_withheld_for_what_their_row_asks() -> None:
    assert all(
        is_withheld(scene.story.roles[0].noun, scene.story.place) for scene in withheld_scenes("single", 20, seed=0)
    )
    assert all(
        any(is_withheld_pair(*pair) for pair in scene.story.pairs) for scene in withheld_scenes("pair", 20, seed=0)
    )


def test_half_of_the_captions_are_english() -> None:
    texts = complete(withheld_scenes("single", 10, seed=0), seed=0)
    assert [text.isascii() for text in texts] == [True, False] * 5


@pytest.mark.parametrize("kind", ASKED)
def test_the_data_itself_obeys(kind: str, read: Read) -> None:
    assert obeyed(DRAW, read, withheld_scenes(kind, 3, seed=0), seed=0) == 1


def test_what_is_drawn_for_others_does_not_obey(read: Read) -> None:
    scenes = withheld_scenes("single", 4, seed=0)
    assert obeyed(lambda texts, seeds: np.roll(DRAW(texts, seeds), 1, axis=0), read, scenes, seed=0) == 0


def test_the_data_itself_varies_and_the_same_picture_again_and_again_does_not(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storybook, "THINGS", {noun: THINGS[noun] for noun in ("car", "whale")})
    monkeypatch.setattr(storybook, "COLOURED", 1)
    monkeypatch.setattr(storybook, "SEEDS", 30)
    monkeypatch.setattr(storybook, "FEW_SEEDS", 6)
    figures = openness(DRAW, read, seed=0)
    assert 0.8 < figures["spread"] < 1.25 and figures["open_colours"] >= 7 and figures["variants"] == 1
    same = openness(lambda texts, seeds: DRAW(texts, [0] * len(seeds)), read, seed=0)
    assert same == {"spread": pytest.approx(0, abs=1e-6), "open_colours": 1, "variants": 0.5}


def first_drawing(scene: Scene) -> Drawing:
    """That of the canonical picture."""
    return next(iter(THINGS[scene.figures[0].noun].drawings.values()))


def test_canonical_pictures_are_like_themselves() -> None:
    scenes = [each for each in withheld_scenes("single", 9, seed=1) if each.figures[0].drawing is first_drawing(each)]
    figures = likeness(DataItself(), scenes)  # type: ignore[arg-type]
    assert figures["psnr"] > 45 and figures["ssim"] > 0.99


def test_canonical_scenes_differ_in_what_a_complete_caption_leaves_open() -> None:
    scene = next(scene for scene in withheld_scenes("single", 50, seed=2) if scene.figures[0].noun in THINGS)
    found = canonical_scenes(scene)
    assert {each.story for each in found} == {scene.story}
    assert {each.mirrored for each in found} == {True, False} and len({each.backdrop for each in found}) > 1
    words = THINGS[scene.figures[0].noun].words
    assert scene.figures[0].variant not in words or {each.figures[0].variant for each in found} == {
        scene.figures[0].variant
    }


def test_real_edges_are_as_sharp_as_real_and_soft_ones_are_not(read: Read) -> None:
    class Soft(DataItself):
        def generate(self, captions: Any, *, seed: Any, scale: int = 1) -> Any:
            small = super().generate(captions, seed=seed)
            return np.stack([np.asarray(Image.fromarray(each).resize([64 * scale] * 2)) for each in small])

    scenes = withheld_scenes("single", 3, seed=0)
    assert sharpness(DataItself(), read, scenes, seed=0) == pytest.approx(1, abs=0.12)  # type: ignore[arg-type]
    assert sharpness(Soft(), read, scenes, seed=0) < 0.7  # type: ignore[arg-type]


def test_what_is_not_near_an_edge_is_no_sharpness() -> None:
    real = np.full((64, 64, 3), 50, np.uint8)
    real[:, 20:] = 200
    soft = real.copy()
    soft[:, 19], soft[:, 20] = 100, 150
    noisy = soft.copy()
    noisy[:, 30:] = np.random.default_rng(0).integers(256, size=noisy[:, 30:].shape)
    assert edge_energy(real, real) == 1 and edge_energy(np.full_like(real, 128), real) == 0
    assert edge_energy(soft, real) == edge_energy(noisy, real) == pytest.approx(1 / 3, abs=0.01)


def test_pictures_of_all_sizes_are_fitted_to_the_judge() -> None:
    picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(1, 64, 64, 3)
    fine = picture.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_array_equal(fitted(fine), picture)
    np.testing.assert_array_equal(fitted(picture), picture)
    np.testing.assert_array_equal(fitted(picture[:, ::2, ::2])[:, ::2, ::2], picture[:, ::2, ::2])


def test_free_prompts_ask_for_a_noun(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "prompts.tsv"
    file.write_text("where is my cat\tcat\nnow a dog\tdog\n", encoding="utf-8")
    monkeypatch.setattr(storybook, "FREE_PROMPTS", file)
    caption = "a cat in a meadow on a sunny day"
    always_a_cat = SimpleNamespace(generate=lambda prompts, seed: DataItself().generate([caption] * 2, seed=seed))
    assert obliging(always_a_cat, read, seed=0) == 0.5  # type: ignore[arg-type]


def test_the_weights_that_come_along_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prompts.tsv").write_text("where is my cat\tcat\n", encoding="utf-8")
    changes = {
        "COUNTS": dict.fromkeys(ASKED, 1),
        "LIKELIEST": 1,
        "SHARP": 1,
        "THINGS": {"cat": THINGS["cat"]},
        "COLOURED": 1,
        "SEEDS": 1,
        "FREE_PROMPTS": tmp_path / "prompts.tsv",
        "in_turn": lambda sides: {side: Timing(run() or 1.0, 0.0) for side, run in sides.items()},
        "prompts_kept": lambda model, *, seed: float(len(model.generate(["a cat"], seed=[seed]))),
    }
    for name, value in changes.items():
        monkeypatch.setattr(storybook, name, value)
    figures = measure(seed=0)
    assert {*figures} - {"training_minutes"} == {key for key in KEYS if key.startswith("storybook_")}
    assert np.isfinite([*figures.values()]).all()
