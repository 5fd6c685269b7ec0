import numpy as np
import pytest
import tensorflow as tf

from models.tiling import tiled

REACH = 4


def far_sums(pictures: tf.Tensor) -> tf.Tensor:
    """Sums over all pixels up to REACH away, on a coarse grid of fours: what depends on alignment shows."""
    folded = tf.nn.avg_pool2d(pictures, 4, 4, "VALID")
    around = tf.nn.avg_pool2d(folded, 3, 1, "SAME")
    return tf.repeat(tf.repeat(around, 4, axis=1), 4, axis=2) + pictures


def random_pictures(height: int, width: int, count: int = 2) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=(count, height, width, 3)), tf.float32)


@pytest.mark.parametrize(
    ("height", "width"), [(8, 8), (24, 24), (28, 24), (24, 28), (32, 8), (60, 64), (100, 52), (4, 200)]
)
def test_tiles_make_the_whole(height: int, width: int) -> None:
    pictures = random_pictures(height, width)
    whole = tiled(far_sums, pictures, tile=24, margin=8, multiple=4)
    np.testing.assert_allclose(whole, far_sums(pictures), atol=1e-5)


def test_too_narrow_a_margin_shows_seams() -> None:
    pictures = random_pictures(48, 48)
    seamed = tiled(far_sums, pictures, tile=24, margin=0, multiple=4)
    assert abs(seamed - far_sums(pictures)).numpy().max() > 0.01


def test_the_network_never_sees_more_than_a_tile() -> None:
    seen = []

    def watched(part: tf.Tensor) -> tf.Tensor:
        seen.append(tuple(part.shape[1:3]))
        return part

    pictures = random_pictures(100, 60)
    np.testing.assert_array_equal(tiled(watched, pictures, tile=24, margin=8, multiple=4), pictures)
    assert set(seen) == {(24, 24)}


@pytest.mark.parametrize(("tile", "margin"), [(23, 8), (24, 7), (24, 12), (8, 8)])
def test_tiles_that_cannot_fit_are_refused(tile: int, margin: int) -> None:
    with pytest.raises(ValueError, match=f"tile {tile} and margin {margin} must be multiples of 4, tile above"):
        tiled(far_sums, random_pictures(8, 8), tile=tile, margin=margin, multiple=4)
