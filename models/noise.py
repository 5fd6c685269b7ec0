"""Distributions of the noise of pictures, given their captions."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from models import sampling
from models.layers import leaky, small_softmax
from models.tensors import Tensor

Moments = tuple[Tensor, Tensor]
"""Mean and log deviation of normal noise, of equal shapes."""


def drawn_from(moments: Moments, seed: Tensor) -> Tensor:
    """Sample noise from the normal distributions with these moments."""
    mean, log_deviation = moments
    return mean + ops.exp(log_deviation) * sampling.normal(ops.shape(mean), seed)


def divergence_of(moments: Moments) -> Tensor:
    """Divergence of each component of the noise from a standard normal in nats, with the shape of the moments."""
    mean, log_deviation = moments
    return 0.5 * (mean**2 + ops.exp(2 * log_deviation) - 1 - 2 * log_deviation)


class Mixture(NamedTuple):
    """Gaussian mixtures with diagonal covariances.

    Attributes:
        logits: float32[..., m], logits of the components' weights.
        means: float32[..., m, n].
        log_deviations: float32[..., m, n].
    """

    logits: Tensor
    means: Tensor
    log_deviations: Tensor

    def log_probability(self, noise: Tensor) -> Tensor:
        """Log density, float32[...], of noise, float32[..., n]."""
        scaled = (noise[..., None, :] - self.means) * ops.exp(-self.log_deviations)
        of_components = -ops.sum(0.5 * scaled**2 + self.log_deviations + 0.5 * np.log(2 * np.pi), axis=-1)
        return ops.logsumexp(ops.log_softmax(self.logits) + of_components, axis=-1)

    def sample(self, uniform: Tensor, normal: Tensor) -> Tensor:
        """Noise, float32[..., n]: `uniform`, [...] in [0, 1), selects the component, `normal`, [..., n], samples it."""
        below = ops.cumsum(small_softmax(self.logits), axis=-1) <= uniform[..., None]
        chosen = ops.minimum(ops.sum(ops.cast(below, "int32"), axis=-1), self.logits.shape[-1] - 1)
        mean, log_deviation = (self._of(parts, chosen) for parts in (self.means, self.log_deviations))
        return mean + ops.exp(log_deviation) * normal

    def likeliest(self, *, close: float = 0.0) -> Tensor:
        """The mean of the heaviest component, float32[..., n].

        If several components share a mode, none of them is at its centre. With `close`, a bandwidth in units of the
        noise, the result is the mean of the components around the heaviest one, by one step of mean shift (Fukunaga and
        Hostetler, 1975).
        """
        middle = self._of(self.means, ops.argmax(self.logits, axis=-1))
        if not close:
            return middle
        distance = ops.sum((self.means - ops.expand_dims(middle, -2)) ** 2, axis=-1)
        weights = ops.softmax(self.logits - 0.5 * distance / close**2)
        return ops.sum(ops.expand_dims(weights, -1) * self.means, axis=-2)

    def _of(self, parts: Tensor, chosen: Tensor) -> Tensor:
        return ops.sum(ops.one_hot(chosen, self.logits.shape[-1])[..., None] * parts, axis=-2)


@keras.saving.register_keras_serializable(package="easel")
class NoisePrior(keras.layers.Layer):
    """A mixture density network (Bishop, 1994) from a caption embedding to noise.

    The noise of a caption's pictures is not standard normal: for a complete caption it is concentrated in a small
    region, and for a caption that leaves a colour open, in a region for each colour. With noise from the mixture,
    drawings vary as much as the data.

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
        return self(embedding).log_probability(noise)

    def sample(self, embedding: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
        """Noise for captions.

        Args:
            embedding: float32[b, d].
            uniform: float32[b] in [0, 1), selects the component.
            normal: float32[b, n], standard normal; zeros for the mean of the component.

        Returns:
            float32[b, n].
        """
        return self(embedding).sample(uniform, normal)

    def likeliest(self, embedding: Tensor) -> Tensor:
        """The mean of each caption's heaviest component: float32[b, d] -> float32[b, n]."""
        return self(embedding).likeliest()
