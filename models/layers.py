"""Layers shared by the generator, its critic and the restorer."""

import functools
import math
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from models.backends import backend
from models.tensors import Tensor

SINC = Chebyshev.interpolate(lambda t: np.sinc(np.sqrt(t) / np.pi), 6, [0, np.pi**2]).convert(kind=Polynomial)
"""Coefficients of sin(x) / x as a polynomial of x², for x between -pi and pi."""


@keras.saving.register_keras_serializable(package="easel")
def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2."""
    return ops.leaky_relu(x, 0.2)


def sine(x: Tensor) -> Tensor:
    """sin(x) of float32; in XLA, within 1e-5 for x in -100..100.

    On a CPU, XLA's own sine takes four times as long as the polynomial; outside of XLA, TensorFlow's sine is faster.
    """
    if not backend.in_xla():
        return ops.sin(x)
    angle = x - 2 * np.pi * ops.round(x / (2 * np.pi))
    return angle * functools.reduce(lambda sum_, coefficient: sum_ * angle**2 + coefficient, SINC.coef[::-1].tolist())


def coordinates(grid: int) -> NDArray[np.float32]:
    """Centres of the cells of a grid as rows (x, y, 1), with x and y in -1..1: float32[grid * grid, 3]."""
    centres = (np.arange(grid, dtype=np.float32) + 0.5) / grid * 2 - 1
    x, y = np.meshgrid(centres, centres)
    return np.stack([x.ravel(), y.ravel(), np.ones(grid * grid, np.float32)], axis=1)


def plane(side: Tensor) -> Tensor:
    """`coordinates` as a tensor; with TensorFlow, the side, int32[], may be a tensor."""
    centres = (ops.cast(ops.arange(side), "float32") + 0.5) / ops.cast(side, "float32") * 2 - 1
    x, y = ops.meshgrid(centres, centres)
    return ops.stack([ops.reshape(x, [-1]), ops.reshape(y, [-1]), ops.ones([side * side])], axis=1)


def in_patches(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Group the points of a square grid, (grid², 3), into patches of 2x2 points, (grid² / 4, 4, 3), both row by row."""
    half = int(np.sqrt(len(points))) // 2
    return points.reshape(half, 2, half, 2, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 4, 3)


def numbered(embedding_BxE: Tensor, slots: int) -> Tensor:
    """The slots of embeddings, each concatenated with its one-hot index: float32[b, slots, slot_size + slots]."""
    parts = ops.reshape(embedding_BxE, [-1, slots, embedding_BxE.shape[-1] // slots])
    numbers = ops.broadcast_to(ops.eye(slots, dtype=parts.dtype), [ops.shape(parts)[0], slots, slots])
    return ops.concatenate([parts, numbers], axis=-1)


def blend(layers_BxKxHxWx4: Tensor) -> Tensor:
    """Blend layers with a softmax of their fourth channel at each pixel: float32[b, h, w, 3]."""
    rows, slots, height, width, _ = ops.shape(layers_BxKxHxWx4)
    # oneDNN's softmax supports at most five dimensions, and is fastest with few.
    flat = ops.reshape(layers_BxKxHxWx4, [rows, slots, -1, 4])
    weights = ops.softmax(flat[..., 3:], axis=1)
    return ops.reshape(ops.sum(weights * flat[..., :3], axis=1), [rows, height, width, 3])


def attention(queries: Tensor, keys: Tensor, values: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention (Vaswani et al., 2017) of each head: few pieces, so few and small operations.

    Args:
        queries: [b, t, heads * c].
        keys: [b, s, heads * c].
        values: [b, s, heads * d].
        heads: Number of heads.
        bias: What is added to the scores of every head, [b, 1, s] or [b, t, s]; None for nothing.

    Returns:
        [b, t, heads * d].
    """
    queries, keys, values = (apart(x, heads) for x in (queries, keys, values))
    scores = backend.product(queries, keys, transpose_y=True) * keys.shape[-1] ** -0.5
    weights = small_softmax(scores if bias is None else scores + bias)
    return together(backend.product(weights, values))


def apart(x: Tensor, heads: int) -> Tensor:
    """The heads one after the other, [b, t, heads * c] -> [heads, b, t, c].

    Not a transpose: oneDNN's takes 20 to 50 microseconds even for a small tensor.
    """
    return ops.stack(ops.split(x, heads, axis=-1))


def together(x: Tensor) -> Tensor:
    """The inverse of `apart`, [heads, b, t, c] -> [b, t, heads * c].

    Not by `unstack`: LiteRT's converter takes it, followed by a concatenation, for a reshape.
    """
    return ops.concatenate([ops.squeeze(head, axis=0) for head in ops.split(x, x.shape[0])], axis=-1)


def small_softmax(logits: Tensor) -> Tensor:
    """Softmax over a last axis of few numbers, or of one; oneDNN's takes several times as long."""
    return ops.exp(ops.log_softmax(logits))


@keras.saving.register_keras_serializable(package="easel")
class MultiHeadAttention(keras.layers.MultiHeadAttention):
    """Keras' layer, without its masks and its dropout, as products of two matrices instead of tensors.

    Has the name of Keras' own because files of weights contain it.
    """

    def call(self, query: Tensor, value: Tensor, key: Tensor | None = None) -> Tensor:
        """[b, t, c] and what it looks at, [b, s, d], by its values where there are no keys -> [b, t, c]."""
        key = value if key is None else key
        sources = ((query, self.query_dense), (key, self.key_dense), (value, self.value_dense))
        queries, keys, values = (projected(x, layer.kernel, layer.bias) for x, layer in sources)
        mixed = attention(queries, keys, values, self.num_heads)
        return projected(mixed, self.output_dense.kernel, self.output_dense.bias)


def projected(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """A dense layer whose inputs or outputs are separated by heads: [b, t, c] -> [b, t, d]."""
    size, width = x.shape[-1], math.prod(bias.shape)
    flat = ops.matmul(ops.reshape(x, [-1, size]), ops.reshape(kernel, [size, width])) + ops.reshape(bias, [width])
    return ops.reshape(flat, [-1, ops.shape(x)[1], width])


@keras.saving.register_keras_serializable(package="easel")
class AffineFrames(keras.layers.Layer):
    """Transforms points of the plane by several affine frames, computed from a style and initially the identity."""

    def __init__(self, frames: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frames = frames

    def build(self, style_shape: tuple[int | None, ...]) -> None:
        """Create the weights that map a style to frames."""
        width = int(style_shape[-1] or 0)
        identity = np.zeros((3, self.frames, 2), np.float32)
        identity[0, :, 0] = identity[1, :, 1] = 1
        self.kernel = self.add_weight(
            shape=(width, 6 * self.frames), initializer=keras.initializers.RandomNormal(stddev=0.3 / np.sqrt(width))
        )
        self.bias = self.add_weight(shape=(6 * self.frames,), initializer="zeros")
        self.bias.assign(identity.ravel())

    def call(self, style_BxC: Tensor, points_Px3: Tensor) -> Tensor:
        """Styles and points (x, y, 1) -> coordinates of each point in each frame, [b, p, 2 frames]."""
        kernel, bias = (ops.cast(weight, style_BxC.dtype) for weight in (self.kernel, self.bias))
        frames = ops.matmul(style_BxC, kernel) + bias
        return ops.matmul(points_Px3[None], ops.reshape(frames, [-1, 3, 2 * self.frames]))


@keras.saving.register_keras_serializable(package="easel")
class Modulated(keras.layers.Layer):
    """A dense layer over the last axis, scaled and shifted by a style (FiLM, Perez et al. 2018), then leaky ReLU."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.dense = keras.layers.Dense(width, dtype=self.dtype_policy)
        initializer = keras.initializers.VarianceScaling(0.3)
        self.film = keras.layers.Dense(2 * width, kernel_initializer=initializer, dtype=self.dtype_policy)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """x[b, ..., c] and style[b, d] -> [b, ..., width]."""
        x, style = inputs
        scale, shift = ops.split(self.film(style), 2, axis=-1)
        for _ in range(len(x.shape) - 2):
            scale, shift = scale[:, None], shift[:, None]
        return leaky(self.dense(x) * (1 + scale) + shift)
