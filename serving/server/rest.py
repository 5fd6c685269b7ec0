"""TensorFlow Serving's REST API, and routes for health checks and monitoring."""

import json
import re
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.server.access import Tokens
from serving.server.errors import StatusError, as_status_error, invalid
from serving.server.grpc_service import metadata_response, status_response
from serving.server.json_answers import write_answer
from serving.server.json_requests import read_call
from serving.server.predictor import Call, Predictor
from serving.server.repository import Repository
from serving.server.servable import Servable

_LARGEST_VERSION = 2**63 - 1
_LARGEST_UNPACKED = 100 * 2**20
_MODEL = r"/v1/models(?:/(?P<name>[^/:]+))?(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_GET = re.compile(_MODEL + r"(?P<metadata>/metadata)?", re.IGNORECASE | re.ASCII)
_POST = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r":(?P<verb>predict|classify|regress)",
    re.IGNORECASE | re.ASCII,
)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


class RestApi:
    """Answers everything under /v1/.

    Args:
        repository: finds the models.
        predictor: runs them.
        timeout: seconds that an answer may take.
        cors: whether pages of other origins may read the responses.

    """

    def __init__(self, repository: Repository, predictor: Predictor, *, timeout: float, cors: bool = False) -> None:
        self._repository = repository
        self._predictor = predictor
        self._timeout = timeout
        self._headers = _CORS if cors else {}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; every error has the same form."""
        try:
            if request.method == "OPTIONS" and self._headers:
                return web.Response(headers=self._headers, content_type="application/json")
            body = _unpacked(await request.read(), request.headers.get("Content-Encoding", ""))
            return _reply(await self._answer(request.method, request.raw_path, body), 200, self._headers)
        except web.HTTPRequestEntityTooLarge:
            limit = self._predictor.limits.request_bytes
            return _reply(error_body(f"The request is larger than the {limit} bytes allowed"), 413, self._headers)
        except Exception as error:
            status = as_status_error(error)
            return _reply(error_body(status.message), status.http_code, self._headers)

    async def _answer(self, method: str, path: str, body: bytes) -> bytes:
        pattern = {"GET": _GET, "HEAD": _GET, "POST": _POST}.get(method)
        match = pattern.fullmatch(path) if pattern else None
        if match is None:
            raise invalid(f"Malformed request: {method} {path}")
        asked = match.groupdict()
        return await self._post(asked, body) if method == "POST" else self._get(asked)

    def _get(self, asked: dict[str, str | None]) -> bytes:
        version = _version(asked["version"])
        if asked["name"] is None:
            raise invalid("Missing model name in request.")
        name, label = unquote(asked["name"]), asked["label"]
        api = "GetModelMetadata" if asked["metadata"] else "GetModelStatus"
        with self._predictor.observed(Call(api, "REST")) as call:
            if not asked["metadata"]:
                return json_bytes(_document(status_response(self._repository.states(name, version))))
            servable = self._repository.get(name, version, unquote(label) if label else None)
            call.found(servable)
            return _metadata(servable)

    async def _post(self, asked: dict[str, str | None], body: bytes) -> bytes:
        verb, version = str(asked["verb"]).lower(), _version(asked["version"])
        if verb != "predict":
            raise StatusError(StatusCode.UNIMPLEMENTED, f"{verb} is not served here; ask with predict.")
        label = unquote(asked["label"]) if asked["label"] else None
        predictor = self._predictor
        with predictor.observed(Call("Predict", "REST")) as call:
            servable = self._repository.get(unquote(str(asked["name"])), version, label)
            call.found(servable)
            given = await predictor.convert(len(body), read_call, body, servable.signature_defs)
            call.found(servable, given.signature)
            call.inputs = given.inputs
            outputs = await predictor.predict(servable, given.signature, given.inputs, seconds=self._timeout)
            size = sum(tensor.size for tensor in outputs.values())
            return await predictor.convert(size, write_answer, outputs, given.by_row)


class Watch:
    """The routes outside of /v1/: liveness, readiness, the list of models, and metrics.

    Args:
        repository: knows the models.
        is_ending: whether the server has begun to end.

    """

    def __init__(self, repository: Repository, is_ending: Callable[[], bool]) -> None:
        self._repository = repository
        self._is_ending = is_ending

    async def alive(self, request: web.Request) -> web.Response:
        """Answer 200 as long as the server runs."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Answer 200 when every configured model is ready, and 503 before that and during the shutdown."""
        waiting = self._repository.waiting()
        ready = self._repository.is_ready() and not self._is_ending()
        state = "ending" if self._is_ending() else "ready" if ready else "waiting"
        return web.json_response({"status": state, "waiting": waiting}, status=200 if ready else 503)

    async def models(self, request: web.Request) -> web.Response:
        """List the models with the states and the labels of their versions."""
        return web.json_response({"models": [self._model(name) for name in self._repository.names()]})

    def _model(self, name: str) -> dict[str, object]:
        try:
            states = self._repository.states(name)
        except StatusError:
            states = []
        versions = [
            {"version": each.version, "state": each.state.name, "error": each.error.message if each.error else ""}
            for each in states
        ]
        return {"name": name, "versions": versions, "labels": self._repository.labels(name)}


def build(
    api: RestApi, watch: Watch, *, limit: int, metrics: tuple[str, Callable[[], bytes]] | None, tokens: Tokens | None
) -> web.Application:
    """Return the application.

    Args:
        api: handles requests under /v1/.
        watch: handles the other routes.
        limit: maximum size of a body in bytes; 0 for no limit.
        metrics: the path of the metrics and a function that returns their page; None for no metrics.
        tokens: the accepted bearer tokens, for all routes except health checks; None for no access control.

    """
    app = web.Application(client_max_size=limit or 2**31 - 1, middlewares=[_guard(tokens)] if tokens else [])
    app.router.add_get("/healthz", watch.alive)
    app.router.add_get("/readyz", watch.ready)
    app.router.add_get("/models", watch.models)
    if metrics:
        path, page = metrics
        app.router.add_get(path, _metrics_handler(page))
    app.router.add_route("*", "/{version:[vV]1}/{path:.*}", api.handle)
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


def error_body(message: str) -> bytes:
    """Return the body of an error response."""
    return json_bytes({"error": message})


def json_bytes(document: dict[str, Any]) -> bytes:
    """Return a document in TensorFlow Serving's layout."""
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _metrics_handler(page: Callable[[], bytes]) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=page(), content_type="text/plain", charset="utf-8")

    return handle


def _guard(tokens: Tokens) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        try:
            if request.path not in ("/healthz", "/readyz"):
                tokens.check(request.headers.get("Authorization", ""))
        except StatusError as error:
            headers = {"WWW-Authenticate": "Bearer"}
            return _reply(error_body(error.message), error.http_code, headers)
        return await handler(request)

    return guard


async def _not_found(request: web.Request) -> web.Response:
    message = f"Not found: {request.method} {request.raw_path}; models answer under /v1/models/, the list is /models"
    return _reply(error_body(message), 404, {})


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Return the decompressed body; empty if it is larger than TensorFlow Serving's limit."""
    if "gzip" not in encoding.lower() or not body:
        return body
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, _LARGEST_UNPACKED + 1)
    except zlib.error:
        return b""
    return b"" if len(content) > _LARGEST_UNPACKED or not unpacker.eof else content


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    # Python refuses to parse numbers with thousands of digits.
    if len(text.lstrip("0")) > len(str(_LARGEST_VERSION)) or int(text) > _LARGEST_VERSION:
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return int(text)


def _metadata(servable: Servable) -> bytes:
    response = metadata_response(servable)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    spec = {"name": servable.name, "signature_name": "", "version": str(servable.version)}
    return json_bytes({"model_spec": spec, "metadata": {"signature_def": _document(signatures)}})


def _document(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _reply(body: bytes, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
