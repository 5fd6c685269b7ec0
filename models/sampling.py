"""Stateless randomness: what is drawn depends on a seed alone, and by row on that of the row, whatever its batch.

The same seed draws other numbers on TensorFlow than on JAX.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from models.backends import backend
from models.tensors import Tensor


class Chance(NamedTuple):
    """What decides everything that a step leaves to chance.

    Attributes:
        seed: Of all steps.
        step: The number of this one, an integer scalar.
    """

    seed: int
    step: Tensor

    def uniform(self, purpose: str, shape: Sequence[int | Tensor]) -> Tensor:
        """Uniform draws in [0, 1), float32 of a shape; those for another purpose are independent."""
        return backend.uniform(shape, self.of(purpose))

    def normal(self, purpose: str, shape: Sequence[int | Tensor]) -> Tensor:
        """Standard normal draws, float32 of a shape; those for another purpose are independent."""
        return backend.normal(shape, self.of(purpose))

    def of(self, purpose: str) -> Tensor:
        """The seed of what is drawn for one purpose, int32[2]."""
        return pair(ops.cast(self.step, "int32"), zlib.crc32(f"{self.seed} {purpose}".encode()) >> 1)

    def seeds(self, rows: int | Tensor) -> Tensor:
        """A seed for each row of this step, int32[rows], that no other step has."""
        return (
            ops.cast(self.step, "int32") * rows
            + ops.arange(rows, dtype="int32")
            + (zlib.crc32(f"{self.seed}".encode()) >> 1)
        )


def normal_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Standard normal draws by row.

    Args:
        seeds: int64[b], any values.
        size: Draws for each row.
        stream: Tells independent uses of the same seed apart.

    Returns:
        float32[b, size].
    """
    return backend.by_row(lambda seed: backend.normal([size], pair(seed, stream)), seeds, [size])


def uniform_rows(seeds: Tensor, size: int, *, stream: int) -> Tensor:
    """Uniform draws in [0, 1); arguments and result as for `normal_rows`."""
    return backend.by_row(lambda seed: backend.uniform([size], pair(seed, stream)), seeds, [size])


def pair(first: Tensor, second: Tensor | int) -> Tensor:
    """Two integer scalars as one seed, int[2] of the first one's dtype."""
    return ops.stack([first, ops.convert_to_tensor(second, first.dtype)])
