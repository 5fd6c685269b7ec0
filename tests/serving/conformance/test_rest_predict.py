"""Cases C and D: what a body is read as, and how an answer is written."""

import base64
import http.client
import json
import math
from typing import Any

import pytest
from asking import Ask
from launching import Server

TWO = "/v1/models/half_plus_two"
ECHO = "/v1/models/echo:predict"
ECHO4 = "/v1/models/echo4:predict"
ROWS4 = [
    {"int_tensor": [[1, 2], [3, 4], [5, 6]], "str_tensor": ["foo", "bar"], "float_tensor": [1, 2.5], "dbl_tensor": [8]},
    {"int_tensor": [[7, 8], [9, 0], [1, 2]], "str_tensor": ["baz", "qux"], "float_tensor": [3, 4], "dbl_tensor": [9]},
]


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def echoed(ask: Ask, dtype: str, values: object) -> Any:
    code, answer = ask(ECHO, {"signature_name": dtype, "inputs": values})
    assert code == 200, answer
    return answer["outputs"]["y"]


def changed(row: dict[str, object], **values: object) -> dict[str, object]:
    return {**row, **values}


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        pytest.param(
            TWO, {"signature_name": "serving_default", "instances": [3.0, 4.0]}, {"predictions": [4.5, 5.0]}, id="C03"
        ),
        pytest.param(f"{TWO}/versions/123", {"inputs": [3.0, 4.0]}, {"outputs": [3.5, 4.0]}, id="C04"),
        pytest.param(f"{TWO}/versions/123", {"instances": [3.0, 4.0]}, {"predictions": [3.5, 4.0]}, id="C05 version"),
        pytest.param(f"{TWO}/labels/stable", {"instances": [3.0, 4.0]}, {"predictions": [3.5, 4.0]}, id="C05 label"),
        pytest.param(TWO, {"instances": [3.0, 4.0]}, {"predictions": [4.5, 5.0]}, id="B05"),
        pytest.param(TWO, {"instances": [{"x": 3.0}, {"x": 4}]}, {"predictions": [4.5, 5.0]}, id="named rows"),
        pytest.param(TWO, {"signature_name": "", "inputs": {"x": 3.0, "y": 1}}, {"outputs": 4.5}, id="scalar"),
    ],
)
def test_predict(ask: Ask, path: str, body: object, answer: object) -> None:
    assert ask(f"{path}:predict", body) == (200, answer)


@pytest.mark.parametrize(
    ("dtype", "sent", "got"),
    [
        pytest.param("int32", [[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]], id="C06"),
        pytest.param("float32", [1, 2.0, 3, 4, 5.003, 0.007, 0.0], [1, 2, 3, 4, 5.003, 0.007, 0], id="C07"),
        pytest.param("float64", [1.0, 2, 3, 4, 0.662, 0, 0.0], [1, 2, 3, 4, 0.662, 0, 0], id="C08"),
        pytest.param("float32", [1435774380, 1435774380.0], [1435774340.0, 1435774340.0], id="C09"),
        pytest.param("float32", [1.797e308, -1.797e308], [math.inf, -math.inf], id="C10"),
        pytest.param("float32", [2.2e-308, -2.2e-308], [0.0, -0.0], id="C11"),
        pytest.param("string", [[b64(b"hello")], [b64(b"world")]], [["hello"], ["world"]], id="C13"),
        pytest.param("string", [["a"], ["π"]], [["a"], ["π"]], id="text"),
        pytest.param("int64", [2**62, -(2**63)], [2**62, -(2**63)], id="int64"),
        pytest.param("uint64", [2**64 - 1], [2**64 - 1], id="uint64"),
        pytest.param("uint8", [0, 255, 256], [0, 255, 0], id="narrow integers wrap around"),
        pytest.param("bool", [True, False], [True, False], id="bool"),
        pytest.param("float32", [[]], [[]], id="nothing"),
        pytest.param("string", {"b64": "AH g"}, "\x00x", id="base64 without padding or with white space"),
    ],
)
def test_values(ask: Ask, dtype: str, sent: object, got: object) -> None:
    assert echoed(ask, dtype, sent) == got


def test_C14_named_row_of_base64(ask: Ask) -> None:
    code, answer = ask(ECHO4, {"instances": [changed(ROWS4[0], str_tensor=[[b64(b"aa")], [b64(b"bb")]])]})
    assert code == 200
    assert answer["predictions"][0]["str_tensor"] == [["aa"], ["bb"]]


def test_C15_rows_of_several_inputs(ask: Ask) -> None:
    rows = json.dumps([changed(ROWS4[0], float_tensor=["nan", "inf"]), ROWS4[1]])
    body = f'{{"instances": {rows}}}'.replace('"nan"', "NaN").replace('"inf"', "Infinity")
    code, answer = ask(ECHO4, body.encode())
    assert code == 200
    first, second = answer["predictions"]
    assert math.isnan(first["float_tensor"][0])
    assert first["float_tensor"][1] == math.inf
    assert second == ROWS4[1]


def test_C16_columns_of_one_input(ask: Ask) -> None:
    values = [[[1, 2], [3, 4], [5, 6]]]
    assert echoed(ask, "int32", {"x": values}) == values
    assert echoed(ask, "int32", values) == values


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        pytest.param('{"instances": [1.0], "unknown": %s}', 200, "", id="C18"),
        pytest.param('{"instances": [1.0], "signature_name": %s}', 400, "key must be a string value", id="C19"),
        pytest.param('{"instances": %s}', 400, "", id="deep values"),
    ],
)
def test_deep_nesting(ask: Ask, body: str, code: int, message: str) -> None:
    got, answer = ask(f"{TWO}:predict", (body % ("[" * 500_000 + "]" * 500_000)).encode())
    assert got == code
    assert message in json.dumps(answer)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        pytest.param(ECHO, b"", "JSON Parse error: The document is empty", id="C21"),
        pytest.param(ECHO, b"{", "JSON Parse error: Missing a name for object member", id="broken"),
        pytest.param(ECHO, b"[1]", "Is not object", id="a list"),
        pytest.param(ECHO, {"signature_name": 5, "instances": [1]}, "must be a string value", id="C24"),
        pytest.param(ECHO, {"instances": [1], "inputs": [1]}, "Not formatted correctly", id="C26"),
        pytest.param(ECHO, {}, "Missing 'inputs' or 'instances' key", id="C27"),
        pytest.param(ECHO, {"instances": {}}, "Expecting 'instances' to be an list/array", id="C28 object"),
        pytest.param(ECHO, {"instances": 1}, "Expecting 'instances' to be an list/array", id="C28 scalar"),
        pytest.param(ECHO, {"instances": []}, "No values in 'instances' array", id="C29"),
        pytest.param(
            ECHO, {"signature_name": "int32", "instances": [[1, 2], [3, 4], [[5, 6]]]}, "Expecting shape", id="C31"
        ),
        pytest.param(
            ECHO, {"instances": [[1, 2], [3]]}, "Expecting tensor size: 2 but got: 1", id="rows of several sizes"
        ),
        pytest.param(
            ECHO,
            {"signature_name": "int32", "instances": [[1, 2], ["a", "b"]]},
            "not of expected type: int32",
            id="C33",
        ),
        pytest.param(ECHO, {"signature_name": "int32", "inputs": [2**31]}, "not of expected type", id="C36"),
        pytest.param(ECHO, {"signature_name": "int32", "inputs": [1.0]}, "not of expected type", id="no integer"),
        pytest.param(ECHO, {"signature_name": "bool", "inputs": [1]}, "not of expected type: bool", id="C37"),
        pytest.param(ECHO4, {"instances": [1]}, "expecting list of objects as multiple input tensors", id="C39"),
        pytest.param(ECHO4, {"instances": [{"b64": "eA=="}]}, "not of expected type: double", id="values alone"),
        pytest.param(ECHO4, {"inputs": [1]}, "expecting an object as multiple input tensors", id="C40"),
        pytest.param(
            ECHO4,
            {"instances": [ROWS4[0], changed(ROWS4[1], int_tensor=[[[1, 2], [3, 4], [5, 6]]])]},
            "Expecting shape [3,2] but got: [1,3,2]",
            id="C41",
        ),
        pytest.param(ECHO4, {"inputs": {"int_tensor": [1]}}, "Missing named input: ", id="missing column"),
        pytest.param(ECHO4, {"instances": [ROWS4[0], [1]]}, "Expecting object but got list at item 1", id="C43"),
        pytest.param(ECHO, {"instances": [[1], {"x": 1}]}, "Expecting value/list but got object", id="C44"),
        pytest.param(
            ECHO4,
            {"instances": [{"int_tensor": [1]}]},
            "keys must be equal to: dbl_tensor,float_tensor,int_tensor,str_tensor",
            id="C45",
        ),
        pytest.param(ECHO4, {"instances": [{"nope": 1}]}, "does not have named input: nope", id="C46"),
        pytest.param(
            ECHO,
            {"signature_name": "string", "inputs": [{"b64": "eA==", "x": 1}]},
            "not formatted correctly for base64 data",
            id="C49 two keys",
        ),
        pytest.param(
            ECHO,
            {"signature_name": "string", "inputs": [{"b64": 5}]},
            "not formatted correctly for base64 data",
            id="C49 number",
        ),
        pytest.param(
            ECHO, {"signature_name": "string", "inputs": [{"b64": "?"}]}, "Unable to base64 decode", id="no base64"
        ),
        pytest.param(
            ECHO,
            {"signature_name": "nope", "inputs": [1]},
            'Serving signature name: "nope" not found in signature def',
            id="C50",
        ),
        pytest.param(ECHO, {"inputs": [[1, 2], [3]]}, "Encountered list at unexpected size: 1", id="ragged"),
        pytest.param(ECHO, {"inputs": [[1], 2]}, "found at incorrect level: 2", id="uneven depth"),
        pytest.param(ECHO, {"inputs": [1, [2]]}, "Encountered list at unexpected level: 1", id="too deep"),
    ],
)
def test_bad_bodies(ask: Ask, path: str, body: object, message: str) -> None:
    code, answer = ask(path, body)
    assert code == 400
    assert message in answer["error"]


@pytest.mark.parametrize("dtype", ["half", "bfloat16", "uint16"])
def test_C38_types_that_json_cannot_become(ask: Ask, dtype: str) -> None:
    code, answer = ask(ECHO, {"signature_name": dtype, "inputs": [1]})
    assert code == 501
    assert "Conversion of JSON Value" in answer["error"]


def test_C51_long_values_are_cut_in_messages(ask: Ask) -> None:
    _, answer = ask(ECHO, {"inputs": "x" * 10_000})
    assert "is not of expected type" in answer["error"]
    assert len(answer["error"]) < 400


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("Inf", ""),
        ("-Inf", ""),
        ("NaN", ""),
        ("Infinity", ""),
        ("-Infinity", ""),
        ("Nan", "Invalid value."),
        ("+Infinity", "Invalid value."),
        ("1.", "Miss fraction part in number."),
    ],
)
def test_C52_numbers(ask: Ask, token: str, message: str) -> None:
    code, answer = ask(ECHO, f'{{"inputs": [{token}]}}'.encode())
    assert code == (400 if message else 200)
    assert message in answer.get("error", "")


def emitted(server: Server, signature: str, *, rows: bool) -> tuple[int, bytes]:
    body = {"signature_name": signature, "instances" if rows else "inputs": [1]}
    connection = http.client.HTTPConnection(server.rest_address, timeout=30)
    connection.request("POST", "/v1/models/emit:predict", json.dumps(body))
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


CUBE = [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
FIVE = {"a": [1, 2], "b": [[0.5], [1.5]], "c": ["x", "y"], "d": [True, False], "e": [1, 2]}
BYTES = [[b64(b"a"), b64(b"b")], [b64(b"c"), b64(b"d")]]


@pytest.mark.parametrize(
    ("signature", "rows", "answer"),
    [
        pytest.param("cube", True, {"predictions": CUBE}, id="D01 rows"),
        pytest.param("cube", False, {"outputs": CUBE}, id="D01 columns"),
        pytest.param("bytes", True, {"predictions": BYTES}, id="D03 bytes"),
        pytest.param("texts", False, {"outputs": [["a", "b"], ["c", "d"]]}, id="D03 texts"),
        pytest.param(
            "five",
            True,
            {"predictions": [{name: values[i] for name, values in FIVE.items()} for i in (0, 1)]},
            id="D10 rows",
        ),
        pytest.param("five", False, {"outputs": FIVE}, id="D10 columns"),
        pytest.param("empty", True, {"predictions": []}, id="D12"),
        pytest.param("scalar", False, {"outputs": 1.0}, id="scalar"),
    ],
)
def test_answers(server: Server, signature: str, rows: bool, answer: object) -> None:
    code, body = emitted(server, signature, rows=rows)
    assert (code, json.loads(body)) == (200, answer)


def test_D06_digits(server: Server) -> None:
    body = emitted(server, "third", rows=False)[1].decode()
    assert "".join(body.split()) == '{"outputs":[0.333333343,0.1,2.0,9e+06,3e-05]}'
    assert "0.33333333333333331" in emitted(server, "third64", rows=False)[1].decode()


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        pytest.param("complex", "tensor type: complex64", id="D07"),
        pytest.param("half", "Failed to write JSON value for tensor type: half", id="D08 half"),
        pytest.param("brain", "Failed to write JSON value for tensor type: bfloat16", id="D08 bfloat16"),
        pytest.param("uneven", "inconsistent batch size", id="D14"),
        pytest.param("scalar", "has no shape information", id="scalar in rows"),
    ],
)
def test_answers_that_json_cannot_hold(server: Server, signature: str, message: str) -> None:
    code, body = emitted(server, signature, rows=True)
    assert code == 400
    assert message in json.loads(body)["error"]


def test_D15_quotes_in_messages(ask: Ask) -> None:
    assert '"a "quoted" name"' in ask(ECHO, {"signature_name": 'a "quoted" name', "inputs": [1]})[1]["error"]


def test_errors_of_the_model_tell_nothing_of_its_code(ask: Ask) -> None:
    code, answer = ask("/v1/models/slow:predict", {"signature_name": "picky", "inputs": [11.0]})
    assert code == 400
    assert answer["error"].startswith("assertion failed: [x must be below 10]")
    assert ".py" not in answer["error"]
