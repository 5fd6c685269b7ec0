import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tiny_models import pictures

from models.damage import HOLE_SIDES, MAX_SIGMA, Damaged, blur, damage
from models.pictures import to_float
from models.restorer import noise_sigma

COUNT = 600


def seeds(*values: int) -> tf.Tensor:
    return tf.constant(values, tf.int64)


@pytest.fixture(scope="module")
def many() -> Damaged:
    """One sharp picture, damaged by many seeds."""
    columns = np.where(np.arange(20) % 4 < 2, -0.4, 0.4).astype(np.float32)
    return damage(
        tf.constant(np.tile(columns[None, None, :, None], (COUNT, 20, 1, 3))), tf.range(COUNT, dtype=tf.int64)
    )


def test_shapes_and_ranges(many: Damaged) -> None:
    assert (many.pictures.shape, many.masks.shape, many.sigmas.shape) == ((COUNT, 20, 20, 3), (COUNT, 20, 20, 1), COUNT)
    assert {part.dtype for part in many} == {tf.float32}
    assert abs(many.pictures.numpy()).max() <= 1
    assert set(np.unique(many.masks)) == {0.0, 1.0}


def test_the_same_seed_damages_in_the_same_way() -> None:
    clean = to_float(pictures(4))
    batch = damage(clean, seeds(5, 6, 7, 5))
    for whole, alone in zip(batch, damage(clean[1:2], seeds(6)), strict=True):
        np.testing.assert_array_equal(whole[1], alone[0])
    assert batch.sigmas[0] == batch.sigmas[3] != batch.sigmas[1]
    np.testing.assert_array_equal(batch.masks[0], batch.masks[3])


def test_the_picture_is_0_exactly_where_the_mask_is_1(many: Damaged) -> None:
    black = (many.pictures.numpy() == 0).all(axis=-1, keepdims=True)
    np.testing.assert_array_equal(black, many.masks.numpy() == 1)


def test_a_hole_is_a_rectangle_of_the_documented_size(many: Damaged) -> None:
    for mask in many.masks.numpy()[..., 0]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, np.outer(rows, columns))
        if mask.any():
            assert all(HOLE_SIDES[0] * 20 - 1 <= side.sum() <= HOLE_SIDES[1] * 20 + 1 for side in (rows, columns))
            assert all(np.ptp(np.flatnonzero(side)) == side.sum() - 1 for side in (rows, columns))


def test_holes_reach_every_row_and_column(many: Damaged) -> None:
    holes = many.masks.numpy()[..., 0]
    assert holes.any(axis=(0, 1)).all() and holes.any(axis=(0, 2)).all()


def test_half_of_the_pictures_get_a_hole(many: Damaged) -> None:
    assert abs(many.masks.numpy().any(axis=(1, 2, 3)).mean() - 1 / 2) < 0.08


def test_noise_levels_fill_their_range(many: Damaged) -> None:
    sigmas = many.sigmas.numpy()
    assert sigmas.min() >= 0 and sigmas.max() < MAX_SIGMA == 50
    assert abs(sigmas.mean() - 25) < 2 and abs(sigmas.std() - 50 / np.sqrt(12)) < 1.5


def contrast(damaged: NDArray[np.float32], mask: NDArray[np.float32]) -> float:
    """How far bright and dark columns stand apart, outside the hole."""
    seen = np.where(mask == 0, damaged, np.nan)
    bright = np.arange(20) % 4 >= 2
    return float(np.nanmean(seen[:, bright]) - np.nanmean(seen[:, ~bright]))


def test_a_third_of_the_pictures_are_blurred(many: Damaged) -> None:
    contrasts = [contrast(*pair) for pair in zip(many.pictures.numpy(), many.masks.numpy(), strict=True)]
    blurred = np.array(contrasts) < 0.6
    assert abs(blurred.mean() - 1 / 3) < 0.08


def test_noise_has_the_level_that_is_told() -> None:
    damaged = damage(tf.zeros([40, 32, 32, 3]), tf.range(40, dtype=tf.int64))
    for picture, mask, sigma in zip(*(part.numpy() for part in damaged), strict=True):
        assert picture[mask[..., 0] == 0].std() * 127.5 == pytest.approx(sigma, rel=0.08)


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.3])
def test_blur_keeps_constants(level: float) -> None:
    np.testing.assert_allclose(blur(tf.fill([1, 9, 7, 3], level)), np.full((1, 9, 7, 3), level), atol=1e-6)


def test_blur_spreads_a_point_binomially() -> None:
    point = np.zeros((1, 9, 9, 3), np.float32)
    point[0, 4, 4, 1] = 256
    blurred = blur(tf.constant(point)).numpy()[0]
    row = np.array([1, 4, 6, 4, 1])
    np.testing.assert_allclose(blurred[2:7, 2:7, 1], np.outer(row, row), atol=1e-4)
    assert blurred.sum() == pytest.approx(256)


@pytest.mark.parametrize("sigma", [5.0, 15.0, 30.0])
def test_noise_on_a_flat_picture_is_estimated_within_a_tenth(sigma: float) -> None:
    noise = np.random.default_rng(0).normal(0, sigma / 127.5, (3, 48, 48, 3)).astype(np.float32)
    np.testing.assert_allclose(noise_sigma(tf.constant(noise)), [sigma] * 3, rtol=0.1)


def test_flat_and_evenly_fading_pictures_have_no_noise() -> None:
    np.testing.assert_allclose(noise_sigma(tf.fill([1, 16, 16, 3], 0.3)), [0], atol=1e-3)
    fade = np.linspace(-1, 1, 16, dtype=np.float32)[None, None, :, None] * np.ones((1, 16, 1, 3), np.float32)
    np.testing.assert_allclose(noise_sigma(tf.constant(fade)), [0], atol=1e-3)
