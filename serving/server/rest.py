"""TensorFlow Serving's REST API over a repository."""

import asyncio
import json
import logging
import re
from concurrent.futures import Executor
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server.errors import StatusError, as_status_error, invalid
from serving.server.grpc_service import metadata_response, status_response
from serving.server.json_tensors import read_call, write_answer
from serving.server.repository import Repository
from serving.server.servable import Servable

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 2**31 - 1
_LARGEST_VERSION = 2**63 - 1
_MODEL = r"/v1/models(?:/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?)"
_GET = re.compile(_MODEL + r"?(?P<metadata>/metadata)?", re.IGNORECASE)
_POST = re.compile(_MODEL + r":(?P<verb>predict|classify|regress)", re.IGNORECASE)


def build(repository: Repository, workers: Executor) -> web.Application:
    """Return the application; models run and JSON is read in the workers, so the event loop stays free."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_route("*", "/{path:.*}", _Handler(repository, workers).handle)
    return app


class _Handler:
    def __init__(self, repository: Repository, workers: Executor) -> None:
        self._repository = repository
        self._workers = workers

    async def handle(self, request: web.Request) -> web.Response:
        work = partial(self._answer, request.method, request.raw_path, await request.read())
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except Exception as error:
            return _refusal(error)
        return _reply(answer, 200)

    def _answer(self, method: str, path: str, body: bytes) -> bytes:
        pattern = {"GET": _GET, "POST": _POST}.get(method)
        if pattern is None or not path.lower().startswith("/v1/"):
            raise StatusError(StatusCode.NOT_FOUND, f"Not found: {method} {path}; models answer under /v1/models/")
        match = pattern.fullmatch(path)
        if match is None:
            raise invalid(f"Malformed request: {method} {path}")
        asked = match.groupdict()
        return self._post(asked, body) if method == "POST" else self._get(asked)

    def _get(self, asked: dict[str, str | None]) -> bytes:
        if asked["name"] is None:
            raise invalid("Missing model name in request.")
        name, version = unquote(asked["name"]), _version(asked["version"])
        if asked["metadata"]:
            return _metadata(self._repository.get(name, _resolved(version, asked["label"])))
        return _json(_document(status_response(self._repository.states(name, version))))

    def _post(self, asked: dict[str, str | None], body: bytes) -> bytes:
        verb = str(asked["verb"]).lower()
        if verb != "predict":
            raise StatusError(StatusCode.UNIMPLEMENTED, f"{verb} is not served here; ask with predict.")
        version = _resolved(_version(asked["version"]), asked["label"])
        servable = self._repository.get(unquote(str(asked["name"])), version)
        call = read_call(body, servable.signature_defs)
        return write_answer(servable.predict(call.inputs, signature=call.signature), by_row=call.by_row)


def _refusal(error: Exception) -> web.Response:
    if not isinstance(error, StatusError):
        _LOG.error("a request met an error of the server", exc_info=error)
    status = as_status_error(error)
    return _reply(_json({"error": status.message}), status.http_code)


def _version(text: str | None) -> int | None:
    if text is not None and int(text) > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return None if text is None else int(text)


def _resolved(version: int | None, label: str | None) -> int | None:
    if label is not None:
        raise invalid(f"Unrecognized servable version label: {unquote(label)}")
    return version


def _metadata(servable: Servable) -> bytes:
    response = metadata_response(servable)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return _json({"model_spec": spec, "metadata": {"signature_def": _document(signatures)}})


def _document(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def _reply(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
