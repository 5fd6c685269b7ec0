"""Which noise the parts of a picture come from, each given the caption and the parts before it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.layers import leaky
from models.noise import Mixture
from models.tensors import Tensor


@keras.saving.register_keras_serializable(package="easel")
class PartPrior(keras.layers.Layer):
    """Mixture density networks (Bishop, 1994) in a row, from the background on: a part's noise knows those before it.

    Where one thing stands on another, where they stand has to agree; where a caption leaves a colour open, there is a
    component for each. So seeds differ as much as the data do.

    Args:
        noise_size: Width of a part's noise, n.
        components: Gaussians in a mixture, m.
        width: Units of the hidden layers.
    """

    def __init__(self, noise_size: int, components: int, *, width: int = 192, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.noise_size = noise_size
        self.components = components
        self.width = width
        self.hidden = [keras.layers.Dense(width, activation=leaky) for _ in range(2)]
        spread = keras.initializers.RandomNormal(stddev=1.0)
        self.weights_of = keras.layers.Dense(components, kernel_initializer="zeros", name="weights_of")
        self.means_of = keras.layers.Dense(components * noise_size, bias_initializer=spread, name="means_of")
        self.deviations_of = keras.layers.Dense(
            components * noise_size, kernel_initializer="zeros", name="deviations_of"
        )

    def nats(self, noise_BxKxN: Tensor, mixed_BxKxC: Tensor) -> Tensor:
        """What noise costs in nats, float32[b, k], given what captions say of the parts; the background comes first."""
        parts = noise_BxKxN.shape[1]
        order = [parts - 1, *range(parts - 1)]
        noise, mixed = (ops.take(x, order, axis=1) for x in (noise_BxKxN, mixed_BxKxC))
        earlier = np.kron(np.tril(np.ones((parts, parts), np.float32), -1), np.ones((1, self.noise_size), np.float32))
        before = ops.reshape(noise, [-1, 1, parts * self.noise_size]) * earlier
        return -self._mixture(mixed, before).log_probability(noise)

    def sample(self, mixed_BxKxC: Tensor, present_BxT: Tensor, uniform_BxK: Tensor, normal_BxKxN: Tensor) -> Tensor:
        """Draw noise, float32[b, k, n].

        Args:
            mixed_BxKxC: What captions say of the parts.
            present_BxT: Which of the first k - 1 parts are there, bool[b, k - 1]; the noise of others is zero.
            uniform_BxK: In [0, 1), which chooses the components.
            normal_BxKxN: Standard normal; zeros for the middles of the components.
        """
        return self._walk(
            mixed_BxKxC,
            present_BxT,
            lambda mixture, part: mixture.sample(uniform_BxK[:, part], normal_BxKxN[:, part]),
        )

    def likeliest(self, mixed_BxKxC: Tensor, present_BxT: Tensor) -> Tensor:
        """The middle of the heaviest component of each part, float32[b, k, n]."""
        return self._walk(mixed_BxKxC, present_BxT, lambda mixture, _: mixture.likeliest())

    def _walk(self, mixed: Tensor, present: Tensor, draw: Callable[[Mixture, int], Tensor]) -> Tensor:
        parts = mixed.shape[1]
        present = ops.pad(ops.cast(present, "float32"), [[0, 0], [0, 1]], constant_values=1.0)
        unknown, done = ops.zeros([ops.shape(mixed)[0], self.noise_size]), list[Tensor]()
        for part in [parts - 1, *range(parts - 1)]:
            before = ops.concatenate([*done, *[unknown] * (parts - len(done))], axis=-1)
            done.append(present[:, part, None] * draw(self._mixture(mixed[:, part], before), part))
        return ops.stack([*done[1:], done[0]], axis=1)

    def _mixture(self, mixed: Tensor, before: Tensor) -> Mixture:
        first, second = self.hidden
        x = second(first(ops.concatenate([mixed, before], axis=-1)))
        shape = [-1, *x.shape[1:-1], self.components, self.noise_size]
        log_deviations = ops.clip(ops.reshape(self.deviations_of(x), shape), -5.0, 2.0)
        return Mixture(self.weights_of(x), ops.reshape(self.means_of(x), shape), log_deviations)
