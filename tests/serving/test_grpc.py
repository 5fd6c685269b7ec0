import grpc
import numpy as np
import pytest
import tensorflow as tf
from asking import Stubs
from fake_models import ECHO_TYPES
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.process import ServerProcess

OK, INVALID = 0, grpc.StatusCode.INVALID_ARGUMENT


def request(
    model: str, signature: str = "", version: int | None = None, **inputs: tf.Tensor | np.ndarray | float
) -> predict_pb2.PredictRequest:
    message = predict_pb2.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.CopyFrom(Int64Value(value=version))
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value))
    return message


def refusal(stubs: Stubs, message: predict_pb2.PredictRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        stubs.prediction.Predict(message, timeout=30)
    return caught.value.code(), caught.value.details()


def test_answer_is_in_the_typed_field(stubs: Stubs) -> None:
    response = stubs.prediction.Predict(request("half_plus_two", x=[2.0]), timeout=30)
    assert list(response.outputs["y"].float_val) == [4.0]
    assert response.outputs["y"].tensor_content == b""
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.version.value == 124
    assert response.model_spec.signature_name == "serving_default"


def test_scalar_keeps_an_empty_shape(stubs: Stubs) -> None:
    output = stubs.prediction.Predict(request("half_plus_two", x=2.0), timeout=30).outputs["y"]
    assert list(output.float_val) == [4.0]
    assert output.HasField("tensor_shape")
    assert not output.tensor_shape.dim


@pytest.mark.parametrize(
    "proto",
    [
        tf.make_tensor_proto(np.array([2.0, 2.0], np.float32)),
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), float_val=[2.0, 2.0]),
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), float_val=[2.0]),
    ],
    ids=["content", "typed", "one value for all"],
)
def test_every_encoding_of_an_input_is_read(stubs: Stubs, proto: TensorProto) -> None:
    response = stubs.prediction.Predict(request("half_plus_two", x=proto), timeout=30)
    assert list(response.outputs["y"].float_val) == [4.0, 4.0]


@pytest.mark.parametrize("name", sorted(ECHO_TYPES))
def test_dtypes_come_back(stubs: Stubs, name: str) -> None:
    values = {"string": [[b"a\0", b"\xff"]], "bool": [[True, False]]}.get(name, [[1, 2]])
    sent = tf.constant(values, ECHO_TYPES[name])
    response = stubs.prediction.Predict(request("echo", name, x=tf.make_tensor_proto(sent)), timeout=30)
    returned = tf.make_ndarray(response.outputs["y"])
    assert response.outputs["y"].dtype == ECHO_TYPES[name].as_datatype_enum
    np.testing.assert_array_equal(returned, sent.numpy())


def test_large_messages_pass(stubs: Stubs, server: ServerProcess) -> None:
    values = np.arange(2_000_000, dtype=np.int64)
    with grpc.insecure_channel(server.grpc_address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        call = type(stubs.prediction)(channel).Predict
        response = call(request("echo", "int64", x=values), timeout=60)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), values)


def test_output_filter(stubs: Stubs) -> None:
    message = request("echo", "int32", x=[1])
    message.output_filter.append("shape")
    assert set(stubs.prediction.Predict(message, timeout=30).outputs) == {"shape"}
    message.output_filter.append("shape")
    assert refusal(stubs, message) == (INVALID, "duplicate output tensor alias: shape")
    message.output_filter[1] = "nope"
    assert "output tensor alias not found in signature: nope" in refusal(stubs, message)[1]


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (request("", x=[1.0]), INVALID, "no name specified"),
        (request("nope", x=[1.0]), grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(nope)"),
        (
            request("half_plus_two", version=123, x=[1.0]),
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Specific(half_plus_two, 123)",
        ),
        (
            request("half_plus_two", "nope", x=[1.0]),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nope" not found.',
        ),
        (request("half_plus_two"), INVALID, "input size does not match signature"),
        (request("half_plus_two", k1=1.0, k2=2.0), INVALID, "Sent extra: {k1,k2}. Missing but required: {x}."),
        (request("half_plus_two", x=True), INVALID, "Expects arg[0] to be float but bool is provided"),
        (request("half_plus_two", "picky", x=[11.0]), INVALID, "x must be below 10"),
    ],
)
def test_refusals(stubs: Stubs, message: predict_pb2.PredictRequest, code: grpc.StatusCode, details: str) -> None:
    got, text = refusal(stubs, message)
    assert got == code
    assert details in text
    assert "Detected at node" not in text


def test_values_that_do_not_fill_the_shape_are_refused(stubs: Stubs) -> None:
    proto = tf.make_tensor_proto(np.zeros(3, np.float32))
    proto.tensor_shape.dim[0].size = 4
    code, details = refusal(stubs, request("half_plus_two", x=proto))
    assert code == INVALID
    assert "cannot be decoded" in details


def test_labels_are_not_known(stubs: Stubs) -> None:
    message = request("half_plus_two", x=[1.0])
    message.model_spec.version_label = "stable"
    assert refusal(stubs, message) == (INVALID, "Unrecognized servable version label: stable")


def test_long_messages_are_cut(stubs: Stubs) -> None:
    _, details = refusal(stubs, request("n" * 2000, x=[1.0]))
    assert len(details) == 1024 + len("...TRUNCATED")
    assert details.endswith("...TRUNCATED")


def test_calls_on_examples_are_unimplemented(stubs: Stubs) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stubs.prediction.Classify(classification_pb2.ClassificationRequest(), timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_metadata(stubs: Stubs) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "half_plus_two"
    response = stubs.prediction.GetModelMetadata(message, timeout=30)
    packed = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(packed)
    assert packed.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum
    assert response.model_spec.version.value == 124


@pytest.mark.parametrize(("name", "fields"), [("half_plus_two", []), ("half_plus_two", ["x"]), ("", ["signature_def"])])
def test_metadata_refusals(stubs: Stubs, name: str, fields: list[str]) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.name = name
    with pytest.raises(grpc.RpcError) as caught:
        stubs.prediction.GetModelMetadata(message, timeout=30)
    assert caught.value.code() == INVALID


def test_status(stubs: Stubs) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "half_plus_two"
    (entry,) = stubs.model.GetModelStatus(message, timeout=30).model_version_status
    assert (entry.version, entry.state, entry.status.error_code) == (124, 30, OK)
