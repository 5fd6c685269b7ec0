"""Conversion between NumPy arrays and TensorProto messages, without TensorFlow."""

import numpy as np
from numpy.typing import ArrayLike

from serving.wire import serving_pb2 as wire

_DTYPES = {
    wire.DT_FLOAT: ("float32", "float_val"),
    wire.DT_DOUBLE: ("float64", "double_val"),
    wire.DT_HALF: ("float16", "half_val"),
    wire.DT_INT8: ("int8", "int_val"),
    wire.DT_INT16: ("int16", "int_val"),
    wire.DT_INT32: ("int32", "int_val"),
    wire.DT_INT64: ("int64", "int64_val"),
    wire.DT_UINT8: ("uint8", "int_val"),
    wire.DT_UINT16: ("uint16", "int_val"),
    wire.DT_UINT32: ("uint32", "uint32_val"),
    wire.DT_UINT64: ("uint64", "uint64_val"),
    wire.DT_BOOL: ("bool", "bool_val"),
}
_ENUMS = {name: enum for enum, (name, _) in _DTYPES.items()}


def strings(values: ArrayLike) -> np.ndarray:
    """Text or bytes as an object array, which keeps the trailing zero bytes that NumPy's byte strings drop."""
    return np.asarray(values, dtype=object)


def dtype_of(enum: wire.DataType) -> np.dtype:
    """Return the NumPy type of a tensor type; objects for strings.

    Raises:
        TypeError: a tensor type that NumPy alone cannot hold, such as bfloat16.

    """
    if enum == wire.DT_STRING:
        return np.dtype(object)
    if enum not in _DTYPES:
        raise TypeError(f"a tensor of type {wire.DataType.Name(enum)} has no NumPy equivalent")
    return np.dtype(_DTYPES[enum][0])


def to_proto(array: np.ndarray) -> wire.TensorProto:
    """One array as a tensor; str, bytes and object arrays become strings, all others keep their dtype and shape.

    Raises:
        TypeError: a dtype that no served signature can take, such as complex64 or datetime64.

    """
    array = np.asarray(array)
    shape = wire.TensorShapeProto(dim=[wire.TensorShapeProto.Dim(size=size) for size in array.shape])
    if array.dtype.kind in "OSU":
        values = [_as_bytes(value) for value in array.ravel().tolist()]
        return wire.TensorProto(dtype=wire.DT_STRING, tensor_shape=shape, string_val=values)
    if array.dtype.name not in _ENUMS:
        raise TypeError(f"a tensor cannot hold {array.dtype}: convert it to one of {', '.join(_ENUMS)} or to strings")
    content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return wire.TensorProto(dtype=_ENUMS[array.dtype.name], tensor_shape=shape, tensor_content=content)


def to_array(proto: wire.TensorProto) -> np.ndarray:
    """One tensor as an array of its shape; strings come back as an object array of bytes.

    Raises:
        TypeError: a tensor type that NumPy alone cannot hold, such as bfloat16.
        ValueError: values that do not fill the shape.

    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    dtype = dtype_of(proto.dtype)
    if proto.dtype == wire.DT_STRING:
        return _filled(strings(list(proto.string_val)), shape)
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
    field = _DTYPES[proto.dtype][1]
    values = getattr(proto, field)
    if field == "half_val":
        return _filled(np.array(values, "uint16").view("float16"), shape)
    return _filled(np.array(values, dtype), shape)


def _filled(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shape the values; if the message leaves out values, they equal the last one, as TensorProto allows."""
    missing = int(np.prod(shape)) - values.size
    if missing > 0 and values.size:
        values = np.concatenate([values, np.repeat(values[-1:], missing)])
    return values.reshape(shape)


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
