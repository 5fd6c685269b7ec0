import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from easel.restoring import Levels, about_noise
from models.restorer_network import LEAST_SIGMA
from models.restorer_network import noise_sigma as of_the_network
from serving import noise
from serving.noise import CLEAN, noise_sigma


def noisy(height: int, width: int, sigma: float) -> NDArray[np.uint8]:
    slope = np.linspace(60, 180, width)[None, :, None]
    texture = np.random.default_rng(0).normal(0, sigma, (height, width, 3))
    return np.clip(np.rint(slope + texture), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 64), (37, 50), (90, 131)])
@pytest.mark.parametrize("holes", [False, True])
def test_it_is_the_estimate_of_the_restorer(height: int, width: int, holes: bool) -> None:
    picture, mask = noisy(height, width, 12.0), np.zeros((height, width), bool)
    mask[height // 2 :, : width // 3] = holes
    tensor = tf.constant(picture[None] / np.float32(127.5) - 1)
    expected = of_the_network(tensor, tf.constant(mask[None, :, :, None], tf.float32))
    assert noise_sigma(picture, mask) == pytest.approx(float(expected[0]), rel=1e-3)
    if not holes:
        assert noise_sigma(picture) == pytest.approx(float(expected[0]), rel=1e-3)


def test_noise_that_the_restorer_leaves_is_not_said_to_be_reduced() -> None:
    assert CLEAN == LEAST_SIGMA
    assert about_noise(Levels(0.0, 255, estimated=True)) == "found no noise"
    left = "left noise (standard deviation 0.3 of 255 grey levels), which is too weak to see"
    assert about_noise(Levels(0.3, 255, estimated=False)) == left
    assert (
        about_noise(Levels(0.6, 255, estimated=True))
        == "reduced noise (standard deviation 0.6 of 255 grey levels, estimated)"
    )
    assert (
        about_noise(Levels(0.3, 65535, estimated=False))
        == "reduced noise (standard deviation 0.3 of 65,535 grey levels)"
    )
    assert about_noise(Levels(None, 255, estimated=True)) == "reduced noise as the model estimated it"


@pytest.mark.parametrize("sigma", [0.0, 5.0, 25.0])
def test_it_is_near_the_truth(sigma: float) -> None:
    assert noise_sigma(noisy(256, 256, sigma)) == pytest.approx(sigma, abs=1.5)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, mask = noisy(301, 77, 12.0), np.zeros((301, 77), bool)
    mask[50:120, 20:60] = True
    whole = noise_sigma(picture, mask)
    monkeypatch.setattr(noise, "STRIP", 2 * noise.BLOCK)
    assert noise_sigma(picture, mask) == pytest.approx(whole, rel=1e-6)


def test_levels_are_the_picture_s_own() -> None:
    picture = noisy(64, 64, 12.0)
    assert noise_sigma(picture.astype(np.uint16) * 257) == pytest.approx(257 * noise_sigma(picture), rel=1e-5)


def test_nothing_but_holes_has_no_noise() -> None:
    assert noise_sigma(noisy(16, 16, 12.0), np.ones((16, 16), bool)) == 0
