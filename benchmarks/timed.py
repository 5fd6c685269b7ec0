"""Training on JAX for a given time: for a GPU on a machine that has JAX and no TensorFlow."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from models.tensors import Tensor
from models.training import ScheduledTraining, Training

CHUNK = 25
"""Steps that one call takes; the learning rate is the same in all of them."""
WARMUP_STEPS = 200


class Taken(NamedTuple):
    """What a training took.

    Attributes:
        steps: Taken.
        compiling: Seconds of compilation.
        training: Seconds of training after it.
        losses: The means of the last steps, by name.
    """

    steps: int
    compiling: float
    training: float
    losses: dict[str, float]


def fit_for(
    training: Training,
    pick: Callable[[Any, Tensor, Tensor], dict[str, Tensor]],
    data: Callable[[], Any],
    like: Any,
    *,
    total: int,
    batch_size: int,
    seconds: float,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Taken:
    """Train until the time is over, compilation included; the learning rate falls along a cosine of the clock.

    A `ScheduledTraining` goes by the clock as well: when half of the time is gone, so are half of its `steps`. Where
    its optimizer averages the weights, the averages are what it leaves behind.

    Args:
        training: Compiled, with the peak of the learning rate; what it learned is in its variables afterwards.
        pick: From the data, a batch's number and its rows, int32[batch_size], to the batch.
        data: Gives arrays, a tree of them; called after the compilation, so that they can be made meanwhile.
        like: Their shapes and dtypes, as `jax.ShapeDtypeStruct` has them.
        total: Rows to choose from, each as likely as any other.
        batch_size: Rows in a batch.
        seconds: Time to take; at least one chunk of steps is taken, however long it takes.
        seed: Of the rows.
        say: Told from time to time what the losses are.
    """
    started = time.monotonic()
    optimizer = training.optimizer
    optimizer.build(training.trainable_variables)
    groups = (
        training.trainable_variables,
        training.non_trainable_variables,
        optimizer.variables,
        training.metrics_variables,
    )
    rate = next(place for place, each in enumerate(optimizer.variables) if each is optimizer.learning_rate)
    done = next(place for place, each in enumerate(optimizer.variables) if each is optimizer.iterations)
    peak, key = float(optimizer.learning_rate), jax.random.key(seed)

    def chunk(state: Any, arrays: Any, first: jax.Array, rate_now: jax.Array) -> tuple[Any, Any]:
        def step(state: Any, number: jax.Array) -> tuple[Any, Any]:
            rows = jax.random.randint(jax.random.fold_in(key, number), [batch_size], 0, total)
            losses, state = training.train_step(state, pick(arrays, number, rows))
            return state, losses

        state[2][rate] = rate_now
        return jax.lax.scan(step, state, first + np.arange(CHUNK, dtype=np.int32))

    state = tuple([jax.numpy.array(variable.value) for variable in group] for group in groups)
    # Not the first call's doing: what is compiled ahead can wait for its data.
    take = jax.jit(chunk, donate_argnums=0).lower(state, like, np.int32(0), np.float32(peak)).compile()
    compiling = time.monotonic() - started
    say(f"compiled in {compiling:.0f} s")
    arrays = jax.device_put(data())
    begun, steps, losses = time.monotonic(), 0, {}
    while not steps or time.monotonic() - started < seconds:
        share = min(1.0, (time.monotonic() - begun) / max(1.0, seconds - (begun - started)))
        if isinstance(training, ScheduledTraining):
            state[2][done] = jax.numpy.asarray(share * training.steps, state[2][done].dtype)
        state, reported = take(state, arrays, np.int32(steps), np.float32(cosine(peak, share, steps)))
        steps += CHUNK
        losses = {name: float(np.mean(values)) for name, values in reported.items()}
        if steps // CHUNK % 40 == 1:
            say(f"step {steps}, {time.monotonic() - started:.0f} s: {losses}")
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    optimizer.finalize_variable_values(training.trainable_variables)
    return Taken(steps, compiling, time.monotonic() - begun, losses)


def cosine(peak: float, share: float, steps: int, *, floor: float = 0.005) -> float:
    """A rate that rises over the first steps and falls with the share of the time, from `peak` to `floor` of it."""
    fall = floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * share))
    return float(peak * min(1.0, (steps + 1) / WARMUP_STEPS) * fall)
