"""The critic and the encoder, which process a picture with its caption and are used only in training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.layers import Modulated, coordinates, leaky
from models.tensors import Tensor


class Trunk(keras.layers.Layer):
    """Strided convolutions over a picture, modulated by the caption embedding.

    Args:
        widths: Channels of the first convolution and of each strided one after it.
        block: Side of the blocks into which the picture is folded first (space to depth).
    """

    def __init__(self, widths: Sequence[int], block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block
        first, *rest = widths
        self.read = keras.layers.Dense(64, activation=leaky, dtype=self.dtype_policy)
        self.first = keras.layers.Conv2D(first, 3, padding="same", activation=leaky, dtype=self.dtype_policy)
        self.strided = [
            keras.layers.Conv2D(width, 4, strides=2, padding="same", dtype=self.dtype_policy) for width in rest
        ]
        self.modulated = [Modulated(width, dtype=self.dtype_policy) for width in rest]

    def call(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Pictures float[b, s, s, 3] and embeddings float[b, d] -> features of both, [b, n] and [b, 64]."""
        picture, embedding = inputs
        style = self.read(embedding)
        x = ops.space_to_depth(picture, self.block) if self.block > 1 else picture
        grid = x.shape[1]
        place = ops.convert_to_tensor(coordinates(grid)[:, :2].reshape(1, grid, grid, 2), x.dtype)
        x = self.first(ops.concatenate([x, ops.broadcast_to(place, [ops.shape(x)[0], grid, grid, 2])], axis=-1))
        for convolution, modulated in zip(self.strided, self.modulated, strict=True):
            x = modulated([convolution(x), style])
        return ops.reshape(x, [-1, int(np.prod(x.shape[1:]))]), style


class Critic(keras.Model):
    """A projection discriminator (Miyato and Koyama, 2018): scores how real a picture looks given its caption."""

    def __init__(
        self, picture_size: int, embedding_size: int, widths: Sequence[int] = (32, 64, 96), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.trunk = Trunk(widths, block=max(2, picture_size // 16), dtype=self.dtype_policy)
        self.features = keras.layers.Dense(128, activation=leaky)
        self.realism = keras.layers.Dense(1)
        self.projection = keras.layers.Dense(128)
        self([ops.zeros([1, picture_size, picture_size, 3]), ops.zeros([1, embedding_size])])

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Pictures float[b, s, s, 3] and embeddings float[b, d] -> scores float32[b], higher for real."""
        picture, embedding = inputs
        flat, _ = self.trunk([ops.cast(picture, self.compute_dtype), embedding])
        features = self.features(flat)
        match = ops.sum(features * self.projection(embedding), axis=-1) / np.sqrt(128)
        return ops.cast(self.realism(features)[:, 0] + match, "float32")


class Encoder(keras.Model):
    """Infers the noise of a picture: the posterior of a conditional VAE (Sohn et al., 2015).

    Its input is the difference between the picture and the drawing without noise, so that the noise encodes only what
    the caption leaves open. It encodes patches independently and averages the results, so any subset of them will do.

    Args:
        patches: Number of patches in a picture, as `Generator.cut` counts them.
        side: Side of a patch in pixels.
        embedding_size: Width of a caption embedding.
        noise_size: Width of the noise.
        width: Channels of a patch.
    """

    def __init__(self, patches: int, side: int, embedding_size: int, noise_size: int, width: int = 128) -> None:
        super().__init__()
        self.read = keras.layers.Dense(64, activation=leaky)
        self.places = keras.layers.Embedding(patches, 64, embeddings_initializer=keras.initializers.RandomNormal(0.5))
        self.places.build()
        self.modulated = [Modulated(width), Modulated(width)]
        self.hidden = keras.layers.Dense(96, activation=leaky)
        self.moments = keras.layers.Dense(2 * noise_size, kernel_initializer=keras.initializers.VarianceScaling(0.1))
        empty = ops.zeros([1, side, side, 3])
        self([empty, empty, ops.zeros([1], "int32"), ops.zeros([1, embedding_size])])

    def call(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Encode patches.

        Args:
            inputs: Patches of pictures and of their drawings without noise, each float32[b * n, side, side, 3]; the
                indices of the patches, int32[n]; the embeddings of the captions, float32[b, d].

        Returns:
            Mean and log deviation of the noise, each float32[b, noise_size].
        """
        real, silent, patches, embedding = inputs
        rows, count = ops.shape(embedding)[0], ops.shape(patches)[0]
        # The gradient of a gather is sparse; within a conditional, XLA recompiles sparse gradients for every batch.
        places = ops.matmul(ops.one_hot(patches, self.places.input_dim), self.places.embeddings)
        places = ops.broadcast_to(places[None], [rows, count, self.places.output_dim])
        shape = [rows, count, int(np.prod(real.shape[1:]))]
        x = ops.concatenate([ops.reshape(real - silent, shape), ops.reshape(silent, shape), places], axis=-1)
        style = self.read(embedding)
        for modulated in self.modulated:
            x = modulated([x, style])
        moments = self.moments(self.hidden(ops.concatenate([ops.mean(x, axis=1), style], axis=-1)))
        mean, log_deviation = ops.split(moments, 2, axis=-1)
        return mean, ops.clip(log_deviation - 2.0, -5.0, 2.0)
