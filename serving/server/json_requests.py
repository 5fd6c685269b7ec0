"""Decoding of the body of a REST predict request to tensors, by TensorFlow Serving's rules and with its messages."""

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.errors import StatusError, invalid
from serving.server.json_parser import Json, kind, parse, quote
from serving.server.signatures import DEFAULT_SIGNATURE, Signatures, check_inputs
from serving.server.tensors import type_name
from serving.tensors import strings

TensorInfos = Mapping[str, meta_graph_pb2.TensorInfo]


@dataclass(frozen=True)
class JsonCall:
    """A decoded request: its signature, its inputs by name, and whether the response is in rows."""

    signature: str
    inputs: dict[str, np.ndarray]
    by_row: bool


def read_call(body: bytes, signatures: Signatures) -> JsonCall:
    """Decode the body of a predict request, in row (`instances`) or columnar (`inputs`) form.

    Raises:
        StatusError: the body is not such a request, or its values do not fit the signature.

    """
    document = parse(body)
    name, infos = _signature(document, signatures)
    by_row = "instances" in document
    if by_row and "inputs" in document:
        raise _malformed(
            document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
        )
    if not by_row and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    inputs = _inputs_of_rows(document, infos) if by_row else _inputs_of_columns(document["inputs"], infos)
    # A list of base64 values is a single input, even if the signature has several.
    check_inputs(signatures[name], inputs)
    return JsonCall(name, inputs, by_row)


def _signature(document: dict[str, Json], signatures: Signatures) -> tuple[str, TensorInfos]:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    if not signatures[name].inputs:
        raise invalid(f"Failed to get input map for signature: {name}")
    return name, signatures[name].inputs


# ---- rows ------------------------------------------------------------------------------------------------------------


def _inputs_of_rows(document: dict[str, Json], infos: TensorInfos) -> dict[str, np.ndarray]:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise _malformed(document, "Expecting 'instances' to be an list/array")
    if not rows:
        raise _malformed(document, "No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns = _named_columns(rows, infos) if _is_named(rows[0]) else _plain_column(rows, infos)
    return {name: column.tensor(infos[name].dtype) for name, column in columns.items()}


class _Column:
    """The values of one input by row; all rows have the shape of the first."""

    def __init__(self) -> None:
        self.rows = 0
        self._shape: list[int] = []
        self._values: list[Json] = []

    def add(self, item: Json, dtype: int) -> None:
        shape, values = _flattened(item, dtype)
        if not self.rows:
            self._shape = shape
        elif len(values) * self.rows != len(self._values):
            raise invalid(f"Expecting tensor size: {len(self._values) // self.rows} but got: {len(values)}")
        elif shape != self._shape:
            raise invalid(f"Expecting shape {_shown(self._shape)} but got: {_shown(shape)}")
        self._values += values
        self.rows += 1

    def tensor(self, dtype: int) -> np.ndarray:
        return _tensor([self.rows, *self._shape], self._values, dtype)


def _named_columns(rows: list[Json], infos: TensorInfos) -> dict[str, _Column]:
    columns = {name: _Column() for name in infos}
    for number, row in enumerate(rows):
        if not _is_named(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        for name, value in row.items():
            try:
                if name not in infos:
                    raise invalid(f"JSON object: does not have named input: {name}")
                columns[name].add(value, infos[name].dtype)
            except StatusError as error:
                raise _at(error, f"Failed to process element: {number} key: {name} of 'instances' list.") from error
        if len(row) != len(infos):
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {quote(row)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    return columns


def _plain_column(rows: list[Json], infos: TensorInfos) -> dict[str, _Column]:
    name, column = min(infos), _Column()
    for number, row in enumerate(rows):
        if _is_named(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
        try:
            column.add(row, infos[name].dtype)
        except StatusError as error:
            raise _at(error, f"Failed to process element: {number} of 'instances' list.") from error
    return {name: column}


# ---- columns ---------------------------------------------------------------------------------------------------------


def _inputs_of_columns(inputs: Json, infos: TensorInfos) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {min(infos): inputs}
    for name in infos:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(*_flattened(inputs[name], info.dtype), info.dtype) for name, info in infos.items()}


# ---- values ----------------------------------------------------------------------------------------------------------


def _is_named(value: Json) -> TypeGuard[dict[str, Json]]:
    """Whether a value contains inputs by name; an object whose only key is b64 is a value itself."""
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _flattened(value: Json, dtype: int) -> tuple[list[int], list[Json]]:
    """Return the shape of the first elements and all values in order; all lists must have that shape."""
    shape, values = _shape(value), [value]
    for level, size in enumerate(shape):
        for item in values:
            _check_list(item, level, size, len(shape))
        values = [element for item in values for element in item]  # type: ignore[union-attr]
    for item in values:
        if isinstance(item, list):
            raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}")
    _check_values(values, dtype)
    return shape, values


def _check_list(item: Json, level: int, size: int, rank: int) -> None:
    if not isinstance(item, list):
        where = f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
        raise _malformed(item, where)
    if len(item) != size:
        raise invalid(f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {size}")


def _shape(value: Json) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _check_values(values: list[Json], dtype: int) -> None:
    if dtype not in _KINDS:
        unconverted = f"Conversion of JSON Value: {quote(values[0] if values else None)} to type: {type_name(dtype)}"
        raise StatusError(StatusCode.UNIMPLEMENTED, unconverted)
    fits = _KINDS[dtype][0]
    for value in values:
        if not fits(value):
            if dtype == types_pb2.DT_STRING and isinstance(value, dict):
                raise _malformed(value, "not formatted correctly for base64 data")
            raise _malformed(value, f"Type: {kind(value)} is not of expected type: {type_name(dtype)}")


def _tensor(shape: list[int], values: list[Json], dtype: int) -> np.ndarray:
    convert = _KINDS[dtype][1]
    return convert(values, np.dtype(tf.as_dtype(dtype).as_numpy_dtype)).reshape(shape)


def _is_integer(low: int, high: int) -> Callable[[Json], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _booleans(values: list[Json], dtype: np.dtype) -> np.ndarray:
    return np.array(values, bool)


def _numbers(values: list[Json], dtype: np.dtype) -> np.ndarray:
    # As in TensorFlow Serving, integers out of range wrap around, and floats out of range become infinite.
    wide = {"int8": "int32", "int16": "int32", "uint8": "int32", "float32": "float64"}
    with np.errstate(over="ignore"):
        return np.array(values, wide.get(dtype.name, dtype)).astype(dtype)


def _texts(values: list[Json], dtype: np.dtype) -> np.ndarray:
    return strings([_from_base64(value["b64"]) if isinstance(value, dict) else _encoded(value) for value in values])


def _encoded(value: Json) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def _from_base64(text: str) -> bytes:
    """Decode base64 like Abseil: white space is allowed anywhere, and padding is optional."""
    plain = re.sub(r"\s", "", text).rstrip("=")
    try:
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


_Kind = tuple[Callable[[Json], bool], Callable[[list[Json], np.dtype], np.ndarray]]
_INT32 = (_is_integer(-(2**31), 2**31 - 1), _numbers)
_FLOAT = (lambda value: type(value) in (int, float), _numbers)
_KINDS: dict[int, _Kind] = {
    types_pb2.DT_BOOL: (lambda value: isinstance(value, bool), _booleans),
    types_pb2.DT_STRING: (lambda value: isinstance(value, str) or _is_base64(value), _texts),
    types_pb2.DT_FLOAT: _FLOAT,
    types_pb2.DT_DOUBLE: _FLOAT,
    types_pb2.DT_INT8: _INT32,
    types_pb2.DT_INT16: _INT32,
    types_pb2.DT_INT32: _INT32,
    types_pb2.DT_UINT8: _INT32,
    types_pb2.DT_INT64: (_is_integer(-(2**63), 2**63 - 1), _numbers),
    types_pb2.DT_UINT32: (_is_integer(0, 2**32 - 1), _numbers),
    types_pb2.DT_UINT64: (_is_integer(0, 2**64 - 1), _numbers),
}


def _malformed(value: Json, what: str) -> StatusError:
    return invalid(f"JSON Value: {quote(value)} {what}")


def _at(error: StatusError, where: str) -> StatusError:
    return invalid(f"{where} Error: {error.status}")


def _shown(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
