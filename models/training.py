"""What all trainings have in common: pure losses, and a step that every backend takes in its own way."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import keras
from keras import ops

from models import sampling
from models.backends import backend
from models.tensors import Tensor

Losses: TypeAlias = dict[str, Tensor]


class Update(NamedTuple):
    """One update of a training step.

    Attributes:
        loss: From a batch to what is minimised, a scalar, and the losses to report by name.
        variables: What is updated.
        optimizer: Updates them.
    """

    loss: Callable[[Any], tuple[Tensor, Losses]]
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer


class Training(keras.Model):
    """A model that is only there to be fitted; its step is the updates, one after the other.

    A loss is a function in `keras.ops`. What it keeps from step to step is in Keras variables, and what it draws at
    random comes of `seed_of`; so every backend takes the same step.

    Args:
        seed: Of what the steps draw at random.
    """

    def __init__(self, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.built = True

    def updates(self) -> list[Update]:
        """What a step does: of each update the loss sees what those before it did."""
        raise NotImplementedError

    def train_step(self, *inputs: Any) -> Any:
        """The step as Keras calls it, with a batch, and on JAX with the variables' values before it."""
        return backend.train_step(self, *inputs)

    def seed_of(self, purpose: str) -> Tensor:
        """The seed, int[2], of what is drawn for one purpose in this step."""
        step = ops.cast(self.optimizer.iterations, "int32")
        return sampling.pair(step, zlib.crc32(f"{self.seed} {purpose}".encode()) >> 1)


class ScheduledTraining(Training):
    """A training whose losses change as it goes on.

    Args:
        steps: Of the training.
        seed: Of what the steps draw at random.
    """

    def __init__(self, *, steps: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.steps = steps

    @property
    def progress(self) -> Tensor:
        """How much of the training is done, 0..1."""
        return ops.minimum(ops.cast(self.optimizer.iterations, "float32") / self.steps, 1.0)
