"""JSON as TensorFlow Serving reads it: RapidJSON with NaN and infinities, at any depth."""

import json
import re
from typing import Any, TypeAlias

import rapidjson

from serving.server.errors import invalid

Json: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

_LONGEST_QUOTE = 256
_DEEPEST = 256
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PARSE_ERROR = re.compile(r"Parse error at offset (\d+): (.*)", re.DOTALL)


def parse(body: bytes) -> dict[str, Json]:
    """Return the object in a body.

    Raises:
        StatusError: INVALID_ARGUMENT, the body is not JSON, or not an object.

    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    # Bytes that are not UTF-8 are kept unchanged in strings, as in TensorFlow Serving.
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        document = _loads(text)
    except RecursionError:
        document = _loads(_without_the_depths(text))
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {quote(document)} Is not object")
    return document


def quote(value: Json) -> str:
    """Return a value for an error message, truncated if it is long."""
    try:
        return json.dumps(value, ensure_ascii=False)[:_LONGEST_QUOTE]
    except RecursionError:
        return "a value that is nested deeper than any tensor"


def kind(value: Json) -> str:
    """Return RapidJSON's name for the type of a value."""
    kinds = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    return str(value) if isinstance(value, bool) else kinds.get(type(value), "Number")


def _loads(text: str) -> Json:
    try:
        return rapidjson.loads(text, number_mode=rapidjson.NM_NAN | rapidjson.NM_NATIVE)
    except UnicodeEncodeError:
        return _loads_any_bytes(text)
    except rapidjson.JSONDecodeError as error:
        where = _PARSE_ERROR.match(str(error))
        reason = f"{where[2]} at offset: {where[1]}" if where else str(error)
        raise invalid(f"JSON Parse error: {reason}") from error


def _loads_any_bytes(text: str) -> Json:
    """Parse text with bytes that are not UTF-8, which RapidJSON's Python package rejects."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error


def _without_the_depths(text: str) -> str:
    """Return the text with null in place of values that are nested deeper than any tensor."""
    kept, depth, start = [], 0, 0
    for found in _STRING_OR_BRACKET.finditer(text):
        if found[0] in ("[", "{"):
            depth += 1
            if depth == _DEEPEST:
                kept += [text[start : found.start()], "null"]
        elif found[0] in ("]", "}"):
            if depth == _DEEPEST:
                start = found.end()
            depth -= 1
    return "".join([*kept, text[start:]] if depth < _DEEPEST else kept)
