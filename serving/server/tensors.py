"""Conversion between NumPy arrays and TensorFlow's protos, in the form that TensorFlow Serving writes."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.errors import invalid

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.half: "half_val",
    tf.bfloat16: "half_val",
    tf.int8: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def type_name(dtype: int) -> str:
    """Return the name of a DataType for error messages, such as `float` or `int64`."""
    return types_pb2.DataType.Name(dtype)[3:].lower() if dtype in types_pb2.DataType.values() else f"type {dtype}"


def byte_size(proto: tensor_pb2.TensorProto) -> int:
    """Return the decoded size of a tensor, which can far exceed the message, because one value may stand for all.

    Raises:
        StatusError: INVALID_ARGUMENT, the type is not supported.

    """
    try:
        dtype = tf.as_dtype(proto.dtype)
    except TypeError as error:
        raise invalid(f"A tensor has {type_name(proto.dtype)}, which is no type") from error
    return math.prod(max(dim.size, 0) for dim in proto.tensor_shape.dim) * max(dtype.size or 1, 1)


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Decode a tensor, with its values in any field; strings become objects.

    Raises:
        StatusError: INVALID_ARGUMENT, the values do not fill the shape.

    """
    try:
        return np.asarray(tf.make_ndarray(proto))
    except (TypeError, ValueError) as error:
        raise invalid(f"Tensor of type {type_name(proto.dtype)} cannot be decoded: {error}") from error


def to_proto(array: np.ndarray, *, as_content: bool = False) -> tensor_pb2.TensorProto:
    """Encode an array into the field of its type, which clients read directly, or into tensor_content."""
    dtype = tf.as_dtype(array.dtype)
    field = _FIELDS.get(dtype)
    if field is None:
        return tf.make_tensor_proto(array)
    shape = tf.TensorShape(array.shape).as_proto()
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=shape)
    if as_content and dtype != tf.string:
        proto.tensor_content = array.tobytes()
        return proto
    if field == "half_val":
        array = array.view("uint16")
    getattr(proto, field).extend(array.ravel().tolist())
    return proto
