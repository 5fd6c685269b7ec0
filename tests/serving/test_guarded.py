"""A server behind TLS, client certificates, bearer tokens and small limits, and what watches it."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_models
import grpc
import numpy as np
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from odd_pictures import encoded
from PIL import Image

from serving.client import Client, Credentials, ServingError
from serving.process import ServerProcess

TOKEN = "correct horse"
LIMITS = ("--max_text_bytes=100", "--max_rows=4", "--max_picture_pixels=10000", "--max_request_bytes=100000")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def guarded(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root, files = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("files")
    fake_models.text_to_image(root / "text_to_image" / "1")
    fake_models.restorer(root / "restorer" / "1")
    (root / "broken" / "1").mkdir(parents=True)
    (files / "tokens").write_text(f"# of the tests\n\n{TOKEN}\nanother\n")
    (files / "grpc.config").write_text(ssl_config(authority, client_verify=True))
    (files / "rest.config").write_text(ssl_config(authority, client_verify=False))
    flags = [
        f"--auth_tokens_file={files / 'tokens'}",
        f"--ssl_config_file={files / 'grpc.config'}",
        f"--rest_api_ssl_config_file={files / 'rest.config'}",
        *("--enable_grpc_healthcheck_service", "--enable_metrics", "--enable_request_log", *LIMITS),
    ]
    with ServerProcess(root, poll_seconds=0.2, flags=flags) as process:
        yield process


def ssl_config(authority: trustme.CA, *, client_verify: bool) -> str:
    server = authority.issue_cert("127.0.0.1")
    parts = {
        "server_key": server.private_key_pem,
        "server_cert": server.cert_chain_pems[0],
        "custom_ca": authority.cert_pem,
    }
    lines = [f"{name}: {json.dumps(part.bytes().decode())}" for name, part in parts.items()]
    return "\n".join([*lines, f"client_verify: {str(client_verify).lower()}"])


def credentials(authority: trustme.CA, token: str = TOKEN) -> Credentials:
    mine = authority.issue_cert("client@example.org")
    key, certificate = mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes()
    return Credentials(token=token, authority=authority.cert_pem.bytes(), key=key, certificate=certificate)


@pytest.fixture(scope="module")
def client(guarded: ServerProcess, authority: trustme.CA) -> Iterator[Client]:
    with Client(guarded.grpc_address, timeout=30.0, credentials=credentials(authority)) as connection:
        yield connection


Get = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def get(guarded: ServerProcess, authority: trustme.CA) -> Get:
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def ask(path: str, body: bytes | None = None, token: str = TOKEN) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"https://{guarded.rest_address}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return ask


def test_who_is_known_may_ask(client: Client) -> None:
    assert client.generate("a red circle")[0].expanded_prompt == "a red circle on black"


def test_a_wrong_token_is_refused(guarded: ServerProcess, authority: trustme.CA, get: Get) -> None:
    wrong = Client(guarded.grpc_address, timeout=30.0, credentials=credentials(authority, "wrong"))
    with wrong, pytest.raises(ServingError, match="asks for a token") as caught:
        wrong.generate("a")
    assert caught.value.code == "UNAUTHENTICATED"
    for token in ("", "wrong", f"{TOKEN} "[:-2]):
        code, answer = get("/v1/models/text_to_image", token=token)
        assert code == 401
        assert "bearer token" in json.loads(answer)["error"]
    assert get("/v1/models/text_to_image", token="another")[0] == 200


def test_who_shows_no_certificate_is_not_heard(guarded: ServerProcess, authority: trustme.CA) -> None:
    half = Credentials(token=TOKEN, authority=authority.cert_pem.bytes())
    for given in (half, Credentials(token=TOKEN)):
        with Client(guarded.grpc_address, timeout=5.0, credentials=given) as stranger:
            with pytest.raises(ServingError) as caught:
                stranger.generate("a")
            assert caught.value.code == "UNAVAILABLE"


def test_health_needs_no_token(guarded: ServerProcess, authority: trustme.CA, get: Get) -> None:
    assert get("/healthz", token="") == (200, '{"status": "ok"}')
    channel = credentials(authority, "").channel
    with grpc.secure_channel(guarded.grpc_address, channel) as opened:
        answer = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(service=""), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_not_ready_while_a_model_is_missing(get: Get) -> None:
    code, answer = get("/readyz", token="")
    assert code == 503
    assert json.loads(answer) == {"status": "waiting", "waiting": ["broken"]}


def test_models_are_listed(get: Get) -> None:
    code, answer = get("/models")
    assert code == 200
    broken, restorer, _ = json.loads(answer)["models"]
    assert broken["name"] == "broken"
    assert broken["versions"][0]["state"] == "END"
    assert "Could not find SavedModel" in broken["versions"][0]["error"]
    assert restorer == {
        "name": "restorer",
        "versions": [{"version": 1, "state": "AVAILABLE", "error": ""}],
        "labels": {},
    }


def png(side: int) -> bytes:
    return encoded(Image.new("RGB", (side, side)))


def noise(side: int) -> Image.Image:
    return Image.effect_noise((side, side), 80).convert("RGB")


@pytest.mark.parametrize(
    ("ask", "code", "message"),
    [
        (lambda client: client.generate("x" * 101), "INVALID_ARGUMENT", "has 101 bytes: at most 100 are allowed"),
        (lambda client: client.generate(["x"] * 5), "INVALID_ARGUMENT", "has 5 rows: at most 4 are allowed"),
        (lambda client: client.restore(png(101)), "INVALID_ARGUMENT", "has 101x101 pixels: at most 10000 are allowed"),
        (lambda client: client.restore(noise(300)), "RESOURCE_EXHAUSTED", "larger than max"),
        (
            lambda client: client.predict("text_to_image", {"prompt": np.zeros(10**6)}),
            "RESOURCE_EXHAUSTED",
            "larger than max",
        ),
    ],
    ids=["text", "rows", "pixels", "bytes", "tensor"],
)
def test_limits(client: Client, ask: Callable[[Client], object], code: str, message: str) -> None:
    with pytest.raises(ServingError, match=message) as caught:
        ask(client)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_every_format_that_tensorflow_decodes_is_measured(client: Client, kind: str) -> None:
    inputs = {"image_bytes": np.array([encoded(noise(101), kind)], object), "noise_sigma": np.zeros(1, np.float32)}
    with pytest.raises(ServingError, match="has 101x101 pixels: at most 10000 are allowed"):
        client.predict("restorer", inputs)


@pytest.mark.parametrize("data", [b"\xff\x0a\0\0", b"\0\0\0\x0cJXL \r\n\x87\n", png(101)[:20], b"RIFF\0\0\0\0WEBPVP8 "])
def test_what_cannot_be_measured_is_not_decoded(client: Client, data: bytes) -> None:
    inputs = {"image_bytes": np.array([data], object), "noise_sigma": np.zeros(1, np.float32)}
    with pytest.raises(ServingError, match="size of a picture in input image_bytes cannot be read: send PNG or JPEG"):
        client.predict("restorer", inputs)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (base64.b64encode(png(8)).decode(), "base64 text"),
        (base64.encodebytes(png(64)).decode(), "base64 text"),
        (base64.urlsafe_b64encode(encoded(noise(9), "JPEG")).decode(), "base64 text"),
        (f"data:image/png;base64,{base64.b64encode(png(8)).decode()}", "a data URL"),
        ("https://example.org/picture.png", "a URL"),
    ],
    ids=["base64", "lines of base64", "URL-safe base64", "data URL", "URL"],
)
def test_a_text_where_a_picture_belongs_gets_a_hint(get: Get, text: str, what: str) -> None:
    for sent in (text, {"b64": base64.b64encode(text.encode()).decode()}):
        body = json.dumps({"instances": [{"image_bytes": sent, "noise_sigma": 0.0}]}).encode()
        code, answer = get("/v1/models/restorer:predict", body)
        hint = f'Input image_bytes holds {what} where the bytes of a picture belong: REST takes {{"b64": "..."}}'
        assert (code, json.loads(answer)["error"]) == (400, hint)


def test_limits_of_rest(get: Get) -> None:
    code, answer = get("/v1/models/text_to_image:predict", b" " * 200_000)
    assert (code, json.loads(answer)["error"]) == (413, "The request is larger than the 100000 bytes allowed")
    rows = json.dumps({"instances": [{"prompt": "x" * 101, "seed": 1}]}).encode()
    code, answer = get("/v1/models/text_to_image:predict", rows)
    assert code == 400
    assert "has 101 bytes" in json.loads(answer)["error"]


def test_the_log_holds_facts_and_no_prompts(client: Client, guarded: ServerProcess) -> None:
    client.generate("a secret prompt", seed=7)
    with pytest.raises(ServingError):
        client.predict("text_to_image", {"prompt": np.array(["another secret"], dtype=object)})
    lines = [json.loads(line) for line in guarded.log().splitlines() if line.startswith("{")]
    good = [line for line in lines if line["status"] == "OK" and line["entrypoint"] == "GRPC"][-1]
    assert {name: good[name] for name in ("model", "version", "signature", "api", "rows")} == {
        "model": "text_to_image",
        "version": 1,
        "signature": "serving_default",
        "api": "Predict",
        "rows": 1,
    }
    assert good["ms"] > 0
    assert lines[-1]["status"] == "INVALID_ARGUMENT"
    assert "secret" not in guarded.log()


def test_metrics_count_by_signature(client: Client, get: Get) -> None:
    client.generate("a")
    text = get("/monitoring/prometheus/metrics")[1]
    assert ':easel:serving:signature_latency_count{model_name="text_to_image",signature_name="serving_default"}' in text
    assert ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="text_to_image",runtime="TF2"}' in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--enable_batching=perhaps"], "--enable_batching=perhaps: Input should be a valid boolean"),
        (["--max_rows=-1"], "--max_rows=-1: Input should be greater than or equal to 0"),
        (["--model_base_path=/m"], "give exactly one of --models, --model_config_file and --model_base_path"),
        (["--port=0"], "gRPC needs a port"),
        (["--auth_tokens_file=EMPTY"], "holds no token: write one a line"),
        (["--ssl_config_file=EMPTY"], "needs server_key and server_cert"),
    ],
    ids=["boolean", "range", "two sources", "port", "no token", "no key"],
)
def test_wrong_flags_are_told(tmp_path: Path, flags: list[str], message: str) -> None:
    (tmp_path / "EMPTY").touch()
    flags = [flag.replace("EMPTY", str(tmp_path / "EMPTY")) for flag in flags]
    with (
        pytest.raises(RuntimeError, match="the server ended with code") as caught,
        ServerProcess(tmp_path, flags=flags),
    ):
        pass
    assert message in str(caught.value)
