"""Whatever is sent, the server answers, and with an error of the client's where the client is at fault.

A short run is part of the suite; `make test-soak` sends a hundred thousand inputs.
"""

import http.client
import io
import json
from collections.abc import Iterator

import fake_models
import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.process import ServerProcess

FEW, MANY = 300, 34_000
# What the server itself may be blamed for; UNIMPLEMENTED is deliberate: types that JSON cannot become.
BLAMED = {500, 502, 503, 504}
FAULTS = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNAVAILABLE}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("models")
    for make in (fake_models.echo, fake_models.text_to_image, fake_models.restorer):
        make(root / make.__name__ / "1")
    with ServerProcess(root) as process:
        yield process


@pytest.fixture(scope="module")
def predict(server: ServerProcess) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    """Sends bytes as they are, where a client would send a message."""
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel.unary_unary("/tensorflow.serving.PredictionService/Predict")


def sizes(few: int) -> object:
    return settings(
        max_examples=few,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just({"b64": "aGVsbG8="})
names = st.sampled_from(["x", "a", "b", "prompt", "seed", "b64", "image_bytes"]) | st.text(max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names, inner), max_leaves=8)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(sorted(fake_models.ECHO_TYPES)) | values,
        "instances": values | st.lists(values, max_size=4),
        "inputs": values,
    },
)
documents = st.binary() | st.text().map(str.encode) | bodies.map(json.dumps).map(str.encode)
paths = st.sampled_from(["echo", "text_to_image", "restorer", "echo/versions/1", "nope"])

shapes = st.builds(
    lambda dims: TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in dims]),
    st.lists(st.integers(-2, 4) | st.integers(-(2**63), 2**63 - 1), max_size=4),
)
tensors = st.builds(
    TensorProto,
    dtype=st.integers(0, 30),
    tensor_shape=shapes,
    tensor_content=st.binary(max_size=16),
    float_val=st.lists(st.floats(width=32), max_size=3),
    int_val=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
    string_val=st.lists(st.binary(max_size=16), max_size=3),
)
messages = st.builds(
    lambda name, signature, inputs, wanted: _message(name, signature, inputs, wanted),
    st.sampled_from(["echo", "text_to_image", "restorer"]),
    st.sampled_from(["", "nope", *sorted(fake_models.ECHO_TYPES)]),
    st.dictionaries(names, tensors, max_size=3),
    st.lists(st.sampled_from(["y", "shape", "nope"]), max_size=2),
)


def _message(name: str, signature: str, inputs: dict[str, TensorProto], wanted: list[str]) -> bytes:
    request = PredictRequest(inputs=inputs, output_filter=wanted)
    request.model_spec.name, request.model_spec.signature_name = name, signature
    return request.SerializeToString()


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), "red").save(buffer, "PNG")
    return buffer.getvalue()


PNG = _png()
pictures = st.binary(max_size=64) | st.tuples(st.integers(0, len(PNG) - 1), st.integers(0, 255), st.integers(0, 9)).map(
    lambda at: PNG[: at[0]] + bytes([at[1]]) * at[2] + PNG[at[0] + 1 :]
)


def check_rest(server: ServerProcess, path: str, body: bytes) -> None:
    connection = http.client.HTTPConnection(server.rest_address, timeout=30)
    try:
        connection.request("POST", f"/v1/models/{path}:predict", body)
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    assert response.status not in BLAMED, answer
    assert response.status == 200 or list(answer) == ["error"]


def check_grpc(predict: grpc.UnaryUnaryMultiCallable, message: bytes) -> None:
    try:
        predict(message, timeout=30)
    except grpc.RpcError as error:
        assert error.code() not in FAULTS, error.details()


def picture_message(encoded: bytes) -> bytes:
    one = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    image = TensorProto(dtype=7, tensor_shape=one, string_val=[encoded])
    sigma = TensorProto(dtype=1, tensor_shape=one, float_val=[1.0])
    return _message("restorer", "", {"image_bytes": image, "noise_sigma": sigma}, [])


def test_what_was_found_before(server: ServerProcess) -> None:
    check_rest(server, "text_to_image", b'{"instances": [{"b64": "+/"}]}')


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_rest_bodies(server: ServerProcess, count: int) -> None:
    sizes(count)(given(paths, documents)(lambda path, body: check_rest(server, path, body)))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_grpc_messages(predict: grpc.UnaryUnaryMultiCallable, count: int) -> None:
    sizes(count)(given(messages)(lambda message: check_grpc(predict, message)))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_pictures(predict: grpc.UnaryUnaryMultiCallable, count: int) -> None:
    sizes(count)(given(pictures)(lambda encoded: check_grpc(predict, picture_message(encoded))))()
