"""A convolutional network for photographs: a caption and noise become a style, which modulates every convolution.

Residual blocks grow the picture from 4x4 pixels, computed from the noise, as in StyleGAN (Karras et al., 2019 and
2020), with normalisation per pixel instead of demodulation, which needs neither a pass over the kernels nor batch
statistics, so that rows stay independent. If captions have several slots, the coarse levels attend to them.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.drawing_network import DrawingNetwork
from models.language_network import LanguageNetwork
from models.layers import leaky, numbered
from models.tensors import Tensor

LARGEST_START = 7
"""Maximum side of the coarsest level in pixels."""
ATTENDED = (8, 16)
"""Minimum and maximum side in pixels of the levels that attend to the slots of captions."""
LEAST_SPREAD = 0.05
"""Deviation of a component of the embeddings, as a share of the largest, below which it is not scaled up further."""


def sides_of(side: int) -> list[int]:
    """Sides of the levels, coarsest first: 4, 8, 16, 32 for 32."""
    return [*sides_of(side // 2), side] if side % 2 == 0 and side > LARGEST_START else [side]


def widths_of(levels: int, width: int, most: int) -> list[int]:
    """Channels of the levels, coarsest first: `width` at the finest, twice as many at each coarser, up to `most`."""
    return [min(most, width * 2**level) for level in reversed(range(levels))]


def normalised(x: Tensor) -> Tensor:
    """Scale vectors along the last axis to a root mean square of 1."""
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-4)


@keras.saving.register_keras_serializable(package="easel")
class StyledConvolution(keras.layers.Layer):
    """Normalises features per pixel, scales and shifts them by a style, and convolves them after a leaky ReLU.

    Args:
        taken: Input channels.
        width: Output channels.
    """

    def __init__(self, taken: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.taken = taken
        self.width = width
        initializer = keras.initializers.VarianceScaling(0.3)
        self.film = keras.layers.Dense(2 * taken, kernel_initializer=initializer, dtype=self.dtype_policy)
        self.convolution = keras.layers.Conv2D(
            width, 3, padding="same", kernel_initializer="he_normal", dtype=self.dtype_policy
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """x[b, h, w, taken] and style[b, d] -> [b, h, w, width]."""
        x, style = inputs
        scale, shift = ops.split(self.film(style)[:, None, None], 2, axis=-1)
        return self.convolution(leaky(normalised(x) * (1 + scale) + shift))


@keras.saving.register_keras_serializable(package="easel")
class SlotAttention(keras.layers.Layer):
    """Attention of each pixel to the slots of a caption, with one head (Vaswani et al., 2017).

    Args:
        width: Channels of the features.
        keys: Width of queries and keys.
    """

    def __init__(self, width: int, keys: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.keys = keys
        self.query_of = keras.layers.Dense(keys, dtype=self.dtype_policy)
        self.key_of = keras.layers.Dense(keys, dtype=self.dtype_policy)
        self.value_of = keras.layers.Dense(width, dtype=self.dtype_policy)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """x[b, h, w, width] and slots[b, k, d] -> [b, h, w, width]."""
        x, slots = inputs
        scores = ops.einsum("bhwd,bkd->bhwk", self.query_of(normalised(x)), self.key_of(slots))
        weights = ops.softmax(scores / np.sqrt(self.keys))
        return ops.einsum("bhwk,bkc->bhwc", weights, self.value_of(slots))


@keras.saving.register_keras_serializable(package="easel")
class Level(keras.layers.Layer):
    """A residual block; all but the coarsest level double the resolution first.

    Args:
        taken: Input channels.
        width: Output channels.
        finer: Whether to double the resolution.
        attends: Whether to attend to the slots of captions.
    """

    def __init__(self, taken: int, width: int, *, finer: bool, attends: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.taken = taken
        self.width = width
        self.grow = [keras.layers.Conv2D(4 * width, 1, dtype=self.dtype_policy)] if finer else []
        self.attend = [SlotAttention(width, dtype=self.dtype_policy)] if attends else []
        self.convolutions = [StyledConvolution(width, width, dtype=self.dtype_policy) for _ in range(2)]

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """x[b, h, w, taken], style[b, d] and slots[b, k, e] -> [b, h or 2 h, w or 2 w, width]."""
        x, style, slots = inputs
        for convolution in self.grow:
            # Not a nearest-neighbour resize: on a GPU, XLA does not support its gradient.
            x = ops.depth_to_space(convolution(x), 2)
        for attention in self.attend:
            x = x + attention([x, slots])
        drawn = x
        for convolution in self.convolutions:
            drawn = convolution([drawn, style])
        return (x + drawn) * float(np.sqrt(0.5))


class PhotoNetwork(DrawingNetwork):
    """Draws a picture from noise and a caption embedding.

    Args:
        language_model: Encodes captions; it is not trained with this network.
        picture_size: Side of a picture in pixels.
        noise_size: Width of the noise.
        style_size: Width of the style.
        width: Channels of the finest level; each coarser one has twice as many.
        most_width: Maximum number of channels of a level.
        block: Side of the block of pixels that the finest level draws at each point, 1 or 2.
    """

    def __init__(
        self,
        language_model: LanguageNetwork,
        *,
        picture_size: int = 32,
        noise_size: int = 64,
        style_size: int = 256,
        width: int = 48,
        most_width: int = 192,
        block: int = 2,
        **kwargs: Any,
    ) -> None:
        # Cast by hand: embeddings stay in full precision, whatever the precision of the convolutions.
        super().__init__(**{"autocast": False, **kwargs})
        self.language_model = language_model
        self.picture_size = picture_size
        self.noise_size = noise_size
        self.style_size = style_size
        self.width = width
        self.most_width = most_width
        self.block = block
        language_model.trainable = False
        size, sides = language_model.embedding_size, sides_of(picture_size // block)
        self.mean = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="mean")
        self.spread = self.add_weight(shape=(size,), initializer="ones", trainable=False, name="spread")
        widths = widths_of(len(sides), width, most_width)
        self.start = self.add_weight(
            shape=(sides[0], sides[0], widths[0]), initializer=keras.initializers.RandomNormal(stddev=1.0), name="start"
        )
        self.place = keras.layers.Dense(self.start.shape[0] ** 2 * widths[0], name="place")
        self.style = [keras.layers.Dense(style_size, activation=leaky) for _ in range(2)]
        self.levels = [
            Level(
                taken,
                channels,
                finer=number > 0,
                attends=language_model.slots > 1 and ATTENDED[0] <= side <= ATTENDED[1],
                dtype=self.dtype_policy,
            )
            for number, (side, taken, channels) in enumerate(zip(sides, widths[:1] + widths, widths, strict=False))
        ]
        self.colours = keras.layers.Conv2D(3 * block**2, 3, padding="same", name="colours", dtype=self.dtype_policy)
        self([keras.Input(batch_shape=[1, width]) for width in (noise_size, size)])

    def build(self, *_: Any) -> None:
        """Does nothing: the constructor has already built every layer."""
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("noise_size", "style_size", "width", "most_width", "block")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def adapt(self, embeddings: NDArray[np.float32]) -> None:
        """Set mean and deviation from the embeddings of captions, float32[n, embedding_size].

        Captions of similar pictures have similar embeddings; standardising emphasises their differences.
        """
        deviation = embeddings.std(axis=0)
        self.mean.assign(embeddings.mean(axis=0))
        self.spread.assign(np.maximum(deviation, LEAST_SPREAD * deviation.max() + 1e-6))

    def standardised(self, embedding: Tensor) -> Tensor:
        """Standardise embeddings, float32[b, embedding_size], by the mean and deviation of `adapt`."""
        return normalised((embedding - self.mean) / self.spread)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Draw pictures.

        Args:
            inputs: Noise, float32[b, noise_size], and caption embeddings, float32[b, embedding_size].

        Returns:
            Pictures, float32[b, picture_size, picture_size, 3], in -1..1.
        """
        noise, embedding = inputs
        slots = numbered(self.standardised(embedding), self.language_model.slots)
        style = ops.concatenate([ops.mean(slots, axis=1), normalised(noise)], axis=-1)
        for dense in self.style:
            style = dense(style)
        x = self.start + ops.reshape(self.place(normalised(noise)), [-1, *self.start.shape])
        for level in self.levels:
            x = level([x, style, slots])
        colours = ops.cast(self.colours(leaky(normalised(x))), "float32")
        return ops.tanh(ops.depth_to_space(colours, self.block) if self.block > 1 else colours)
