import numpy as np
import pytest
import tensorflow as tf

from models.layers import AffineFrames, Modulated, coordinates, leaky


def test_coordinates_are_the_centres_of_cells_row_by_row() -> None:
    assert coordinates(2).tolist() == [[-0.5, -0.5, 1], [0.5, -0.5, 1], [-0.5, 0.5, 1], [0.5, 0.5, 1]]
    assert coordinates(1).tolist() == [[0, 0, 1]]
    assert coordinates(4)[:4, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_frames_start_as_the_identity() -> None:
    frames = AffineFrames(grid=4, frames=3)
    placed = frames(tf.zeros([2, 5])).numpy()
    expected = np.tile(coordinates(4)[:, :2], 3)
    np.testing.assert_array_equal(placed, np.stack([expected, expected]))


def test_a_style_moves_frames_a_little() -> None:
    frames = AffineFrames(grid=4, frames=3)
    style = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    moves = frames(style).numpy() - frames(tf.zeros([1, 5])).numpy()
    assert 0.1 < moves.std() < 1


def test_a_frame_is_an_affine_map_of_its_own_weights() -> None:
    frames = AffineFrames(grid=3, frames=2)
    frames(tf.zeros([1, 1]))
    maps = np.random.default_rng(1).normal(size=(3, 2, 2)).astype(np.float32)
    frames.bias.assign(maps.ravel())
    placed = frames(tf.zeros([1, 1])).numpy()[0]
    for i in range(2):
        np.testing.assert_allclose(placed[:, 2 * i : 2 * i + 2], coordinates(3) @ maps[:, i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5), (2, 7, 5), (2, 4, 3, 5)])
def test_modulated_scales_and_shifts_by_the_style(shape: tuple[int, ...]) -> None:
    layer = Modulated(4)
    x, style = tf.random.stateless_normal(shape, (0, 1)), tf.random.stateless_normal((2, 6), (0, 2))
    out = layer([x, style]).numpy()
    scale, shift = np.split(layer.film(style).numpy(), 2, axis=-1)
    plain = layer.dense(x).numpy()
    for row in range(2):
        expected = plain[row] * (1 + scale[row]) + shift[row]
        np.testing.assert_allclose(out[row], np.where(expected > 0, expected, 0.2 * expected), rtol=1e-4, atol=1e-5)


def test_leaky() -> None:
    np.testing.assert_allclose(leaky(tf.constant([-5.0, 0.0, 5.0])), [-1.0, 0.0, 5.0])
