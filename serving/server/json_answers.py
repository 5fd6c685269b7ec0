"""Encoding of output tensors as the body of a REST response, by TensorFlow Serving's rules."""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from serving.server.errors import invalid
from serving.server.tensors import type_name


def write_answer(outputs: Mapping[str, np.ndarray], by_row: bool) -> bytes:
    """Encode outputs as `predictions`, one value per row, or as `outputs`; a single output has no name.

    Raises:
        StatusError: JSON cannot represent an output, or outputs in rows have different batch sizes.

    """
    if not outputs:
        raise invalid("Cannot convert empty tensor map to JSON")
    if by_row:
        _check_batch(outputs)
    written = {name: _elements(name, tensor, by_row) for name, tensor in outputs.items()}
    if by_row:
        rows = ", ".join(_rows(written))
        text = f'{{\n    "predictions": [{rows}\n    ]\n}}'
    else:
        columns = {name: values[0] for name, values in written.items()}
        text = f'{{\n    "outputs": {next(iter(columns.values())) if len(columns) == 1 else _object(columns)}\n}}'
    return text.encode("utf-8", "surrogateescape")


def _rows(written: Mapping[str, Sequence[str]]) -> list[str]:
    if len(written) == 1:
        return list(next(iter(written.values())))
    return [_object(dict(zip(written, row, strict=True))) for row in zip(*written.values(), strict=True)]


def _object(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in values.items()) + "}"


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    expected = None
    for name, tensor in outputs.items():
        if not tensor.ndim:
            raise invalid(f"Tensor name: {name} has no shape information: ask in columnar form, with 'inputs'")
        if expected is not None and tensor.shape[0] != expected:
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {tensor.shape[0]} expecting: {expected}; ask in "
                "columnar form, with 'inputs'"
            )
        expected = tensor.shape[0]


def _elements(name: str, array: np.ndarray, by_row: bool) -> list[str]:
    """Return the JSON of each row, or of the whole tensor."""
    write = _writer(name, array.dtype)
    level = [write(value) for value in array.ravel().tolist()]
    for size, count in reversed(_levels(array.shape, by_row)):
        level = [f"[{', '.join(level[start * size : (start + 1) * size])}]" for start in range(count)]
    return level


def _levels(shape: Sequence[int], by_row: bool) -> list[tuple[int, int]]:
    """Return, for each axis that becomes a list, its length and the number of such lists."""
    axes = range(1 if by_row else 0, len(shape))
    return [(shape[axis], math.prod(shape[:axis])) for axis in axes]


def _writer(name: str, dtype: np.dtype) -> Callable[..., str]:
    if dtype.kind == "O":
        return _base64 if name.endswith("_bytes") else _text
    if dtype in (np.float32, np.float64):
        return partial(_decimal, dtype.type, 9 if dtype == np.float32 else 17)
    if dtype.kind in "iu" and dtype != np.uint16:
        return str
    if dtype.kind == "b":
        return lambda value: "true" if value else "false"
    raise invalid(f"Failed to write JSON value for tensor type: {type_name(tf.as_dtype(dtype).as_datatype_enum)}")


def _base64(value: bytes) -> str:
    return f'{{"b64": "{base64.b64encode(value).decode()}"}}'


def _text(value: bytes) -> str:
    # Bytes that are not UTF-8 are kept unchanged, because the response is encoded with the same error handler.
    return json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False)


def _decimal(dtype: type[np.floating], digits: int, value: float) -> str:
    """Six digits if they identify the number, otherwise as many as are always enough; whole numbers end in .0."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    short = f"{value:.6g}"
    if dtype(float(short)) != dtype(value):
        short = f"{value:.{digits}g}"
    return short if "." in short or "e" in short else f"{short}.0"
