"""Encoders of a picture's noise: the posterior of a conditional VAE (Sohn et al., 2015), used only in training.

The background is encoded first. Then each thing is located in the difference between picture and background, and
encoded from a crop.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.layers import leaky
from models.noise import Moments
from models.scene_network import WHERE, Attending, Placement, hats, pixel_centres, sampled
from models.tensors import Tensor

STRIDE = 4


class BackEncoder(keras.Model):
    """Encodes the background's noise from the whole picture.

    Args:
        picture_size: Side of a picture in pixels, a multiple of 16.
        mixed_size: Width of what a caption says of a part.
        noise_size: Width of the background's noise.
    """

    def __init__(self, picture_size: int, mixed_size: int, noise_size: int, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.convolutions = [
            keras.layers.Conv2D(width, 4, strides=stride, padding="same", activation=leaky, dtype=self.dtype_policy)
            for width, stride in ((48, STRIDE), (96, 2), (128, 2))
        ]
        self.hidden = keras.layers.Dense(192, activation=leaky)
        self.moments = moments_layer(noise_size)
        self([ops.zeros([1, picture_size, picture_size, 3]), ops.zeros([1, mixed_size])])

    def build(self, *_: Any) -> None:
        """Nothing is left to build: the constructor has called every layer."""
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Moments:
        """Pictures, float32[b, s, s, 3], and float32[b, mixed_size] -> float32[b, noise_size] each."""
        picture, mixed = inputs
        x = ops.cast(picture, self.compute_dtype)
        for convolution in self.convolutions:
            x = convolution(x)
        flat = ops.cast(ops.reshape(x, [-1, int(np.prod(x.shape[1:]))]), "float32")
        return as_moments(self.moments(self.hidden(ops.concatenate([flat, mixed], axis=-1))))


class PlaceEncoder(keras.Model):
    """Locates the things of a caption in a picture and in its difference from the background.

    The centre of a thing's attention map (a soft-argmax, Levine et al., 2016) is the mean of the first two numbers of
    its noise.

    Args:
        picture_size: Side of a picture in pixels, a multiple of 4.
        things: Maximum number of things in a picture.
        mixed_size: Width of what a caption says of a part.
        width: Channels.
    """

    def __init__(self, picture_size: int, things: int, mixed_size: int, *, width: int = 96, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        policy = self.dtype_policy
        self.width = width
        self.convolutions = [
            keras.layers.Conv2D(64, STRIDE, strides=STRIDE, padding="same", activation=leaky, dtype=policy),
            *(keras.layers.Conv2D(size, 3, padding="same", activation=leaky, dtype=policy) for size in (64, width)),
        ]
        self.places = waves(picture_size // STRIDE)
        self.enter = keras.layers.Dense(width)
        self.norm = keras.layers.LayerNormalization()
        self.query = keras.layers.Dense(width)
        self.block = Attending(width, outward=True)
        self.key = keras.layers.Dense(width)
        self.ask = keras.layers.Dense(width)
        self.value = keras.layers.Dense(width)
        self.hidden = keras.layers.Dense(width, activation=leaky)
        self.moments = moments_layer(WHERE)
        self([ops.zeros([1, picture_size, picture_size, 6]), ops.zeros([1, things, mixed_size])])

    def build(self, *_: Any) -> None:
        """Nothing is left to build: the constructor has called every layer."""
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Moments:
        """Locate things.

        Args:
            inputs: Pictures concatenated with their differences from the background, float32[b, s, s, 6], and what
                captions say about the things, float32[b, things, mixed_size].

        Returns:
            Moments of the noise, float32[b, things, WHERE] each.
        """
        picture, mixed = inputs
        x = ops.cast(picture, self.compute_dtype)
        for convolution in self.convolutions:
            x = convolution(x)
        x = ops.cast(ops.reshape(x, [-1, len(self.places), x.shape[-1]]), "float32")
        places = ops.broadcast_to(self.places[None], [ops.shape(picture)[0], *self.places.shape])
        x = self.norm(self.enter(ops.concatenate([x, places], axis=-1)))
        things = self.block(self.query(mixed), x)
        scores = ops.matmul(self.ask(things), ops.transpose(self.key(x), [0, 2, 1])) / np.sqrt(self.width)
        attention = ops.softmax(2 * scores)
        where, seen = ops.matmul(attention, places[..., :2]), ops.matmul(attention, self.value(x))
        mean, log_deviation = as_moments(self.moments(self.hidden(ops.concatenate([things, seen, where], axis=-1))))
        return mean + ops.pad(2 * where, [[0, 0], [0, 0], [0, WHERE - 2]]), log_deviation


class LookEncoder(keras.Model):
    """Encodes the appearance of a thing from a glimpse, a crop of the picture around its place.

    The order, first where and then what, is that of attend, infer, repeat (Eslami et al., 2016).

    Args:
        mixed_size: Width of what a caption says of a part.
        noise_size: Width of the noise.
        glimpse: Side of a glimpse in pixels.
        width: Units of the hidden layers.
    """

    def __init__(self, mixed_size: int, noise_size: int, *, glimpse: int = 20, width: int = 192, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.glimpse = glimpse
        self.hidden = [keras.layers.Dense(width, activation=leaky) for _ in range(2)]
        self.moments = moments_layer(noise_size)
        self([ops.zeros([1, glimpse, glimpse, 6]), ops.zeros([1, WHERE]), ops.zeros([1, mixed_size])])

    def build(self, *_: Any) -> None:
        """Nothing is left to build: the constructor has called every layer."""
        self.built = True

    def call(self, inputs: Sequence[Tensor]) -> Moments:
        """Encode the appearance of things.

        Args:
            inputs: For each of m things, its picture concatenated with the difference from the background,
                float32[m, s, s, 6], the noise of its placement, float32[m, WHERE], and what the caption says about it,
                float32[m, mixed_size].

        Returns:
            Moments of the noise, float32[m, noise_size] each.
        """
        picture, where, mixed = inputs
        place, side = Placement.of_noise(where), picture.shape[1]
        inside = (np.arange(self.glimpse, dtype=np.float32) + 0.5) / self.glimpse - 0.5

        def weights(centre: Tensor, extent: Tensor) -> Tensor:
            pixels = (centre[:, None] + extent[:, None] * inside) * side - 0.5
            return hats(pixels, side, ops.maximum(extent * side / self.glimpse, 1.0)[:, None, None])

        seen = sampled(picture, weights(place.y, place.height), weights(place.x, place.width))
        x = ops.concatenate([ops.reshape(seen, [-1, 6 * self.glimpse**2]), mixed, where], axis=-1)
        for layer in self.hidden:
            x = layer(x)
        return as_moments(self.moments(x))


def moments_layer(noise_size: int) -> keras.layers.Dense:
    """The dense layer whose output `as_moments` splits."""
    small = keras.initializers.VarianceScaling(0.1)
    return keras.layers.Dense(2 * noise_size, kernel_initializer=small, name="moments")


def as_moments(x: Tensor) -> Moments:
    """float32[..., 2 n] -> float32[..., n] each; deviations start small, so that means matter from the start."""
    mean, log_deviation = ops.split(x, 2, axis=-1)
    return mean, ops.clip(log_deviation - 2.0, -5.0, 2.0)


def waves(side: int) -> NDArray[np.float32]:
    """Positional encoding of the cells of a grid: x and y in -1..1, then their sines and cosines, (side², 18)."""
    y, x = np.meshgrid(*(2 * pixel_centres(side) - 1,) * 2, indexing="ij")
    rising = [wave(np.pi * rate * at) for rate in (0.5, 1, 2, 4) for at in (x, y) for wave in (np.sin, np.cos)]
    return np.stack([x, y, *rising], axis=-1).reshape(side * side, -1).astype(np.float32)
