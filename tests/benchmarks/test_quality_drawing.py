from pathlib import Path

import numpy as np
import pytest
from drawers import always_the_same

from benchmarks.quality import captions, drawing
from benchmarks.quality.drawing import (
    means,
    measure_prompts,
    measure_scenes,
    measure_singles,
    obeyed,
    sample_scenes,
)
from benchmarks.quality.effort import Effort, Settings
from tfx_pipeline.datasets.shapes import write_shapes

TINY = {
    "language": {"token_size": 8, "width": 16, "slot_size": 8, "steps": 2, "batch_size": 8},
    "drawing": {"style_size": 16, "width": 8, "depth": 1, "warmup_steps": 2, "adversarial_steps": 0, "batch_size": 8},
    "restoration": {"widths": (8, 8), "depth": 1, "steps": 2, "batch_size": 8},
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a few steps on a few pictures."""
    for name, value in {"PICTURES": 40, "ROWS": 30, "NOISE_ROWS": 1}.items():
        monkeypatch.setattr(drawing, name, value)
    for module, name in ((drawing, "SINGLES"), (drawing, "SCENES"), (drawing, "PROMPTS"), (captions, "EMOJI")):
        settings: Settings = getattr(module, name)
        monkeypatch.setattr(module, name, settings._replace(cpu={**settings.cpu, **TINY}))


def test_means_are_over_trainings_and_minutes_are_the_most() -> None:
    rows = [{"psnr": 1.0, "training_minutes": 2.0}, {"psnr": 3.0, "training_minutes": 1.0}]
    assert means(rows) == {"psnr": 2.0, "training_minutes": 2.0}


@pytest.mark.parametrize("kind", ["single", "pair"])
def test_the_real_renderer_obeys(kind: str) -> None:
    asked = sample_scenes(20, size=32, seed=0, shares={kind: 1.0}, withheld=True, canonical=True)
    draw = always_the_same(asked.scenes, 32)
    assert obeyed(draw, asked) == 1
    assert obeyed(lambda captions, seeds: np.roll(draw(captions, seeds), 1, axis=0), asked) < 0.2


def test_a_part_keeps_scenes_pictures_and_captions_together() -> None:
    data = sample_scenes(6, size=32, seed=0, shares={"single": 1.0}, withheld=False)
    part = data.part([False, True, False, False, True, False])
    assert part.scenes == [data.scenes[1], data.scenes[4]]
    assert part.captions == [data.captions[1], data.captions[4]]
    np.testing.assert_array_equal(part.pictures, data.pictures[[1, 4]])


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_singles_are_measured() -> None:
    figures = measure_singles(Effort(10), trainings=1)
    assert set(figures) == {
        "shapes_all_five",
        "shapes_psnr",
        "shapes_ssim",
        "seed_spread_ratio",
        "open_colours",
        "seed_agreement",
        "refine_psnr_gain",
        "refine_ssim_gain",
        "training_minutes",
    }
    assert 0 <= figures["shapes_all_five"] < 0.5 and 3 < figures["shapes_psnr"] < 30
    assert np.isfinite(list(figures.values())).all() and figures["training_minutes"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_scenes_and_prompts_are_measured() -> None:
    scenes = measure_scenes(Effort(10))
    assert 0 <= scenes["scenes_all_right"] < 0.5 and scenes["training_minutes"] > 0
    prompts = measure_prompts(Effort(10))
    assert 0 <= prompts["prompt_attributes_kept"] < 0.5 and prompts["training_minutes"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_emoji_are_measured(tmp_path: Path) -> None:
    write_shapes(tmp_path / "emoji", count=40, size=32, seed=0)
    figures = captions.measure_emoji(tmp_path / "emoji", Effort(10))
    assert set(figures) == {"emoji_psnr", "emoji_r1", "training_minutes"}
    assert 3 < figures["emoji_psnr"] < 40 and 0 <= figures["emoji_r1"] <= 1
