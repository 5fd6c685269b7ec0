"""Networks that look at a picture beside its caption and are gone after training: the critic and the encoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.layers import Modulated, coordinates, leaky
from models.tensors import Tensor


class Trunk(keras.layers.Layer):
    """A picture and a caption embedding -> features, through strided convolutions that the caption modulates.

    Args:
        widths: Channels of the first convolution and of each strided one after it.
        block: The picture is folded into blocks of this side first.
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
        """Pictures float[b, s, s, 3] and embeddings float[b, d] -> features [b, n] and the caption's, [b, 64]."""
        picture, embedding = inputs
        style = self.read(embedding)
        x = ops.space_to_depth(picture, self.block) if self.block > 1 else picture
        grid = x.shape[1]
        place = ops.convert_to_tensor(coordinates(grid)[:, :2].reshape(1, grid, grid, 2), x.dtype)
        x = self.first(ops.concatenate([x, ops.broadcast_to(place, [ops.shape(x)[0], grid, grid, 2])], axis=-1))
        for convolution, modulated in zip(self.strided, self.modulated, strict=True):
            x = modulated([convolution(x), style])
        return ops.reshape(x, [-1, int(np.prod(x.shape[1:]))]), style


@keras.saving.register_keras_serializable(package="easel")
class Critic(keras.Model):
    """How real a picture looks for its caption: a projection discriminator (Miyato and Koyama, 2018)."""

    def __init__(
        self, picture_size: int, embedding_size: int, widths: Sequence[int] = (32, 64, 96), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.picture_size = picture_size
        self.embedding_size = embedding_size
        self.widths = tuple(widths)
        self.trunk = Trunk(widths, block=max(2, picture_size // 16), dtype=self.dtype_policy)
        self.features = keras.layers.Dense(128, activation=leaky)
        self.realism = keras.layers.Dense(1)
        self.projection = keras.layers.Dense(128)
        self([ops.zeros([1, picture_size, picture_size, 3]), ops.zeros([1, embedding_size])])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        own = {"picture_size": self.picture_size, "embedding_size": self.embedding_size, "widths": self.widths}
        return {**super().get_config(), **own}

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Pictures float[b, s, s, 3] and embeddings float[b, d] -> scores float32[b], higher for real."""
        picture, embedding = inputs
        flat, _ = self.trunk([ops.cast(picture, self.compute_dtype), embedding])
        features = self.features(flat)
        match = ops.sum(features * self.projection(embedding), axis=-1) / np.sqrt(128)
        return ops.cast(self.realism(features)[:, 0] + match, "float32")


@keras.saving.register_keras_serializable(package="easel")
class Encoder(keras.Model):
    """What noise could have drawn a picture: the posterior of a conditional VAE (Sohn et al., 2015).

    It is shown how the picture differs from the drawing without noise, and so learns about nothing but what the
    caption leaves open. It looks at patches one by one and averages what it found, so that any share of them will do.

    Args:
        patches: Patches in a picture, as `Generator.cut` counts them.
        side: Side of a patch in pixels.
        embedding_size: Width of a caption embedding.
        noise_size: Width of the noise.
        width: Channels of a patch.
    """

    def __init__(
        self, patches: int, side: int, embedding_size: int, noise_size: int, width: int = 128, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.patches = patches
        self.side = side
        self.embedding_size = embedding_size
        self.noise_size = noise_size
        self.width = width
        self.read = keras.layers.Dense(64, activation=leaky)
        self.places = keras.layers.Embedding(patches, 64, embeddings_initializer=keras.initializers.RandomNormal(0.5))
        self.places.build()
        self.modulated = [Modulated(width), Modulated(width)]
        self.hidden = keras.layers.Dense(96, activation=leaky)
        self.moments = keras.layers.Dense(2 * noise_size, kernel_initializer=keras.initializers.VarianceScaling(0.1))
        empty = ops.zeros([1, side, side, 3])
        self([empty, empty, ops.zeros([1], "int32"), ops.zeros([1, embedding_size])])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("patches", "side", "embedding_size", "noise_size", "width")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Read patches.

        Args:
            inputs: Patches of pictures and of their drawings without noise, each float32[b * n, side, side, 3]; the
                numbers of the patches, int32[n]; the captions' embeddings, float32[b, d].

        Returns:
            Mean and log deviation of the noise, each float32[b, noise_size].
        """
        real, silent, patches, embedding = inputs
        rows, count = ops.shape(embedding)[0], ops.shape(patches)[0]
        # A gather's gradient is sparse, and XLA compiles a sparse one within a conditional anew for every batch.
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
