from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.backends.tensorflow import gradients_of
from models.training import Training, Update


class Race(Training):
    """Two numbers, each with an optimizer of its own: the second one runs after the first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first = self.add_weight(name="first", initializer="zeros")
        self.second = self.add_weight(name="second", initializer="zeros")
        self.pursuing = keras.optimizers.SGD(1.0)

    def updates(self) -> list[Update]:
        def flee(goal: Any) -> tuple[Any, dict[str, Any]]:
            return 0.5 * (self.first - goal) ** 2, {"first": self.first * 1}

        def pursue(_: Any) -> tuple[Any, dict[str, Any]]:
            return 0.5 * (self.second - self.first) ** 2, {"second": self.second * 1}

        return [Update(flee, [self.first], self.optimizer), Update(pursue, [self.second], self.pursuing)]


def test_an_update_sees_what_those_before_it_did() -> None:
    training = Race()
    training.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    losses = training.train_step(tf.constant(3.0))
    assert {name: float(loss) for name, loss in losses.items()} == {"first": 0.0, "second": 0.0}
    assert (float(training.first), float(training.second)) == (3.0, 3.0)


def test_variables_without_a_part_in_the_loss_have_no_gradient() -> None:
    weight, unused = keras.Variable([[1.0], [2.0]]), keras.Variable([5.0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.convert_to_tensor(weight) ** 2)
    first, second = gradients_of(loss, [weight, unused], tape)
    assert (first.numpy().tolist(), second.numpy().tolist()) == ([[2.0], [4.0]], [0.0])


@pytest.mark.parametrize("xla", [False, True])
def test_the_seed_the_step_and_the_purpose_decide_what_is_drawn(xla: bool) -> None:
    def drawn(seed: int, step: int, purpose: str) -> tuple[float, ...]:
        training = Race(seed=seed)
        training.compile(optimizer=keras.optimizers.Adam())
        training.optimizer.iterations.assign(step)
        draw = tf.function(lambda: training.chance.normal(purpose, [4]), jit_compile=xla)
        return tuple(np.asarray(draw()).tolist())

    one = drawn(1, 5, "patches")
    assert drawn(1, 5, "patches") == one
    assert len({one, drawn(2, 5, "patches"), drawn(1, 6, "patches"), drawn(1, 5, "posterior")}) == 4
