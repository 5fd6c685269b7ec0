"""Which noise the pictures of a caption come from."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from models.layers import leaky
from models.tensors import Tensor


class Mixture(NamedTuple):
    """Gaussian mixtures with diagonal covariances.

    Attributes:
        logits: float32[b, m], of the components' weights.
        means: float32[b, m, n].
        log_deviations: float32[b, m, n].
    """

    logits: Tensor
    means: Tensor
    log_deviations: Tensor


@keras.saving.register_keras_serializable(package="easel")
class NoisePrior(keras.layers.Layer):
    """A mixture density network (Bishop, 1994) from a caption embedding to noise.

    A standard normal for every caption would be a guess: where a caption says all, its pictures use a small part of the
    noise, and where it leaves a colour open, one part for each colour. Drawn from the mixture, seeds differ as much as
    the data do.

    Args:
        noise_size: Width of the noise, n.
        components: Gaussians in a mixture, m.
        width: Units of the hidden layer.
    """

    def __init__(self, noise_size: int, components: int, *, width: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise_size = noise_size
        self.components = components
        self.width = width
        self.hidden = keras.layers.Dense(width, activation=leaky)
        self.weights_of = keras.layers.Dense(components, kernel_initializer="zeros")
        self.means_of = keras.layers.Dense(
            components * noise_size, bias_initializer=keras.initializers.RandomNormal(stddev=1.0)
        )
        self.deviations_of = keras.layers.Dense(components * noise_size, kernel_initializer="zeros")

    def call(self, embedding: Tensor) -> Mixture:
        """float32[b, d] -> the mixtures of b captions."""
        x = self.hidden(embedding)
        shape = [-1, self.components, self.noise_size]
        log_deviations = ops.clip(ops.reshape(self.deviations_of(x), shape), -5.0, 2.0)
        return Mixture(self.weights_of(x), ops.reshape(self.means_of(x), shape), log_deviations)

    def log_probability(self, noise: Tensor, embedding: Tensor) -> Tensor:
        """Log density, float32[b], of noise, float32[b, n], given captions, float32[b, d]."""
        logits, means, log_deviations = self(embedding)
        scaled = (noise[:, None] - means) * ops.exp(-log_deviations)
        of_components = -ops.sum(0.5 * scaled**2 + log_deviations + 0.5 * np.log(2 * np.pi), axis=-1)
        return ops.logsumexp(ops.log_softmax(logits) + of_components, axis=-1)

    def sample(self, embedding: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
        """Noise for captions.

        Args:
            embedding: float32[b, d].
            uniform: float32[b] in [0, 1), which chooses the component.
            normal: float32[b, n], standard normal; zeros for the middle of the component.

        Returns:
            float32[b, n].
        """
        logits, means, log_deviations = self(embedding)
        below = ops.cumsum(ops.softmax(logits), axis=-1) <= uniform[:, None]
        chosen = ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), self.components - 1)
        return self.of(means, chosen) + ops.exp(self.of(log_deviations, chosen)) * normal

    def likeliest(self, embedding: Tensor) -> Tensor:
        """The middle of each caption's heaviest component: float32[b, d] -> float32[b, n]."""
        logits, means, _ = self(embedding)
        return self.of(means, ops.argmax(logits, axis=-1))

    def of(self, parts_BxMxN: Tensor, chosen_B: Tensor) -> Tensor:
        """One component of each row: float32[b, n]."""
        return ops.sum(ops.one_hot(chosen_B, self.components)[..., None] * parts_BxMxN, axis=1)
