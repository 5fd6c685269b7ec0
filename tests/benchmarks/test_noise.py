import numpy as np
import pytest
from drawers import Pictures, always_the_same, data_itself

from benchmarks.quality.noise import open_colours, seed_agreement, seed_spread_ratio
from tfx_pipeline.datasets.shapes import Scene, random_scenes


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene for scene, _ in random_scenes(8, seed=3, shares={"single": 1})]


def static(captions: list[str], seeds: list[int]) -> Pictures:
    """A model that knows nothing: noise by the seed."""
    return np.stack([np.random.default_rng(seed).integers(0, 256, (32, 32, 3)) for seed in seeds]).astype(np.uint8)


@pytest.mark.parametrize("size", [32, 64])
def test_the_data_spread_as_the_data(scenes: list[Scene], size: int) -> None:
    assert seed_spread_ratio(data_itself(scenes, size), scenes) == pytest.approx(1, abs=0.1)


def test_half_the_jitter_is_half_the_spread(scenes: list[Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfx_pipeline.datasets.shapes.JITTER", 0.0075)
    assert seed_spread_ratio(data_itself(scenes, 64), scenes) == pytest.approx(0.5, abs=0.06)


def test_what_ignores_its_seed_does_not_spread(scenes: list[Scene]) -> None:
    draw = always_the_same(scenes, 32)
    assert seed_spread_ratio(draw, scenes) < 1e-3
    assert seed_agreement(draw, scenes) == 1
    assert open_colours(draw, scenes) == 1


def test_an_open_colour_takes_all_eight(scenes: list[Scene]) -> None:
    assert open_colours(data_itself(scenes, 32), scenes) > 7.5


def test_the_data_agree_on_what_is_named(scenes: list[Scene]) -> None:
    assert seed_agreement(data_itself(scenes, 32), scenes) > 0.99


def test_nothing_is_measured_of_drawings_that_show_nothing(scenes: list[Scene]) -> None:
    assert seed_spread_ratio(static, scenes) == 0
    assert open_colours(static, scenes) == 0
    assert seed_agreement(static, scenes) == 0
