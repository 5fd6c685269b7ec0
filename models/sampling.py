"""Stateless random numbers: they depend only on a seed, and for rows on the seed of the row, whatever its batch.

The same seed gives different numbers on TensorFlow and on JAX.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from keras import ops

from models.backends import backend
from models.tensors import Tensor


def normal(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
    """Standard normal random numbers.

    Args:
        shape: Shape of the result.
        seed: int[2], any values.

    Returns:
        float32 of the shape.
    """
    return backend.normal(shape, seed)


def uniform(shape: Sequence[int | Tensor], seed: Tensor) -> Tensor:
    """Uniform random numbers in [0, 1); arguments and result as for `normal`."""
    return backend.uniform(shape, seed)


def normal_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Standard normal random numbers for rows with their own seeds.

    Args:
        seeds: int64[b], any values.
        size: How many numbers each row gets.
        stream: Distinguishes independent uses of the same seed.

    Returns:
        float32[b, size].
    """
    return backend.by_row(lambda seed: normal([size], pair(seed, stream)), seeds, [size])


def uniform_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Uniform random numbers in [0, 1); arguments and result as for `normal_rows`."""
    return backend.by_row(lambda seed: uniform([size], pair(seed, stream)), seeds, [size])


class Draw(NamedTuple):
    """A description of random numbers that each row of a batch draws from its own seed.

    Attributes:
        kind: Standard normal, or uniform in [0, 1).
        stream: Distinguishes independent uses of the same seed.
        shape: Shape of the numbers of one row.
    """

    kind: Literal["normal", "uniform"]
    stream: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers each row draws."""
        return math.prod(self.shape)

    def rows(self, seeds: Tensor) -> Tensor:
        """The random numbers for seeds, int64[b]: float32[b, *shape]."""
        by_row = normal_rows if self.kind == "normal" else uniform_rows
        return ops.reshape(by_row(seeds, self.size, stream=self.stream), [-1, *self.shape])


def pair(first: Tensor, second: Tensor | int) -> Tensor:
    """Two integer scalars as one seed, int[2] of the first one's dtype."""
    return ops.stack([first, ops.convert_to_tensor(second, first.dtype)])
