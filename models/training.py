"""What all trainings have in common: pure losses, and a step that every backend takes in its own way."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self, TypeAlias

import keras

from models.backends import backend
from models.sampling import Chance
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
    random comes of `chance`; so every backend takes the same step.

    Args:
        seed: Of what the steps draw at random.
    """

    def __init__(self, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The arguments that every training's constructor has."""
        return {**super().get_config(), "seed": self.seed}

    def arguments(self, *names: str) -> dict[str, Any]:
        """Further arguments of the constructor, which it keeps by their names, as `get_config` gives them."""
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild the training and the models that it trains."""
        return cls(**{name: keras.saving.deserialize_keras_object(argument) for name, argument in config.items()})

    def updates(self) -> list[Update]:
        """What a step does: of each update the loss sees what those before it did."""
        raise NotImplementedError

    def train_step(self, *inputs: Any) -> Any:
        """The step as Keras calls it, with a batch, and on JAX with the variables' values before it."""
        return backend.train_step(self, *inputs)

    @property
    def chance(self) -> Chance:
        """What decides everything random of this step."""
        return Chance(self.seed, self.optimizer.iterations)
