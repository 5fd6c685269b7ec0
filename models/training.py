"""The base classes of all trainings: losses in `keras.ops`, and a training step that each backend implements."""

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
        loss: From a batch to the scalar to minimise, and the losses to report by name.
        variables: The variables to update.
        optimizer: The optimizer that updates them.
    """

    loss: Callable[[Any], tuple[Tensor, Losses]]
    variables: list[keras.Variable]
    optimizer: keras.optimizers.Optimizer


class Training(keras.Model):
    """A model that is used only for `fit`; its training step consists of `updates`, one after the other.

    Losses are functions in `keras.ops`, state is in Keras variables, and random numbers are seeded by `seed_of`; so
    the step is the same on every backend.

    Args:
        seed: Seed of the random numbers of the steps.
    """

    def __init__(self, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.built = True

    def updates(self) -> list[Update]:
        """The updates of a step; the loss of each is computed after the updates before it."""
        raise NotImplementedError

    def train_step(self, *inputs: Any) -> Any:
        """The step that Keras calls, with a batch; on JAX, the values of the variables come first."""
        return backend.train_step(self, *inputs)

    def seed_of(self, purpose: str) -> Tensor:
        """The seed, int[2], of the random numbers for one purpose in this step."""
        step = ops.cast(self.optimizer.iterations, "int32")
        return sampling.pair(step, zlib.crc32(f"{self.seed} {purpose}".encode()) >> 1)


class ScheduledTraining(Training):
    """A training whose losses change with its progress.

    Args:
        steps: Number of training steps.
        seed: Seed of the random numbers of the steps.
    """

    def __init__(self, *, steps: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.steps = steps

    @property
    def progress(self) -> Tensor:
        """The completed share of the training, 0..1."""
        return ops.minimum(ops.cast(self.optimizer.iterations, "float32") / self.steps, 1.0)
