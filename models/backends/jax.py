"""The functions for JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import keras
from keras import ops

if TYPE_CHECKING:
    from models.training import Losses, Training, Update

Values: TypeAlias = list[jax.Array]


def normal(shape: Sequence[int], seed: jax.Array) -> jax.Array:
    """Standard normal random numbers from a seed, int[2]."""
    return jax.random.normal(jax.random.wrap_key_data(seed.astype("uint32")), shape)


def uniform(shape: Sequence[int], seed: jax.Array) -> jax.Array:
    """Uniform random numbers in [0, 1) from a seed, int[2]."""
    return jax.random.uniform(jax.random.wrap_key_data(seed.astype("uint32")), shape)


def product(x: jax.Array, y: jax.Array, *, transpose_x: bool = False, transpose_y: bool = False) -> jax.Array:
    """Products of small matrices, [..., n, m] and [..., m, k], or of their transposes, in batches."""
    x, y = (ops.swapaxes(each, -1, -2) if swap else each for each, swap in ((x, transpose_x), (y, transpose_y)))
    return ops.matmul(x, y)


def by_row(draw: Callable[[jax.Array], jax.Array], seeds: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Random numbers from the seed of each row, int[b]: float32[b, *shape]."""
    return jax.vmap(draw)(seeds)


def in_xla() -> bool:
    """Whether XLA compiles the function being traced; always true for JAX."""
    return True


def resize(pictures: jax.Array, size: Sequence[int]) -> jax.Array:
    """Bilinear resize to a height and a width."""
    return ops.image.resize(pictures, size)


def repeated(function: Callable[[jax.Array], jax.Array], x: jax.Array, times: int) -> jax.Array:
    """Apply a function repeatedly in a loop, because XLA would fuse a chain of stencils into one."""
    return jax.lax.fori_loop(0, times, lambda _, value: function(value), x)


def mean_over_workers(gradients: list[jax.Array]) -> list[jax.Array]:
    """Return the gradients unchanged: there is only one worker."""
    return gradients


def train_step(training: Training, state: tuple[Values, ...], batch: Any) -> tuple[Losses, tuple[Values, ...]]:
    """Take a training step: map the values of all variables, grouped as in Keras, to the values after the step."""
    groups = (
        training.trainable_variables,
        training.non_trainable_variables,
        training.optimizer.variables,
        training.metrics_variables,
    )
    variables = [variable for group in groups for variable in group]
    values = [value for group in state for value in group]
    reported: Losses = {}
    for update in training.updates():
        losses, values = apply(update, batch, variables, values)
        reported |= losses
    rest = iter(values)
    return reported, tuple([next(rest) for _ in group] for group in groups)


def apply(update: Update, batch: Any, variables: list[keras.Variable], values: Values) -> tuple[Losses, Values]:
    """Take one update of a step: map the values of all variables to the values after it."""

    def loss_of(weights: Values) -> tuple[jax.Array, tuple[Losses, Values]]:
        mapping = [*zip(variables, values, strict=True), *zip(update.variables, weights, strict=True)]
        (loss, losses), after = within(mapping, lambda: update.loss(batch))
        return loss, (losses, after)

    def within(mapping: list[tuple[keras.Variable, jax.Array]], function: Callable[[], Any]) -> tuple[Any, Values]:
        with keras.StatelessScope(state_mapping=mapping) as scope:
            result = function()
        return result, [scope.get_current_value(variable) for variable in variables]

    places = {id(variable): number for number, variable in enumerate(variables)}
    weights = [values[places[id(variable)]] for variable in update.variables]
    gradients, (losses, values) = jax.grad(loss_of, has_aux=True)(weights)
    mapping = list(zip(variables, values, strict=True))
    _, values = within(mapping, lambda: update.optimizer.apply(gradients, update.variables))
    return losses, values
