"""The JSON of TensorFlow Serving's REST API: request bodies to arrays, output tensors to response bodies."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeGuard

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.errors import StatusError, invalid
from serving.server.tensors import type_name
from serving.tensors import strings

_LONGEST_QUOTE = 256
_TOO_NARROW = (tf.half, tf.bfloat16)

Json: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
Signatures = Mapping[str, meta_graph_pb2.SignatureDef]
TensorInfos = Mapping[str, meta_graph_pb2.TensorInfo]


@dataclass(frozen=True)
class Call:
    """A decoded request: which signature, its inputs by name, and whether the answer goes out in rows."""

    signature: str
    inputs: dict[str, tf.Tensor]
    by_row: bool


def read_call(body: bytes, signatures: Signatures) -> Call:
    """Decode the body of a predict request, in row (`instances`) or columnar (`inputs`) form.

    Raises:
        StatusError: a body that is not such a request, or values that do not fit the signature.

    """
    document = _parsed(body)
    name, infos = _signature(document, signatures)
    by_row = "instances" in document
    if by_row and "inputs" in document:
        raise invalid("Not formatted correctly: expecting either 'instances' or 'inputs', and got both")
    if not by_row and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    columns = _columns_of_rows(document["instances"], infos) if by_row else _columns(document["inputs"], infos)
    return Call(name, {key: _tensor(value, infos[key].dtype) for key, value in columns.items()}, by_row)


def write_answer(outputs: Mapping[str, tf.Tensor], *, by_row: bool) -> bytes:
    """Encode outputs as `predictions`, one value a row, or as `outputs`; a single output goes without its name.

    Raises:
        StatusError: outputs that JSON cannot hold, or, in rows, that do not share a batch size.

    """
    if by_row:
        _check_batch(outputs)
    values = {name: _values(name, tensor) for name, tensor in outputs.items()}
    content: Json = _only(values) if len(values) == 1 else _rows(values) if by_row else values
    text = json.dumps({"predictions" if by_row else "outputs": content}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _parsed(body: bytes) -> dict[str, Json]:
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_quote(document)} is not formatted correctly: expecting an object")
    return document


def _signature(document: dict[str, Json], signatures: Signatures) -> tuple[str, TensorInfos]:
    name = document.get("signature_name", "serving_default")
    if not isinstance(name, str):
        raise invalid(f"'signature_name' key must be a string value, and is {_quote(name)}")
    if name not in signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return name, signatures[name].inputs


def _columns_of_rows(rows: Json, infos: TensorInfos) -> dict[str, list[Json]]:
    if not isinstance(rows, list):
        raise invalid(f"Expecting 'instances' to be an list/array, and got {_quote(rows)}")
    if not rows:
        raise invalid("No values in 'instances' array")
    named = _is_named(rows[0])
    for item, row in enumerate(rows):
        _check_row(row, item, named, infos)
    return {name: [row[name] for row in rows] for name in infos} if named else {_only_name(infos): rows}


def _check_row(row: Json, item: int, named: bool, infos: TensorInfos) -> None:
    if named and not _is_named(row):
        raise invalid(f"Expecting object but got {_kind(row)} at item {item} of 'instances'")
    if _is_named(row) and not named:
        raise invalid(f"Expecting value/list but got object at item {item} of 'instances'")
    if _is_named(row):
        _check_names(row, infos, f"'instances' object at item {item}")
    elif len(infos) != 1:
        raise invalid("'instances' is a plain list: expecting list of objects as multiple input tensors are required")


def _columns(inputs: Json, infos: TensorInfos) -> dict[str, Json]:
    if _is_named(inputs):
        _check_names(inputs, infos, "'inputs' object")
        return dict(inputs)
    if len(infos) != 1:
        raise invalid("'inputs' is a plain value/list: expecting an object as multiple input tensors are required")
    return {_only_name(infos): inputs}


def _check_names(given: Mapping[str, Json], infos: TensorInfos, where: str) -> None:
    for name in given:
        if name not in infos:
            raise invalid(f"{where} does not have named input: {name}")
    if len(given) != len(infos):
        raise invalid(f"{where}: keys must be equal to: {','.join(sorted(infos))}")


def _is_named(value: Json) -> TypeGuard[dict[str, Any]]:
    """Whether a value holds inputs by name; an object with the key b64 is itself a value."""
    return isinstance(value, dict) and "b64" not in value


def _only(values: Mapping[str, Json]) -> Json:
    return next(iter(values.values()))


def _only_name(infos: TensorInfos) -> str:
    return next(iter(infos))


def _tensor(value: Json, dtype: int) -> tf.Tensor:
    shape, flat = _flattened(value)
    convert = _CONVERTERS.get(dtype)
    if convert is None:
        raise StatusError(
            StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {_quote(value)} to type: {type_name(dtype)}"
        )
    return tf.constant(convert(flat, tf.as_dtype(dtype)).reshape(shape))


def _flattened(value: Json) -> tuple[list[int], list[Json]]:
    """Return the shape that the first elements tell and all values in order; no list may differ from that shape."""
    shape, level = _shape(value), [value]
    for size in shape:
        level = [element for item in level for element in _elements(item, size, shape)]
    for item in level:
        if isinstance(item, list):
            raise invalid(f"Encountered list {_quote(item)} where a value belongs: Expecting shape {shape}")
    return shape, level


def _elements(item: Json, size: int, shape: list[int]) -> list[Json]:
    if not isinstance(item, list) or len(item) != size:
        raise invalid(f"Encountered {_kind(item)} {_quote(item)}: Expecting shape {shape}")
    return item


def _shape(value: Json) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _booleans(values: list[Json], dtype: tf.DType) -> np.ndarray:
    _check_each(values, lambda value: isinstance(value, bool), dtype)
    return np.array(values, bool)


def _integers(values: list[Json], dtype: tf.DType) -> np.ndarray:
    _check_each(values, lambda value: type(value) is int and dtype.min <= value <= dtype.max, dtype)
    return np.array(values, dtype.as_numpy_dtype)


def _floats(values: list[Json], dtype: tf.DType) -> np.ndarray:
    _check_each(values, lambda value: type(value) in (int, float), dtype)
    try:
        with np.errstate(over="ignore"):
            return np.array(values, np.float64).astype(dtype.as_numpy_dtype)
    except OverflowError as error:
        raise invalid(f"JSON Parse error: Number too big to be stored in double: {error}") from error


def _strings(values: list[Json], dtype: tf.DType) -> np.ndarray:
    _check_each(values, lambda value: isinstance(value, str | dict), dtype)
    return strings([value.encode() if isinstance(value, str) else _from_base64(value) for value in values])


def _from_base64(value: Json) -> bytes:
    text = value.get("b64") if isinstance(value, dict) and len(value) == 1 else None
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else _refuse_base64(value)
    except ValueError:
        return _refuse_base64(value)


def _refuse_base64(value: Json) -> NoReturn:
    raise invalid(f"JSON Value: {_quote(value)} not formatted correctly for base64 data")


def _check_each(values: list[Json], fits: Callable[[Json], bool], dtype: tf.DType) -> None:
    for value in values:
        if not fits(value):
            expected = type_name(dtype.as_datatype_enum)
            raise invalid(f"JSON Value: {_quote(value)} Type: {_kind(value)} is not of expected type: {expected}")


_CONVERTERS: dict[int, Callable[[list[Json], tf.DType], np.ndarray]] = {
    types_pb2.DT_BOOL: _booleans,
    types_pb2.DT_STRING: _strings,
    types_pb2.DT_FLOAT: _floats,
    types_pb2.DT_DOUBLE: _floats,
    types_pb2.DT_INT8: _integers,
    types_pb2.DT_INT16: _integers,
    types_pb2.DT_INT32: _integers,
    types_pb2.DT_INT64: _integers,
    types_pb2.DT_UINT8: _integers,
    types_pb2.DT_UINT32: _integers,
    types_pb2.DT_UINT64: _integers,
}


def _check_batch(outputs: Mapping[str, tf.Tensor]) -> None:
    sizes = {name: tensor.shape[0] if tensor.shape.rank else None for name, tensor in outputs.items()}
    for name, size in sizes.items():
        if size is None:
            raise invalid(f"Tensor name: {name} has no shape information: ask in columnar form, with 'inputs'")
    if len(set(sizes.values())) > 1:
        raise invalid(f"Outputs have inconsistent batch size: {sizes}; ask in columnar form, with 'inputs'")


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Json]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(name: str, tensor: tf.Tensor) -> Json:
    """Return the tensor as nested lists of what JSON knows."""
    if tensor.dtype.is_complex:
        raise invalid(f"Unsupported tensor type: {tensor.dtype.name}")
    if tensor.dtype in _TOO_NARROW:
        raise invalid(f"Failed to write JSON value for tensor type {type_name(tensor.dtype.as_datatype_enum)}")
    if tensor.dtype == tf.string:
        return _elementwise(_base64 if name.endswith("_bytes") else _text, strings(tensor.numpy()))
    array = np.asarray(tensor.numpy())
    return _decimal(array).tolist() if tensor.dtype == tf.float32 else array.tolist()


def _elementwise(convert: Callable[[bytes], Json], array: np.ndarray) -> Json:
    converted = np.fromiter((convert(value) for value in array.ravel().tolist()), dtype=object, count=array.size)
    return converted.reshape(array.shape).tolist()


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _text(value: bytes) -> str:
    # Bytes that are no text pass through unchanged: the answer is encoded with the same error handler.
    return value.decode("utf-8", "surrogateescape")


def _decimal(array: np.ndarray) -> np.ndarray:
    """Float32 as the float64 with the fewest digits that still names it: six if they suffice, else nine."""
    flat = array.ravel()
    short, full = (np.array([float(f"{value:.{digits}g}") for value in flat.tolist()]) for digits in (6, 9))
    return np.where(short.astype(np.float32) == flat, short, full).reshape(array.shape)


def _quote(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)[:_LONGEST_QUOTE]


def _kind(value: Json) -> str:
    kinds = {dict: "object", list: "list", str: "String", bool: "Boolean", type(None): "Null"}
    return kinds.get(type(value), "Number")
