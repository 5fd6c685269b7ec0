"""Conversion of the arguments of every `generate()`: a string, a list of strings, or a dataset of string batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# More than any caption contains, but small enough that sums fit into int32.
MOST_PIECES = 2**30


def as_strings(texts: str | Sequence[str] | tf.data.Dataset) -> tuple[list[str], bool]:
    """Texts as a list, and whether a single string was given. Characters that UTF-8 cannot encode become U+FFFD.

    Raises:
        ValueError: There is no text.
    """
    if isinstance(texts, str):
        return [encodable(texts)], True
    if isinstance(texts, tf.data.Dataset):
        texts = [text.decode(errors="replace") for batch in texts.as_numpy_iterator() for text in np.atleast_1d(batch)]
    if len(texts) == 0:
        raise ValueError("There is no text: give a string, or a list or dataset with at least one.")
    return [encodable(text) for text in texts], False


def encodable(text: str) -> str:
    """The text with U+FFFD for lone surrogates, to which Python decodes invalid bytes from a terminal."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_rows(value: Any, rows: int, name: str, dtype: type) -> NDArray[Any]:
    """One value for every row: a scalar is repeated.

    Raises:
        ValueError: The number of values is neither 1 nor `rows`, or a value does not fit the dtype.
    """
    try:
        values: NDArray[Any] = np.asarray(value, dtype)
    except OverflowError:
        raise ValueError(f"{name} is {value}; it must fit {np.dtype(dtype).name}.") from None
    if values.ndim == 0:
        return np.full(rows, values)
    if values.shape != (rows,):
        raise ValueError(f"{name} has shape {values.shape}; give one for all {rows} texts, or one for each.")
    return values


def as_temperatures(value: Any, rows: int) -> NDArray[np.float32]:
    """Temperatures for every row; see `as_rows`.

    Raises:
        ValueError: A temperature is negative or not finite, or their number is neither 1 nor `rows`.
    """
    temperatures = as_rows(value, rows, "temperature", np.float32)
    allowed = np.isfinite(temperatures) & (temperatures >= 0)
    if not allowed.all():
        raise ValueError(f"The temperature is {temperatures[~allowed][0]:g}; it must be 0 or more, and finite.")
    return temperatures


def as_lengths(value: Any, rows: int) -> NDArray[np.int32]:
    """Lengths for every row; see `as_rows`.

    Raises:
        ValueError: A length is negative, or their number is neither 1 nor `rows`.
    """
    lengths = as_rows(value, rows, "length", np.int64)
    if (lengths < 0).any():
        raise ValueError(f"The length is {lengths.min()}; it must be 0 or more.")
    return np.minimum(lengths, MOST_PIECES).astype(np.int32)
