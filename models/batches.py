"""The grammar of every `generate()`: a string, a list of strings or a dataset of string batches goes in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def as_strings(texts: str | Sequence[str] | tf.data.Dataset) -> tuple[list[str], bool]:
    """Texts as a list, and whether there was a single one.

    Raises:
        ValueError: If there are none.
    """
    if isinstance(texts, str):
        return [texts], True
    if isinstance(texts, tf.data.Dataset):
        texts = [text.decode(errors="replace") for batch in texts.as_numpy_iterator() for text in np.atleast_1d(batch)]
    if len(texts) == 0:
        raise ValueError("There is no text: give a string, or a list or dataset with at least one.")
    return list(texts), False


def as_rows(value: Any, rows: int, name: str, dtype: type) -> NDArray[Any]:
    """One value for every row: a scalar is repeated.

    Raises:
        ValueError: If there are neither one nor `rows` values.
    """
    values: NDArray[Any] = np.asarray(value, dtype)
    if values.ndim == 0:
        return np.full(rows, values)
    if values.shape != (rows,):
        raise ValueError(f"{name} has shape {values.shape}; give one for all {rows} texts, or one for each.")
    return values


def as_temperatures(value: Any, rows: int) -> NDArray[np.float32]:
    """Temperatures for every row, as `as_rows`.

    Raises:
        ValueError: If one is negative, or there are neither one nor `rows`.
    """
    temperatures = as_rows(value, rows, "temperature", np.float32)
    if (temperatures < 0).any():
        raise ValueError(f"The temperature is {temperatures.min():g}; it must be 0 or more.")
    return temperatures
