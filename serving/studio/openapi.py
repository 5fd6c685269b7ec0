"""The OpenAPI document, generated from the schemas of the requests."""

from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.studio import schemas

_REFERENCE = "#/components/schemas/{model}"
_TAKEN = (schemas.Generation, schemas.Edit, schemas.CaptionAsked, schemas.WordsAsked)
_GIVEN = (schemas.Images, schemas.Caption, schemas.Words, schemas.Model, schemas.Models, schemas.Refusal)
_REFUSALS = {
    "400": "The request violates its schema; the message says where.",
    "401": "The server requires a bearer token.",
    "403": "The request comes from a page of another site.",
    "404": "The model, version or label is not served.",
    "413": "The request is too large.",
    "415": "The body has an unsupported media type.",
    "422": "The request is valid, but cannot be fulfilled; the message says why.",
    "429": "Too many requests at once.",
    "503": "The model server is unreachable or too busy.",
    "504": "The model server took too long.",
}
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "description": "The event type, as in `data`."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_EVENTS = {"text/event-stream": {"schema": _EVENT}}


_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


@cache
def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    modes: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in _TAKEN]
    modes += [(model, "serialization") for model in _GIVEN]
    _, definitions = models_json_schema(modes, ref_template=_REFERENCE)
    components = definitions["$defs"]
    components["Edit"] = _with_files(components["Edit"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Easel",
            "version": version("easel"),
            "description": "Pictures from prompts, compatible with OpenAI's API.",
        },
        "paths": {
            "/v1/models": {"get": _operation("List the models", None, "Models")},
            "/v1/models/{name}": {"get": _operation("Describe a model", None, "Model"), "parameters": [_NAME]},
            "/v1/images/kept/{name}": {"get": _fetching("Fetch a picture by its URL"), "parameters": [_NAME]},
            "/v1/images/generations": {"post": _operation("Draw", _json("Generation"), "Images", streams=True)},
            "/v1/images/edits": {"post": _operation("Restore", _form("Edit"), "Images", streams=True)},
            "/v1/images/words": {"post": _operation("Show the effect of each word", _json("WordsAsked"), "Words")},
            "/v1/captions": {"post": _operation("Complete a prompt", _json("CaptionAsked"), "Caption")},
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(summary: str, body: dict[str, Any] | None, answer: str, *, streams: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(answer)}, **(_EVENTS if streams else {})}
    refusal = {"application/json": {"schema": _reference("Refusal")}}
    refusals = {code: {"description": reason, "content": refusal} for code, reason in _REFUSALS.items()}
    asked = {"requestBody": {"required": True, "content": body}} if body else {}
    return {"summary": summary, **asked, "responses": {"200": {"description": answer, "content": content}, **refusals}}


def _fetching(summary: str) -> dict[str, Any]:
    operation = _operation(summary, None, "Images")
    operation["responses"]["200"] = {"description": "The picture.", "content": {"image/png": {}}}
    return operation


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(schema)}}


def _form(schema: str) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": _reference(schema)}}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=schema)}


def _with_files(schema: dict[str, Any]) -> dict[str, Any]:
    file = {"type": "string", "contentMediaType": "image/*", "format": "binary"}
    files = {
        "image": {**file, "description": "In any common format; without a mask, transparent pixels are holes."},
        "mask": {**file, "description": "A mask of the same size; the holes are transparent or white."},
    }
    # Field names of forms are limited to those that HTTP can transmit.
    names = {"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}}
    return {**schema, **names, "properties": {**files, **schema["properties"]}, "required": ["image"]}
