import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2, prediction_log_pb2

from serving.tensors import to_array, to_proto
from serving.wire import serving_pb2 as wire

NUMPY_TYPES = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]
PAIRS = [
    (wire.PredictRequest, predict_pb2.PredictRequest),
    (wire.PredictResponse, predict_pb2.PredictResponse),
    (wire.PredictionLog, prediction_log_pb2.PredictionLog),
    (wire.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
    (wire.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
    (wire.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest),
    (wire.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse),
    (wire.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap),
]


def check_fields(ours: Descriptor, theirs: Descriptor) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.is_repeated) == (other.number, other.is_repeated), field.full_name
        if field.message_type:
            check_fields(field.message_type, other.message_type)
        elif field.name != "error_code":  # an enum of the same numbers there, plain numbers here
            assert field.type == other.type, field.full_name


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_messages_have_the_fields_of_the_originals(ours: type[Message], theirs: type[Message]) -> None:
    check_fields(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def test_types_have_the_numbers_of_the_originals() -> None:
    assert dict(wire.DataType.items()).items() <= dict(types_pb2.DataType.items()).items()
    states = get_model_status_pb2.ModelVersionStatus.State
    assert dict(wire.ModelVersionStatus.State.items()) == dict(states.items())


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_tensorflow_reads_ours_and_we_read_both_of_its_encodings(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.testing.assert_array_equal(tf.make_ndarray(as_theirs(to_proto(array))), array)
    for proto in (tf.make_tensor_proto(array), tf.make_tensor_proto(array.ravel().tolist(), array.dtype, [2, 3])):
        returned = to_array(as_ours(proto))
        assert returned.dtype == array.dtype
        np.testing.assert_array_equal(returned, array)


@given(st.lists(st.binary(max_size=8), max_size=4))
def test_strings_keep_every_byte(values: list[bytes]) -> None:
    proto = to_proto(np.array([*values, "text"], dtype=object)[:-1])
    assert to_array(proto).tolist() == values
    assert tf.make_ndarray(as_theirs(proto)).tolist() == values


def test_last_value_stands_for_the_rest() -> None:
    proto = tf.make_tensor_proto(1.5, shape=[2, 2])
    np.testing.assert_array_equal(to_array(as_ours(proto)), np.full((2, 2), 1.5, np.float32))


def test_bfloat16_has_no_numpy_type() -> None:
    with pytest.raises(TypeError, match="DT_BFLOAT16 has no NumPy equivalent"):
        to_array(as_ours(tf.make_tensor_proto(tf.constant([1.0], tf.bfloat16))))


def as_theirs(proto: wire.TensorProto) -> tensor_pb2.TensorProto:
    return tensor_pb2.TensorProto.FromString(proto.SerializeToString())


def as_ours(proto: tensor_pb2.TensorProto) -> wire.TensorProto:
    return wire.TensorProto.FromString(proto.SerializeToString())
