import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.metrics import MAX_PSNR, psnr, ssim

Pixels = NDArray[np.uint8]


def noise(seed: int, count: int = 3) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 20, 3), dtype=np.uint8)


def constant(level: int) -> Pixels:
    return np.full((1, 16, 16, 3), level, np.uint8)


@pytest.fixture
def pairs() -> tuple[Pixels, Pixels]:
    """Pictures beside others that resemble them more and less."""
    pictures = np.kron(noise(1)[:, ::4, ::4], np.ones((1, 4, 4, 1), np.uint8))
    spread = np.array([4, 20, 80])[:, None, None, None]
    changed = pictures + spread * np.random.default_rng(2).normal(size=pictures.shape)
    return pictures, np.clip(changed, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("offset", [1, 10, 128, 255])
def test_psnr_of_a_constant_offset(offset: int) -> None:
    expected = 20 * np.log10(255 / offset)
    np.testing.assert_allclose(psnr(constant(0), constant(offset)), [expected], atol=1e-4)


def test_psnr_of_one_wrong_pixel() -> None:
    changed = constant(100)
    changed[0, 3, 4, 1] = 200
    expected = 10 * np.log10(255**2 / (100**2 / changed.size))
    np.testing.assert_allclose(psnr(constant(100), changed), [expected], atol=1e-4)


def test_equal_pictures_score_highest() -> None:
    assert psnr(noise(0), noise(0)).tolist() == [MAX_PSNR] * 3 == [100.0] * 3
    np.testing.assert_allclose(ssim(noise(0), noise(0)), 1, atol=1e-6)


@pytest.mark.parametrize(("first", "second"), [(0, 255), (100, 110), (0, 1), (60, 200), (255, 255)])
def test_ssim_of_constant_pictures(first: int, second: int) -> None:
    c1 = (0.01 * 255) ** 2
    expected = (2 * first * second + c1) / (first**2 + second**2 + c1)
    np.testing.assert_allclose(ssim(constant(first), constant(second)), [expected], atol=4e-4)


def test_ssim_of_a_negative_is_low() -> None:
    assert (ssim(noise(0), 255 - noise(0)) < -0.5).all()


def test_agrees_with_tensorflow(pairs: tuple[Pixels, Pixels]) -> None:
    first, second = (tf.constant(x) for x in pairs)
    np.testing.assert_allclose(ssim(*pairs), tf.image.ssim(first, second, 255).numpy(), atol=1e-4)
    np.testing.assert_allclose(psnr(*pairs), tf.image.psnr(first, second, 255).numpy(), atol=1e-3)


def test_is_symmetric_and_falls_with_the_damage(pairs: tuple[Pixels, Pixels]) -> None:
    for metric in (psnr, ssim):
        np.testing.assert_allclose(metric(*pairs), metric(*pairs[::-1]), rtol=1e-5)
        assert (np.diff(metric(*pairs)) < 0).all()


def test_one_number_for_each_picture(pairs: tuple[Pixels, Pixels]) -> None:
    for metric in (psnr, ssim):
        together = metric(*pairs)
        assert together.shape == (3,) and together.dtype == np.float32
        alone = [metric(*(x[i : i + 1] for x in pairs))[0] for i in range(3)]
        np.testing.assert_allclose(together, alone, rtol=1e-5)
