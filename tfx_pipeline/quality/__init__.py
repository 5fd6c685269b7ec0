"""Measured quality: one module a group of rows, each with a `measure` function, and what they share."""

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Pictures = NDArray[np.uint8]
"""uint8[n, s, s, 3]: RGB."""
Draw = Callable[[list[str], list[int]], Pictures]
"""What is measured: n captions and n seeds to n pictures, each from its own caption and seed alone."""


def timed(train: Callable[[], T]) -> tuple[T, dict[str, float]]:
    """What a training gives, and `training_minutes` by the clock, compilation included."""
    started = time.monotonic()
    trained = train()
    return trained, {"training_minutes": (time.monotonic() - started) / 60}
