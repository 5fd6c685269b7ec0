import numpy as np
import tensorflow as tf

from models.layers import AffineFrames, blend, coordinates, in_patches, numbered


def test_coordinates_are_centres_of_cells() -> None:
    assert coordinates(2).tolist() == [[-0.5, -0.5, 1], [0.5, -0.5, 1], [-0.5, 0.5, 1], [0.5, 0.5, 1]]


def test_patches_are_two_by_two_neighbours() -> None:
    points = in_patches(coordinates(4))
    assert points.shape == (4, 4, 3)
    assert points[1, :, :2].tolist() == [[0.25, -0.75], [0.75, -0.75], [0.25, -0.25], [0.75, -0.25]]


def test_frames_begin_as_the_identity() -> None:
    frames = AffineFrames(3)
    points = coordinates(2)
    frames.build((None, 4))
    seen = frames(tf.zeros([1, 4]), tf.constant(points)).numpy()
    np.testing.assert_allclose(seen[0].reshape(4, 3, 2), np.repeat(points[:, None, :2], 3, axis=1))


def test_slots_carry_their_number() -> None:
    slots = numbered(tf.constant([[1.0, 2.0, 3.0, 4.0]]), 2).numpy()
    assert slots.tolist() == [[[1, 2, 1, 0], [3, 4, 0, 1]]]


def test_layers_blend_by_how_much_they_want_a_pixel() -> None:
    layers = np.zeros((1, 2, 1, 3, 4), np.float32)
    layers[:, 0, ..., :3], layers[:, 1, ..., :3] = 1.0, -1.0
    layers[0, :, 0, :, 3] = [[9, 0, 0], [0, 0, 9]]
    blended = blend(tf.constant(layers)).numpy()
    assert blended.shape == (1, 1, 3, 3)
    np.testing.assert_allclose(blended[0, 0, :, 0], [1, 0, -1], atol=1e-3)
