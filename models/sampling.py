"""Stateless randomness: what is drawn depends on a seed alone, and by row on that of the row, whatever its batch.

The same seed draws other numbers on TensorFlow than on JAX.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from keras import ops

from models.backends import backend
from models.tensors import Tensor


def normal(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
    """Standard normal draws.

    Args:
        shape: Of the draws.
        seed: int[2], any values.

    Returns:
        float32 of the shape.
    """
    return backend.normal(shape, seed)


def uniform(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
    """Uniform draws in [0, 1); arguments and result as for `normal`."""
    return backend.uniform(shape, seed)


def normal_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Standard normal draws by row.

    Args:
        seeds: int64[b], any values.
        size: Draws for each row.
        stream: Tells independent uses of the same seed apart.

    Returns:
        float32[b, size].
    """
    return backend.by_row(lambda seed: normal([size], pair(seed, stream)), seeds, [size])


def uniform_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Uniform draws in [0, 1); arguments and result as for `normal_rows`."""
    return backend.by_row(lambda seed: uniform([size], pair(seed, stream)), seeds, [size])


class Draw(NamedTuple):
    """What every row of a batch draws of its own seed.

    Attributes:
        kind: Standard normal, or uniform in [0, 1).
        stream: Tells independent uses of the same seed apart.
        shape: Of one row's draws.
    """

    kind: Literal["normal", "uniform"]
    stream: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers a row draws."""
        return math.prod(self.shape)

    def rows(self, seeds: Tensor) -> Tensor:
        """Draws of seeds, int64[b]: float32[b, *shape]."""
        by_row = normal_rows if self.kind == "normal" else uniform_rows
        return ops.reshape(by_row(seeds, self.size, stream=self.stream), [-1, *self.shape])


def pair(first: Tensor, second: Tensor | int) -> Tensor:
    """Two integer scalars as one seed, int[2] of the first one's dtype."""
    return ops.stack([first, ops.convert_to_tensor(second, first.dtype)])
