"""Ways to ask the server other than Easel's own client."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.predict_pb2 import PredictRequest

Ask = Callable[..., tuple[int, Any]]


@dataclass(frozen=True)
class Stubs:
    """The stubs of TensorFlow Serving's own Python package."""

    prediction: prediction_service_pb2_grpc.PredictionServiceStub
    model: model_service_pb2_grpc.ModelServiceStub


def send(address: str, path: str, body: object = None) -> tuple[int, Any]:
    """Send a GET, or a POST where there is a body, and return the HTTP code and the decoded answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", data), timeout=30) as response:
            return _read(response)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error)


def predict_request(
    model: str,
    signature: str = "",
    version: int | None = None,
    label: str = "",
    **inputs: tf.Tensor | np.ndarray | float,
) -> PredictRequest:
    message = PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.CopyFrom(Int64Value(value=version))
    if label:
        message.model_spec.version_label = label
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value))
    return message


def refusal(call: Callable[..., object], message: object) -> tuple[grpc.StatusCode, str]:
    """Make a call that must fail, and return the code and the message."""
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=30)
    return caught.value.code(), caught.value.details()


def states(stubs: Stubs, model: str) -> dict[int, str]:
    """Return the state of every version of a model; nothing where the model is unknown."""
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = model
    try:
        versions = stubs.model.GetModelStatus(message, timeout=30).model_version_status
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
        return {}
    name = get_model_status_pb2.ModelVersionStatus.State.Name
    return {entry.version: name(entry.state) for entry in versions}


def _read(response: Any) -> tuple[int, Any]:
    assert response.headers["Content-Type"].startswith("application/json")
    return response.status, json.loads(response.read())
