import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import AffineFrames, MultiHeadAttention, attention, blend, coordinates, in_patches, numbered, sine


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


@pytest.mark.parametrize("compiled", [False, True])
def test_the_sine_is_the_sine_and_its_slope_the_cosine(compiled: bool) -> None:
    @tf.function(jit_compile=compiled)
    def with_slope(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = sine(x)
        return y, tape.gradient(y, x)

    x = np.linspace(-100, 100, 100_001, dtype=np.float32)
    y, slope = with_slope(tf.constant(x))
    np.testing.assert_allclose(y, np.sin(x, dtype=np.float64), atol=1e-5)
    np.testing.assert_allclose(slope, np.cos(x, dtype=np.float64), atol=1e-5)


def test_xla_has_no_sine_to_call() -> None:
    compiled = tf.function(lambda x: sine(x), jit_compile=True)
    assert " sine(" not in compiled.experimental_get_compiler_ir(tf.zeros([8]))(stage="hlo")


def test_attention_gives_what_that_of_keras_gives() -> None:
    x, outside = (tf.random.stateless_normal([2, count, 8], (0, count)) for count in (3, 5))
    ours, theirs = (layer(2, 4) for layer in (MultiHeadAttention, keras.layers.MultiHeadAttention))
    for layer in (ours, theirs):
        layer(x, outside)
        layer.set_weights([tf.random.stateless_normal(weight.shape, (1, 2)) for weight in layer.weights])
    np.testing.assert_allclose(ours(x, outside), theirs(x, outside), atol=1e-4)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_bias_hides_is_not_attended_to(compiled: bool) -> None:
    x = tf.random.stateless_normal([1, 3, 8], (0, 1))
    hidden = tf.constant([0.0, 0.0, -1e9])
    run = tf.function(lambda *x: attention(*x[:3], 2, x[3]), jit_compile=compiled)
    np.testing.assert_allclose(run(x, x, x, hidden), attention(x, x[:, :2], x[:, :2], 2), atol=1e-5)
