"""Ways to ask the server other than Easel's own client."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

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


def _read(response: Any) -> tuple[int, Any]:
    assert response.headers["Content-Type"].startswith("application/json")
    return response.status, json.loads(response.read())
