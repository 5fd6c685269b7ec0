"""Cases B, F, G and K of gRPC."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from asking import Stubs, predict_request, refusal, states
from fake_models import ECHO_TYPES
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from launching import Server
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("message", "version", "y"),
    [
        pytest.param(predict_request("half_plus_two", x=[2.0]), 124, [4.0], id="B05"),
        pytest.param(predict_request("half_plus_two", version=123, x=[2.0]), 123, [3.0], id="B06 F01 F03"),
        pytest.param(predict_request("half_plus_two", label="stable", x=[2.0]), 123, [3.0], id="B07 stable"),
        pytest.param(predict_request("half_plus_two", label="canary", x=[2.0]), 124, [4.0], id="B07 canary"),
        pytest.param(predict_request("half_plus_two", x=2.0), 124, [4.0], id="F02"),
    ],
)
def test_predict(stubs: Stubs, message: predict_pb2.PredictRequest, version: int, y: list[float]) -> None:
    response = stubs.prediction.Predict(message, timeout=30)
    output = response.outputs["y"]
    assert list(output.float_val) == y
    assert output.tensor_content == b""
    assert output.HasField("tensor_shape")
    assert len(output.tensor_shape.dim) == len(message.inputs["x"].tensor_shape.dim)
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.version.value == version
    assert response.model_spec.signature_name == "serving_default"


def test_F04_tensor_content(batching: Server) -> None:
    output = batching.stubs.prediction.Predict(predict_request("half_plus_three", x=[2.0]), timeout=30).outputs["y"]
    assert not output.float_val
    np.testing.assert_array_equal(tf.make_ndarray(output), [4.0])


@pytest.mark.parametrize(
    "proto",
    [
        tf.make_tensor_proto(np.array([2.0, 2.0], np.float32)),
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), float_val=[2.0, 2.0]),
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), float_val=[2.0]),
    ],
    ids=["F05 content", "F05 typed", "F05 one value for all"],
)
def test_every_encoding_of_an_input_is_read(stubs: Stubs, proto: TensorProto) -> None:
    response = stubs.prediction.Predict(predict_request("half_plus_two", x=proto), timeout=30)
    assert list(response.outputs["y"].float_val) == [4.0, 4.0]


@pytest.mark.parametrize("name", sorted(ECHO_TYPES))
def test_dtypes_come_back(stubs: Stubs, name: str) -> None:
    values = {"string": [[b"a\0", b"\xff"]], "bool": [[True, False]]}.get(name, [[1, 2]])
    sent = tf.constant(values, ECHO_TYPES[name])
    response = stubs.prediction.Predict(predict_request("echo", name, x=tf.make_tensor_proto(sent)), timeout=30)
    returned = tf.make_ndarray(response.outputs["y"])
    assert response.outputs["y"].dtype == ECHO_TYPES[name].as_datatype_enum
    np.testing.assert_array_equal(returned, sent.numpy())


def without_spec(message: predict_pb2.PredictRequest) -> predict_pb2.PredictRequest:
    message.ClearField("model_spec")
    return message


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        pytest.param(predict_request("", x=[1.0]), INVALID, "no name specified", id="B08"),
        pytest.param(
            without_spec(predict_request("half_plus_two", x=[1.0])), INVALID, "Missing ModelSpec", id="no spec"
        ),
        pytest.param(predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec", id="nothing"),
        pytest.param(predict_request("nope", x=[1.0]), NOT_FOUND, "Servable not found", id="B10"),
        pytest.param(
            predict_request("half_plus_two", version=5, x=[1.0]), NOT_FOUND, "Specific(half_plus_two, 5)", id="version"
        ),
        pytest.param(
            predict_request("half_plus_two", label="nope", x=[1.0]),
            INVALID,
            "Unrecognized servable version label: nope",
            id="label",
        ),
        pytest.param(
            predict_request("half_plus_two", "nope", x=[1.0]),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nope" not found.',
            id="signature",
        ),
        pytest.param(predict_request("half_plus_two"), INVALID, "input size does not match signature", id="F06"),
        pytest.param(
            predict_request("half_plus_two", unknown_key1=1.0, unknown_key2=2.0),
            INVALID,
            "Sent extra: {unknown_key1,unknown_key2}. Missing but required: {x}.",
            id="F07",
        ),
        pytest.param(
            predict_request("half_plus_two", z=1.0), INVALID, "input tensor alias not found in signature: z", id="alias"
        ),
        pytest.param(
            predict_request("half_plus_two", x=True),
            INVALID,
            "Expects arg[0] to be float but bool is provided",
            id="F09",
        ),
        pytest.param(predict_request("half_plus_two", "picky", x=[11.0]), INVALID, "x must be below 10", id="model"),
    ],
)
def test_refusals(stubs: Stubs, message: predict_pb2.PredictRequest, code: grpc.StatusCode, details: str) -> None:
    got, text = refusal(stubs.prediction.Predict, message)
    assert got == code
    assert details in text
    assert "Detected at node" not in text


@pytest.mark.parametrize(
    "proto",
    [
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([3]).as_proto(), tensor_content=b"\0" * 8),
        TensorProto(dtype=1, tensor_shape=tf.TensorShape([2**40]).as_proto(), float_val=[1.0]),
        TensorProto(dtype=99),
    ],
    ids=["too few values", "far too large", "no type"],
)
def test_tensors_that_are_none_are_refused(stubs: Stubs, proto: TensorProto) -> None:
    assert refusal(stubs.prediction.Predict, predict_request("half_plus_two", x=proto))[0] == INVALID


def test_F11_F12_output_filter(stubs: Stubs) -> None:
    message = predict_request("echo", "int32", x=[1])
    message.output_filter.append("y")
    assert set(stubs.prediction.Predict(message, timeout=30).outputs) == {"y"}
    message.output_filter.append("y")
    assert refusal(stubs.prediction.Predict, message) == (INVALID, "duplicate output tensor alias: y")
    message.output_filter[1] = "nope"
    assert "output tensor alias not found in signature: nope" in refusal(stubs.prediction.Predict, message)[1]


@pytest.mark.parametrize(("signature", "y"), [("regress_x_to_y", 3.0), ("regress_x_to_y2", 4.0)])
def test_F16_signatures_beside_the_default(stubs: Stubs, signature: str, y: float) -> None:
    example = tf.train.Example(features=tf.train.Features(feature={"x": tf.train.Feature(float_list={"value": [2.0]})}))
    message = predict_request("with_signatures", signature, inputs=[example.SerializeToString()])
    response = stubs.prediction.Predict(message, timeout=30)
    assert list(response.outputs["outputs"].float_val) == [y]
    assert response.model_spec.signature_name == signature


def test_F28_metadata(stubs: Stubs) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "half_plus_two"
    response = stubs.prediction.GetModelMetadata(message, timeout=30)
    assert (response.model_spec.name, response.model_spec.version.value) == ("half_plus_two", 124)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == {"x"}


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        pytest.param("half_plus_two", [], INVALID, id="F29 none"),
        pytest.param("half_plus_two", ["x"], INVALID, id="F29 unknown"),
        pytest.param(None, ["signature_def"], INVALID, id="F30 no spec"),
        pytest.param("", ["signature_def"], INVALID, id="F30 no name"),
        pytest.param("nope", ["signature_def"], NOT_FOUND, id="F30 unknown name"),
    ],
)
def test_metadata_refusals(stubs: Stubs, name: str | None, fields: list[str], code: grpc.StatusCode) -> None:
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if name is not None:
        message.model_spec.name = name
    assert refusal(stubs.prediction.GetModelMetadata, message)[0] == code


def test_F31_long_messages_are_cut(stubs: Stubs) -> None:
    details = refusal(stubs.prediction.Predict, predict_request("half_plus_two", "long" * 500, x=[1.0]))[1]
    assert details.endswith("...TRUNCATED")
    assert len(details) <= 1024 + len("...TRUNCATED")


def test_F33_large_messages_pass(server: Server) -> None:
    values = np.arange(2_000_000, dtype=np.int64)
    response = server.stubs.prediction.Predict(predict_request("echo", "int64", x=values), timeout=60)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), values)


@pytest.mark.parametrize("service", ["ModelService", "PredictionService", ""])
def test_F36_health(server: Server, service: str) -> None:
    answer = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_F36_health_of_an_unknown_service(server: Server) -> None:
    check = health_pb2_grpc.HealthStub(server.channel).Check
    assert refusal(check, health_pb2.HealthCheckRequest(service="nope"))[0] == NOT_FOUND


def test_F36_no_health_without_the_flag(batching: Server) -> None:
    check = health_pb2_grpc.HealthStub(batching.channel).Check
    assert refusal(check, health_pb2.HealthCheckRequest())[0] == grpc.StatusCode.UNIMPLEMENTED


def test_reflection(server: Server) -> None:
    ask = reflection_pb2_grpc.ServerReflectionStub(server.channel).ServerReflectionInfo
    (answer,) = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    names = {service.name for service in answer.list_services_response.service}
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= names


def test_calls_on_examples_are_unimplemented(stubs: Stubs) -> None:
    for call, message in (
        (stubs.prediction.Classify, classification_pb2.ClassificationRequest()),
        (stubs.prediction.Regress, regression_pb2.RegressionRequest()),
        (stubs.prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
    ):
        assert refusal(call, message)[0] == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [
        pytest.param("nope", None, "Could not find any versions of model nope", id="G05"),
        pytest.param("half_plus_two", 125, "Could not find version 125 of model half_plus_two", id="G06"),
    ],
)
def test_status_of_what_is_unknown(stubs: Stubs, name: str, version: int | None, text: str) -> None:
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = name
    if version is not None:
        message.model_spec.version.value = version
    assert refusal(stubs.model.GetModelStatus, message) == (NOT_FOUND, text)


def test_a_unix_socket_serves_too(batching: Server) -> None:
    with grpc.insecure_channel(f"unix:{batching.folder / 'grpc.sock'}") as channel:
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = prediction.Predict(predict_request("half_plus_three", x=[2.0]), timeout=30)
        np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), [4.0])
        model = model_service_pb2_grpc.ModelServiceStub(channel)
        assert states(Stubs(prediction, model), "half_plus_three") == {1: "AVAILABLE"}


def test_status_without_a_spec(stubs: Stubs) -> None:
    assert refusal(stubs.model.GetModelStatus, get_model_status_pb2.GetModelStatusRequest())[0] == INVALID
