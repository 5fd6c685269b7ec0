"""Arrays that may be larger than memory: mapped files, whose pages are read when they are needed.

Mapped pages belong to the file, so the system can drop them whenever it needs the memory.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import DTypeLike, NDArray

PART = 4096
"""Number of rows that are computed at once."""
ALIGNED = 64
"""Alignment in bytes that TensorFlow expects of a tensor's address."""


def mapped(file: Path, dtype: DTypeLike) -> NDArray[Any]:
    """The values in a raw file, as a one-dimensional array; changes to them stay in memory."""
    # TensorFlow copies read-only arrays, so the mapping is private and writable.
    return np.memmap(file, dtype, mode="c") if file.stat().st_size else np.zeros(0, dtype)


def zeros_beside(array: NDArray[Any], shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros in memory or, if `array` is a mapped file, in an unnamed file of the same folder."""
    if not isinstance(array, np.memmap) or 0 in shape:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(dir=Path(str(array.filename)).parent) as file:
        return np.memmap(file, dtype, mode="w+", shape=tuple(shape))


def as_tensor(array: NDArray[Any]) -> tf.Tensor:
    """A tensor on the CPU that shares the memory of a mapped file; a copy of any other array."""
    is_mapped = isinstance(array, np.memmap) and array.size and array.flags.c_contiguous
    if is_mapped and array.ctypes.data % ALIGNED == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.constant(array)


def parts(rows: int) -> Iterator[slice]:
    """Slices that cover a number of rows, `PART` at a time."""
    return (slice(start, start + PART) for start in range(0, rows, PART))
