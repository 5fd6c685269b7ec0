from collections.abc import Callable, Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from storytellers import DataItself

from benchmarks.quality import storybook
from benchmarks.quality.drawing import drawing
from benchmarks.quality.rows import ROWS
from benchmarks.quality.storybook import (
    ASKED,
    Counts,
    Read,
    complete,
    measure,
    measure_judge,
    milliseconds,
    nouns_drawn,
    obeyed,
    openness,
    withheld_scenes,
)
from benchmarks.quality.storybook_canonical import canonical_scenes, edge_energy, likeness
from benchmarks.quality.storybook_judge import readers
from benchmarks.quality.storybook_matching import resampled
from benchmarks.speed.rounds import Timing, UnsteadyError
from models.pretrained import load_pretrained
from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import is_withheld, is_withheld_pair
from tfx_pipeline.datasets.storybook.things import THINGS

DRAW = drawing(DataItself())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    with readers(1) as reading:
        yield reading


def test_scenes_are_withheld_for_what_is_asked_of_them() -> None:
    assert all(
        is_withheld(scene.story.roles[0].noun, scene.story.place) for scene in withheld_scenes("single", 20, seed=0)
    )
    assert all(
        any(is_withheld_pair(*pair) for pair in scene.story.pairs) for scene in withheld_scenes("pair", 20, seed=0)
    )


def test_captions_are_english_and_chinese_by_turns() -> None:
    texts = complete(withheld_scenes("single", 10, seed=0), seed=0)
    assert [text.isascii() for text in texts] == [True, False] * 5


@pytest.mark.parametrize("kind", ASKED)
def test_the_data_set_draws_what_is_asked(kind: str, read: Read) -> None:
    assert obeyed(DRAW, read, withheld_scenes(kind, 2, seed=0), seed=0) == 1


def test_drawings_of_other_captions_are_wrong(read: Read) -> None:
    scenes = withheld_scenes("single", 4, seed=0)
    assert obeyed(lambda texts, seeds: np.roll(DRAW(texts, seeds), 1, axis=0), read, scenes, seed=0) == 0


def test_seeds_vary_drawings_as_the_data_vary(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storybook, "THINGS", {noun: THINGS[noun] for noun in ("car", "whale")})
    counts = Counts(nouns=1, seeds=30, few_seeds=6)
    figures = openness(DRAW, read, seed=0, counts=counts)
    assert 0.8 < figures["spread"] < 1.25 and figures["open_colours"] >= 7 and figures["variants"] == 1
    same = openness(lambda texts, seeds: DRAW(texts, [0] * len(seeds)), read, seed=0, counts=counts)
    assert same == {"spread": pytest.approx(0, abs=1e-6), "open_colours": 1, "variants": 0.5}


def said_to_be_first(scene: Scene) -> bool:
    """Whether the canonical picture shows the variant that a scene's caption names."""
    (figure,) = scene.figures
    return figure.variant == THINGS[figure.noun].variants[0]


def test_canonical_drawings_are_perfect_and_soft_ones_lack_edges() -> None:
    class Soft(DataItself):
        def draw_likeliest(self, captions: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
            small = super().draw_likeliest(captions, tf.constant(1))
            return tf.image.resize(small, [64 * int(scale)] * 2)

    scenes = [scene for scene in withheld_scenes("single", 9, seed=1) if said_to_be_first(scene)]
    texts = complete(scenes, seed=1)
    exact = likeness(DataItself(), texts, scenes, sharp=2)  # type: ignore[arg-type]
    assert exact["psnr"] > 45 and exact["ssim"] > 0.99 and exact["sharpness"] == pytest.approx(1, abs=1e-3)
    soft = likeness(Soft(), texts, scenes, sharp=2)  # type: ignore[arg-type]
    assert soft["psnr"] == exact["psnr"] and soft["sharpness"] < 0.7


def test_canonical_scenes_differ_in_what_a_complete_caption_leaves_open() -> None:
    for scene in withheld_scenes("single", 5, seed=2):
        found = canonical_scenes(scene)
        assert {each.story for each in found} == {scene.story}
        assert {each.mirrored for each in found} == {True, False} and len({each.backdrop for each in found}) > 1
        variants = {each.figures[0].variant for each in found}
        words = THINGS[scene.figures[0].noun].words
        assert variants == ({scene.figures[0].variant} if scene.figures[0].variant in words else variants - {*words})


def test_energy_counts_near_real_edges_alone() -> None:
    real = np.full((64, 64, 3), 50, np.uint8)
    real[:, 20:] = 200
    soft = real.copy()
    soft[:, 19], soft[:, 20] = 100, 150
    noisy = soft.copy()
    noisy[:, 30:] = np.random.default_rng(0).integers(256, size=noisy[:, 30:].shape)
    assert edge_energy(real, real) == 1 and edge_energy(np.full_like(real, 128), real) == 0
    assert edge_energy(soft, real) == edge_energy(noisy, real) == pytest.approx(1 / 3, abs=0.01)
    assert edge_energy(np.roll(real, 5, axis=1), real) == 0


def test_pictures_are_averaged_to_another_size() -> None:
    picture = np.random.default_rng(0).integers(256, size=(1, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resampled(picture.repeat(4, axis=1).repeat(4, axis=2)), picture)
    np.testing.assert_array_equal(resampled(picture), picture)
    half = np.array(Image.fromarray(picture[0]).resize((32, 32), Image.Resampling.BOX))[None]
    np.testing.assert_array_equal(resampled(half), half.repeat(2, axis=1).repeat(2, axis=2))


def test_a_free_prompt_is_drawn_where_its_noun_is_seen(read: Read) -> None:
    caption = "a cat in a meadow on a sunny day"
    always_a_cat = SimpleNamespace(generate=lambda prompts, seed: DRAW([caption] * len(prompts), list(seed)))
    asked = [("where is my cat", "cat"), ("now a dog", "dog")]
    assert nouns_drawn(always_a_cat, read, asked, seed=0) == 0.5  # type: ignore[arg-type]


def test_the_judge_is_measured() -> None:
    figures = measure_judge(2, seed=0)
    assert {*ROWS["storybook_judge"].keys} - {*figures} <= {f"storybook_judge_{name}" for name in ("relation", "count")}
    assert all(value == 1 for name, value in figures.items() if not name.endswith("_seconds"))


@pytest.mark.slow
def test_times_that_do_not_agree_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsteady(calls: dict[str, Callable[[], Any]]) -> dict[str, Timing]:
        raise UnsteadyError("a busy machine", {"64_ms": Timing(20.0, 0.1)})

    monkeypatch.setattr(storybook, "in_turn", unsteady)
    assert milliseconds(load_pretrained()) == {"64_ms": 5.0}


@pytest.mark.slow
def test_a_row_of_the_pretrained_weights_has_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storybook, "THINGS", {"cat": THINGS["cat"]})
    monkeypatch.setattr(
        storybook, "in_turn", lambda calls: {name: Timing(call() or 4.0, 0.0) for name, call in calls.items()}
    )
    figures = measure(seed=0, counts=Counts(*[1] * len(fields(Counts))))
    assert {*figures} == {*ROWS["storybook"].keys}
    assert np.isfinite([*figures.values()]).all()
