"""The distribution of the noise of a picture's parts, each given the caption and the parts before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from models.layers import leaky
from models.noise import Mixture
from models.tensors import Tensor

CLOSE = 0.4
"""Bandwidth, in units of the noise, within which `likeliest` averages the components of a place."""


class NoiseSizes(NamedTuple):
    """How many numbers of a part's noise determine each property, in this order.

    Attributes:
        place: Position and size of a part; not used for the background.
        shape: Outline and inner edges.
        colour: Colours.
    """

    place: int
    shape: int
    colour: int

    @property
    def cuts(self) -> list[int]:
        """Indices at which the noise of a part is split."""
        return [self.place, self.place + self.shape]


@keras.saving.register_keras_serializable(package="easel")
class MixtureLayer(keras.layers.Layer):
    """Maps features to a mixture of normal distributions (mixture density network, Bishop, 1994).

    Args:
        size: Dimension of the distributions, n.
        components: Number of normal distributions in a mixture, m.
    """

    def __init__(self, size: int, components: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.components = components
        self.dense = keras.layers.Dense(
            components * (1 + 2 * size), kernel_initializer=keras.initializers.VarianceScaling(0.1), name="mixture_of"
        )

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Initialize the means far apart, so that the components differ from the start."""
        self.dense.build(shape)
        middle = keras.random.normal([self.components * self.size])
        edges = [[self.components, self.components * self.size]]
        self.dense.bias.assign(ops.pad(middle, edges))

    def call(self, x: Tensor) -> Mixture:
        """float32[..., c] -> mixtures over float32[..., n]."""
        count = self.components
        logits, means, log_deviations = ops.split(self.dense(x), [count, count * (1 + self.size)], axis=-1)
        shape = [-1, *x.shape[1:-1], count, self.size]
        return Mixture(logits, ops.reshape(means, shape), ops.clip(ops.reshape(log_deviations, shape), -5.0, 2.0))


@keras.saving.register_keras_serializable(package="easel")
class PartPrior(keras.layers.Layer):
    """An autoregressive prior over the parts of a picture, beginning with the background, with mixtures for each part.

    Each part is conditioned on those before it, because their places have to agree when one stands on another. The
    shape of a part is sampled first, then its colour, then its place, each given the shape: the mixture of shapes needs
    a component for each pose, that of colours one for each colour, and none is needed for every combination.

    Args:
        sizes: Sizes of a part's noise.
        components: Number of normal distributions in a mixture.
        width: Units of the hidden layers.
    """

    def __init__(self, sizes: NoiseSizes, components: int, *, width: int = 192, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = NoiseSizes(*sizes)
        self.hidden = [keras.layers.Dense(width, activation=leaky) for _ in range(2)]
        self.to_colour = keras.layers.Dense(width, activation=leaky)
        self.to_place = keras.layers.Dense(width, activation=leaky)
        self.shapes = MixtureLayer(self.sizes.shape, components)
        self.colours = MixtureLayer(self.sizes.colour, components)
        self.places = MixtureLayer(self.sizes.place, components)

    def nats(self, noise_BxKxN: Tensor, mixed_BxKxC: Tensor) -> Tensor:
        """Negative log-likelihood of noise in nats, float32[b, k], given the encoded captions; the background first."""
        parts, size = noise_BxKxN.shape[1:]
        order = [parts - 1, *range(parts - 1)]
        noise, mixed = (ops.take(x, order, axis=1) for x in (noise_BxKxN, mixed_BxKxC))
        earlier = np.kron(np.tril(np.ones((parts, parts), np.float32), -1), np.ones((1, size), np.float32))
        before = ops.reshape(noise, [-1, 1, parts * size]) * earlier
        x = self._read(mixed, before)
        place, shape, colour = ops.split(noise, self.sizes.cuts, axis=-1)
        look = self.shapes(x).log_probability(shape) + self._colours(x, shape).log_probability(colour)
        is_thing = np.arange(parts) > 0
        return -look - is_thing.astype(np.float32) * self._places(x, shape).log_probability(place)

    def sample(self, mixed_BxKxC: Tensor, present_BxT: Tensor, uniform_BxKx3: Tensor, normal_BxKxN: Tensor) -> Tensor:
        """Sample noise, float32[b, k, n].

        Args:
            mixed_BxKxC: What captions say about the parts.
            present_BxT: Whether each of the first k - 1 parts is present, bool[b, k - 1]; the noise of others is zero.
            uniform_BxKx3: Random numbers in [0, 1) that select the components of place, shape and colour.
            normal_BxKxN: Standard normal; zeros for the means of the components.
        """
        normals = ops.split(normal_BxKxN, self.sizes.cuts, axis=-1)

        def draw(mixture: Mixture, part: int, number: int) -> Tensor:
            return mixture.sample(uniform_BxKx3[:, part, number], normals[number][:, part])

        return self._walk(mixed_BxKxC, present_BxT, draw)

    def likeliest(self, mixed_BxKxC: Tensor, present_BxT: Tensor) -> Tensor:
        """The mean of each part's heaviest component, float32[b, k, n]; places are averaged with nearby components."""
        return self._walk(
            mixed_BxKxC, present_BxT, lambda mixture, _, number: mixture.likeliest(close=0.0 if number else CLOSE)
        )

    def _walk(self, mixed: Tensor, present: Tensor, draw: Callable[[Mixture, int, int], Tensor]) -> Tensor:
        parts = mixed.shape[1]
        shown = ops.expand_dims(ops.cast(present, "float32"), -1)
        unknown, done = ops.zeros([ops.shape(mixed)[0], sum(self.sizes)]), list[Tensor]()
        for part in [parts - 1, *range(parts - 1)]:
            x = self._read(mixed[:, part], ops.concatenate([*done, *[unknown] * (parts - len(done))], axis=-1))
            shape = draw(self.shapes(x), part, 1)
            colour = draw(self._colours(x, shape), part, 2)
            if part == parts - 1:
                done.append(ops.concatenate([unknown[:, : self.sizes.place], shape, colour], axis=-1))
            else:
                place = draw(self._places(x, shape), part, 0)
                done.append(shown[:, part] * ops.concatenate([place, shape, colour], axis=-1))
        return ops.stack([*done[1:], done[0]], axis=1)

    def _read(self, mixed: Tensor, before: Tensor) -> Tensor:
        first, second = self.hidden
        return second(first(ops.concatenate([mixed, before], axis=-1)))

    def _colours(self, x: Tensor, shape: Tensor) -> Mixture:
        return self.colours(self.to_colour(ops.concatenate([x, shape], axis=-1)))

    def _places(self, x: Tensor, shape: Tensor) -> Mixture:
        return self.places(self.to_place(ops.concatenate([x, shape], axis=-1)))
