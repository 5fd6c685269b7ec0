import base64
import math

import pytest
from asking import Ask

HALF = "/v1/models/half_plus_two"
ECHO = "/v1/models/echo:predict"


def echo(ask: Ask, dtype: str, values: object) -> object:
    code, answer = ask(ECHO, {"signature_name": dtype, "inputs": values})
    assert code == 200, answer
    return answer["outputs"]["y"]


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (f"{HALF}:predict", {"instances": [1.0, 2.0]}, {"predictions": [3.5, 4.0]}),
        (f"{HALF}:predict", {"instances": [{"x": 1.0}, {"x": 2}]}, {"predictions": [3.5, 4.0]}),
        (f"{HALF}:predict", {"inputs": [[1.0], [2.0]]}, {"outputs": [[3.5], [4.0]]}),
        (f"{HALF}:predict", {"inputs": {"x": 1.0}}, {"outputs": 3.5}),
        (f"{HALF}/versions/124:predict", {"instances": [1.0]}, {"predictions": [3.5]}),
        ("/V1/Models/half_plus_two:predict", {"instances": [1.0], "ignored": {}}, {"predictions": [3.5]}),
    ],
)
def test_predict(ask: Ask, path: str, body: object, answer: object) -> None:
    assert ask(path, body) == (200, answer)


def test_several_inputs_and_outputs_go_by_name(ask: Ask) -> None:
    rows = [{"a": [1, 2], "b": "x"}, {"a": [3, 4], "b": {"b64": base64.b64encode(b"y").decode()}}]
    code, answer = ask(ECHO, {"signature_name": "pair", "instances": rows})
    assert code == 200
    assert [row["a"] for row in answer["predictions"]] == [[1, 2], [3, 4]]
    assert [base64.b64decode(row["b_bytes"]["b64"]) for row in answer["predictions"]] == [b"x", b"y"]
    code, answer = ask(ECHO, {"signature_name": "pair", "inputs": {"a": [1], "b": ["x"]}})
    assert answer["outputs"] == {"a": [1], "b": ["x"], "b_bytes": [{"b64": "eA=="}]}


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int32", [[1, 2], [3, 4], [5, 6]]),
        ("int64", [2**62]),
        ("uint64", [2**64 - 1]),
        ("uint8", [0, 255]),
        ("bool", [True, False]),
        ("string", [["a"], ["π"]]),
        ("float64", [0.1, 1e300]),
        ("float32", [[]]),
    ],
)
def test_values_come_back(ask: Ask, dtype: str, values: object) -> None:
    assert echo(ask, dtype, values) == values


def test_floats(ask: Ask) -> None:
    assert echo(ask, "float32", [1, 2.0, 0.1]) == [1.0, 2.0, 0.1]
    assert echo(ask, "float32", [1 / 3, 1435774380]) == [0.333333343, 1435774340.0]
    assert echo(ask, "float32", [1.797e308, -1.797e308]) == [math.inf, -math.inf]
    assert math.isnan(echo(ask, "float64", [math.nan])[0])


def test_base64_input(ask: Ask) -> None:
    assert echo(ask, "string", [[{"b64": "aGVsbG8="}], [{"b64": "d29ybGQ="}]]) == [["hello"], ["world"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error"),
        (b"[1]", "expecting an object"),
        ({"signature_name": 5, "instances": [1]}, "must be a string value"),
        ({"instances": [1], "inputs": [1]}, "Not formatted correctly"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": {}}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[1, 2], [3, 4], [[5, 6]]]}, "Expecting shape"),
        ({"instances": [[1, 2], [3]]}, "Expecting shape"),
        ({"instances": [[1, 2], ["a", "b"]]}, "not of expected type"),
        ({"signature_name": "int32", "inputs": [2**31]}, "not of expected type: int32"),
        ({"signature_name": "int32", "inputs": [1.0]}, "not of expected type: int32"),
        ({"signature_name": "bool", "inputs": [1]}, "not of expected type: bool"),
        ({"signature_name": "string", "inputs": [{"b64": "eA==", "x": 1}]}, "not formatted correctly for base64 data"),
        ({"signature_name": "string", "inputs": [{"b64": 5}]}, "not formatted correctly for base64 data"),
        ({"signature_name": "string", "inputs": [{"b64": "?"}]}, "not formatted correctly for base64 data"),
        ({"signature_name": "pair", "instances": [1]}, "expecting list of objects as multiple input tensors"),
        ({"signature_name": "pair", "inputs": [1]}, "expecting an object as multiple input tensors"),
        ({"signature_name": "pair", "instances": [{"a": 1}]}, "keys must be equal to: a,b"),
        ({"signature_name": "pair", "instances": [{"a": 1, "c": 1}]}, "does not have named input: c"),
        ({"instances": [{"x": 1}, [1]]}, "Expecting object but got list at item 1"),
        ({"instances": [[1], {"x": 1}]}, "Expecting value/list but got object"),
        ({"signature_name": "nope", "instances": [1]}, 'Serving signature name: "nope" not found in signature def'),
        ({"signature_name": "complex64", "inputs": {"x": 1}}, "Conversion of JSON Value"),
        ({"signature_name": "half", "inputs": [1]}, "Conversion of JSON Value"),
    ],
)
def test_bad_bodies(ask: Ask, body: object, message: str) -> None:
    code, answer = ask(ECHO, body)
    assert code == (501 if "Conversion" in message else 400)
    assert message in answer["error"]


def test_long_values_are_cut_in_messages(ask: Ask) -> None:
    _, answer = ask(ECHO, {"inputs": "x" * 10_000})
    assert len(answer["error"]) < 400


def test_outputs_without_a_common_batch_need_the_columnar_form(ask: Ask) -> None:
    code, answer = ask(f"{HALF}:predict", {"signature_name": "picky", "instances": [1.0, 2.0]})
    assert code == 400
    assert "total" in answer["error"]
    assert ask(f"{HALF}:predict", {"signature_name": "picky", "inputs": [1.0, 2.0]})[1] == {
        "outputs": {"y": [1.0, 2.0], "total": 3.0}
    }
    code, answer = ask(ECHO, {"signature_name": "int32", "instances": [[1, 2], [3, 4], [5, 6]]})
    assert code == 400
    assert "inconsistent batch size" in answer["error"]


def test_error_of_the_model(ask: Ask) -> None:
    code, answer = ask(f"{HALF}:predict", {"signature_name": "picky", "inputs": [11.0]})
    assert code == 400
    assert answer["error"].startswith("assertion failed: [x must be below 10]")


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("/v1/models", None, 400, "Missing model name"),
        ("/v1/models", b"{}", 400, "Malformed request"),
        ("/v1/models/foo/version/50:predict", b"{}", 400, "Malformed request: POST /v1/models/foo/version/50:predict"),
        ("/v1/models/foo/versions/HELLO:predict", b"{}", 400, "Malformed request"),
        ("/v1/models/foo/versions/18446744073709551615:predict", b"{}", 400, "Failed to convert version"),
        ("/v1/models/foo/versions/50/labels/x:predict", b"{}", 400, "Malformed request"),
        (f"{HALF}:predict?x=1", b"{}", 400, "Malformed request"),
        (f"{HALF}/labels/stable:predict", b"{}", 400, "Unrecognized servable version label"),
        ("/v1/models/foo:predict", b"{}", 404, "Servable not found for request: Latest(foo)"),
        ("/v1/models/foo/versions/50:predict", b"{}", 404, "Servable not found for request: Specific(foo, 50)"),
        ("/v1/models/m%20m:predict", b"{}", 404, "Latest(m m)"),
        (f"{HALF}:classify", b"{}", 501, "classify"),
        ("/v1/models/foo", None, 404, "Could not find any versions of model foo"),
        (f"{HALF}/versions/125", None, 404, "Could not find version 125 of model half_plus_two"),
        ("/v1/models/foo/metadata", None, 404, "Servable not found for request: Latest(foo)"),
        ("/elsewhere", None, 404, "/v1/models"),
    ],
)
def test_refusals(ask: Ask, path: str, body: bytes | None, code: int, message: str) -> None:
    got, answer = ask(path, body)
    assert (got, list(answer)) == (code, ["error"])
    assert message in answer["error"]


def test_status(ask: Ask) -> None:
    expected = {"version": "124", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert ask(HALF) == (200, {"model_version_status": [expected]})
    assert ask(f"{HALF}/versions/124") == (200, {"model_version_status": [expected]})


def test_metadata(ask: Ask) -> None:
    code, answer = ask(f"{HALF}/metadata")
    assert code == 200
    assert answer["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "124"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_picture_is_base64(ask: Ask) -> None:
    body = {"instances": [{"prompt": "a red circle", "seed": 7}]}
    code, answer = ask("/v1/models/text_to_image:predict", body)
    assert code == 200
    assert base64.b64decode(answer["predictions"][0]["image_bytes"]["b64"]).startswith(b"\x89PNG")
    assert answer["predictions"][0]["expanded_prompt"] == "a red circle on black"
