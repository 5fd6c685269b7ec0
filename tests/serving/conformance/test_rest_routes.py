"""Cases A, G and K of REST: paths, status, metadata, transport."""

import gzip
import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest
from asking import Ask
from launching import Server
from prometheus_client.parser import text_string_to_metric_families
from served_models import ODD_NAME

TWO = "/v1/models/half_plus_two"
ROW = {"instances": [3.0, 4.0]}


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        pytest.param("/v1/models", None, 400, "Missing model name", id="A03"),
        pytest.param("/v1/models", b"{}", 400, "Malformed request", id="A04"),
        pytest.param("/v1/models/foo/version/50:predict", b"{}", 400, "Malformed request", id="A07"),
        pytest.param("/v1/models/foo/version/50:regress", b"{}", 400, "Malformed request", id="A08"),
        pytest.param("/v1/models/foo/versions/HELLO:regress", b"{}", 400, "Malformed request", id="A09"),
        pytest.param(f"/v1/models/foo/versions/{2**64 - 1}:regress", b"{}", 400, "Failed to convert version", id="A10"),
        pytest.param("/v1/models/foo/label/some_label:regress", b"{}", 400, "Malformed request", id="A12"),
        pytest.param("/v1/models/foo/versions/50/labels/x:regress", b"{}", 400, "Malformed request", id="A13"),
        pytest.param("/v1/models/foo/versions/some_label:regress", b"{}", 400, "Malformed request", id="A14"),
        pytest.param(f"{TWO}:predict?x=1", b"{}", 400, "Malformed request", id="A20"),
        pytest.param("/v1/models/foo:predict", ROW, 404, "Servable not found for request: Latest(foo)", id="B01"),
        pytest.param(
            "/v1/models/foo/versions/50:predict", ROW, 404, "not found for request: Specific(foo, 50)", id="B02"
        ),
        pytest.param(f"{TWO}/labels/nope:predict", ROW, 400, "Unrecognized servable version label", id="B04"),
        pytest.param("/v1/models/foo", None, 404, "Could not find any versions of model foo", id="G05"),
        pytest.param(f"{TWO}/versions/125", None, 404, "Could not find version 125 of model half_plus_two", id="G06"),
        pytest.param("/v1/models/foo/metadata", None, 404, "Latest(foo)", id="metadata of an unknown model"),
    ],
)
def test_refusals(ask: Ask, path: str, body: object, code: int, message: str) -> None:
    got, answer = ask(path, body)
    assert (got, list(answer)) == (code, ["error"])
    assert message in answer["error"]


def test_A16_percent_encoded_names(ask: Ask) -> None:
    path = f"/v1/models/{quote(ODD_NAME, safe='')}"
    assert ask(path)[0] == 200
    assert ask(f"{path}:predict", {"instances": [2.0]}) == (200, {"predictions": [4.0]})


def test_A18_upper_case_prefix(ask: Ask) -> None:
    assert ask("/V1/MODELS/half_plus_two:PREDICT", {"instances": [2.0]}) == (200, {"predictions": [4.0]})


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded"], ids=["none", "text", "form"]
)
def test_A22_A23_content_types(server: Server, kind: str | None) -> None:
    request = urllib.request.Request(f"http://{server.rest_address}{TWO}:predict", json.dumps(ROW).encode())
    if kind:
        request.add_header("Content-Type", kind)
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.headers["Content-Type"] == "application/json"


def test_A22_errors_are_json_too(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{server.rest_address}/v1/models/foo", timeout=30)
    with caught.value as error:
        assert error.headers["Content-Type"] == "application/json"


def version(number: int) -> dict[str, object]:
    return {"version": str(number), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


@pytest.mark.parametrize(
    ("path", "versions"),
    [
        pytest.param("/v1/models/half_plus_three", [1], id="G01"),
        pytest.param(f"{TWO}/versions/123", [123], id="G02"),
        pytest.param(f"{TWO}/labels/stable", [124, 123], id="G03"),
        pytest.param(TWO, [124, 123], id="several"),
    ],
)
def test_status(ask: Ask, path: str, versions: list[int]) -> None:
    assert ask(path) == (200, {"model_version_status": [version(number) for number in versions]})


def test_metadata(ask: Ask) -> None:
    code, answer = ask(f"{TWO}/labels/stable/metadata")
    assert code == 200
    assert answer["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_calls_on_examples_are_unimplemented(ask: Ask, verb: str) -> None:
    code, answer = ask(f"{TWO}:{verb}", {"examples": [{"x": 1.0}]})
    assert code == 501
    assert verb in answer["error"]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "gzip, identity", "GZIP"])
def test_gzipped_bodies_are_read(server: Server, encoding: str) -> None:
    body = gzip.compress(json.dumps(ROW).encode())
    assert post_gzipped(server, body, encoding) == (200, {"predictions": [4.5, 5.0]})


@pytest.mark.parametrize("path", [TWO, f"{TWO}/versions/123", f"{TWO}/metadata", "/v1/models/foo", "/v1/models"])
def test_a_head_is_a_get_without_a_body(server: Server, path: str) -> None:
    answers = []
    for method in ("GET", "HEAD"):
        connection = http.client.HTTPConnection(server.rest_address, timeout=30)
        connection.request(method, path)
        response = connection.getresponse()
        answers.append((response.status, response.headers["Content-Type"]))
        assert bool(response.read()) == (method == "GET")
        connection.close()
    assert answers[0] == answers[1]


def test_K03_a_body_that_unpacks_too_far_counts_as_empty(server: Server) -> None:
    code, answer = post_gzipped(server, gzip.compress(b" " * (100 * 2**20 + 1), compresslevel=1))
    assert code == 400
    assert "The document is empty" in answer["error"]


def post_gzipped(server: Server, body: bytes, encoding: str = "gzip") -> tuple[int, dict[str, object]]:
    url = f"http://{server.rest_address}{TWO}:predict"
    request = urllib.request.Request(url, body, headers={"Content-Encoding": encoding})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(("path", "body"), [("half_plus_three", None), ("half_plus_three:predict", ROW)])
def test_K07_cors(batching: Server, path: str, body: object) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{batching.rest_address}/v1/models/{path}", data)
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"


def page(server: Server, path: str) -> str:
    with urllib.request.urlopen(f"http://{server.rest_address}{path}", timeout=30) as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        return response.read().decode()


def test_K09_metrics_are_at_their_own_path(batching: Server) -> None:
    assert "# TYPE :tensorflow:serving:" in page(batching, "/counted")


def test_K10_metrics(server: Server) -> None:
    server.ask("/v1/models/half_plus_three:predict", ROW)
    text = page(server, "/monitoring/prometheus/metrics")
    assert "\n# TYPE :tensorflow:serving:request_count counter\n" in text
    assert "request_count_total" not in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counts = [
        sample.value
        for sample in families[":tensorflow:serving:request_count"].samples
        if sample.labels == {"model_name": "half_plus_three", "status": "OK"}
    ]
    assert counts[0] >= 1
    latency = families[":tensorflow:serving:request_latency"].samples
    labels = {"model_name": "half_plus_three", "API": "Predict", "entrypoint": "REST"}
    mine = [sample for sample in latency if labels.items() <= sample.labels.items()]
    bounds = [sample.labels["le"] for sample in mine if "le" in sample.labels]
    assert [float(bound) for bound in bounds[:-1]] == pytest.approx([10 * 1.8**power for power in range(33)])
    assert bounds[-1] == "+Inf"
    assert {sample.name.rpartition("_")[2] for sample in mine} == {"bucket", "sum", "count"}


def test_K11_no_metrics_without_a_monitoring_config(reloading: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        page(reloading, "/monitoring/prometheus/metrics")
    with caught.value as error:
        assert error.code == 404


@pytest.mark.parametrize(
    ("model", "body", "code"),
    [
        pytest.param("half_plus_two", {"inputs": {}}, 400, id="K12 INVALID_ARGUMENT"),
        pytest.param("foo", ROW, 404, id="K12 NOT_FOUND"),
        pytest.param("echo", {"signature_name": "half", "inputs": [1]}, 501, id="K12 UNIMPLEMENTED"),
        pytest.param("compiled", ROW, 500, id="K12 INTERNAL"),
    ],
)
def test_codes(ask: Ask, model: str, body: object, code: int) -> None:
    assert ask(f"/v1/models/{model}:predict", body)[0] == code


def test_K14_timeout(batching: Server) -> None:
    code, answer = batching.ask("/v1/models/slow:predict", {"inputs": {"x": [1.0], "seconds": [2.0]}})
    assert (code, list(answer)) == (504, ["error"])


def test_K15_compiled_functions_need_a_flag(ask: Ask) -> None:
    code, answer = ask("/v1/models/compiled:predict", ROW)
    assert code == 500
    assert "XLA compilation disabled" in answer["error"]
