"""The API over HTTP: requests are validated against their schemas; responses and events are written."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel, ValidationError

from serving.client import AsyncClient, ServingError
from serving.studio import drawing, restoring
from serving.studio.kept import Kept
from serving.studio.openapi import document
from serving.studio.problems import RequestError
from serving.studio.schemas import CaptionAsked, Edit, Generation, Images, Model, Models, WordsAsked

_LOG = logging.getLogger(__name__)
_DRAWING = "text_to_image"
_MODELS = (_DRAWING, "restorer", "language_model")
Asked = TypeVar("Asked", bound=BaseModel)
Event = dict[str, object]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Handles requests under /v1, and describes the API at /openapi.json.

    Args:
        client: calls the model server, with the visitor's bearer token.
        most_pixels: maximum number of pixels of a picture; 0 for no limit.
        provenance: whether pictures contain their provenance by default.

    """

    def __init__(self, client: AsyncClient, *, most_pixels: int = 0, provenance: bool = True) -> None:
        self._client = client
        self._most_pixels = most_pixels
        self._provenance = provenance
        self._kept = Kept()

    def add_to(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get("/openapi.json", self.openapi)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/v1/models/{name}", self.model)
        app.router.add_get("/v1/images/kept/{name}", self.picture)
        app.router.add_post("/v1/images/generations", self.generations)
        app.router.add_post("/v1/images/edits", self.edits)
        app.router.add_post("/v1/images/words", self.words)
        app.router.add_post("/v1/captions", self.captions)

    async def openapi(self, request: web.Request) -> web.Response:
        """Return the description of the API."""
        return web.json_response(document())

    async def models(self, request: web.Request) -> web.Response:
        """List the models, with their served versions."""
        return _json(Models(data=await self._served(request)))

    async def model(self, request: web.Request) -> web.Response:
        """Describe one model, with its signatures and facts."""
        asked, served = request.match_info["name"], await self._served(request)
        for model in served:
            if model.id == asked:
                return _json(await self._with_facts(request, model))
        known = ", ".join(model.id for model in served) or "none yet"
        raise RequestError(f"{asked} is not served: choose from {known}.", 404, param="model", code="model_not_found")

    async def picture(self, request: web.Request) -> web.Response:
        """Return a picture that was drawn earlier."""
        png = self._kept.get(request.match_info["name"])
        if png is None:
            raise RequestError("This picture is no longer available: draw it again with the same seed.", 404)
        return web.Response(body=png, content_type="image/png")

    async def generations(self, request: web.Request) -> web.StreamResponse:
        """Draw pictures."""
        asked, client = await self._read(request, Generation), self._asking(request)
        if asked.stream:
            return await _streamed(request, drawing.draw_by_steps(client, asked))
        return _json(self._with_urls(request, asked, await drawing.draw(client, asked)))

    async def edits(self, request: web.Request) -> web.StreamResponse:
        """Restore a picture."""
        texts, files = await _form(request)
        asked = _checked(Edit, {"provenance": self._provenance, **texts})
        for name in {"image", "mask"} & texts.keys():
            raise RequestError(f"{name} is text: send the picture itself, as a file of the form.", 400, param=name)
        if "image" not in files:
            raise RequestError("image is missing: send one picture as a file of the form.", 400, param="image")
        given = (self._asking(request), asked, files["image"], files.get("mask"), self._most_pixels)
        if asked.stream:
            return await _streamed(request, restoring.restore_by_steps(*given))
        return _json(self._with_urls(request, asked, await restoring.restore(*given)))

    async def words(self, request: web.Request) -> web.Response:
        """Compare the drawings of a caption with and without each of its words."""
        asked = await self._read(request, WordsAsked)
        return _json(await drawing.words(self._asking(request), asked))

    async def captions(self, request: web.Request) -> web.Response:
        """Complete a prompt."""
        asked = await self._read(request, CaptionAsked)
        return _json(await drawing.complete(self._asking(request), asked))

    async def _served(self, request: web.Request) -> list[Model]:
        client = self._asking(request)
        versions = await asyncio.gather(*(_newest(client, name) for name in _MODELS))
        return [Model(id=name, created=version) for name, version in zip(_MODELS, versions, strict=True) if version]

    async def _with_facts(self, request: web.Request, model: Model) -> Model:
        client = self._asking(request)
        details: dict[str, object] = {"signatures": sorted(await client.signatures(model.id))}
        if model.id == _DRAWING and (facts := await drawing.facts(client)):
            details |= {
                "picture_size": facts.picture_size,
                "prompts": {code: [*some] for code, some in facts.prompts.items()},
            }
        return model.model_copy(update=details)

    def _with_urls(self, request: web.Request, asked: Generation | Edit, images: Images) -> Images:
        if asked.response_format == "url":
            for drawn in images.data:
                name = self._kept.put(base64.b64decode(drawn.b64_json))
                drawn.url = f"{request.url.origin()}/v1/images/kept/{name}"
        return images

    async def _read(self, request: web.Request, schema: type[Asked]) -> Asked:
        if request.content_type != "application/json":
            raise RequestError(f"The body is {request.content_type}: send application/json.", 415, code="media_type")
        try:
            given = json.loads(await request.read())
        except web.RequestPayloadError as error:
            raise RequestError(f"The body cannot be read: {error}.", 400) from error
        except UnicodeError as error:
            raise RequestError("The body is not JSON in UTF-8: encode it so.", 400) from error
        except (ValueError, RecursionError) as error:
            raise RequestError(f"The body is not JSON: {error}.", 400) from error
        if not isinstance(given, dict):
            raise RequestError('The body is JSON, but not an object: send one such as {"prompt": "..."}.', 400)
        if "provenance" in schema.model_fields:
            given = {"provenance": self._provenance, **given}
        return _checked(schema, given)

    def _asking(self, request: web.Request) -> AsyncClient:
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._client.with_token(token.strip()) if token else self._client


@web.middleware
async def refusing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return every error in the same form."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        explained = RequestError(_reason(request, error), error.status, code="http")
        return _json(
            explained.refusal, error.status, {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        )
    except Exception as error:
        explained = _as_request_error(error)
        return _json(explained.refusal, explained.status)


def _reason(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return f"{request.method} {request.path}: the body is too large; send less."
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} does not accept {request.method}: send {' or '.join(sorted(error.allowed_methods))}."
    return (
        f"{request.method} {request.path} is not served here: /openapi.json lists what is, all of it below /v1, "
        "such as /v1/images/generations."
    )


def _as_request_error(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ServingError):
        return RequestError.of(error)
    if isinstance(error, ConnectionError):
        raise error
    _LOG.error("a request met an error of the studio", exc_info=error)
    return RequestError("Internal error of the studio; see its log.", 500, code="internal")


async def _newest(client: AsyncClient, model: str) -> int:
    try:
        return max((version for version, state in await client.status(model) if state == "AVAILABLE"), default=0)
    except ServingError as error:
        if error.code != "NOT_FOUND":
            raise
        return 0


async def _form(request: web.Request) -> tuple[dict[str, str], dict[str, bytes]]:
    if request.content_type != "multipart/form-data":
        raise RequestError(f"The body is {request.content_type}: send multipart/form-data.", 415, code="media_type")
    try:
        form = await request.post()
    except (ValueError, HttpProcessingError, web.RequestPayloadError) as error:
        raise RequestError(
            "The form cannot be read: send pictures as files, each with a file name, and texts in UTF-8.", 400
        ) from error
    texts: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in form.items():
        plain = name.removesuffix("[]")
        if plain in texts or plain in files:
            raise RequestError(f"{plain} was sent twice: send it once.", 400, param=plain)
        if isinstance(value, web.FileField) and plain in ("image", "mask"):
            files[plain] = value.file.read()
        elif plain in ("image", "mask") and not value:
            # Browsers also send a form's field if no file was chosen.
            continue
        elif not isinstance(value, str) and plain in Edit.model_fields:
            raise RequestError(f"{plain} is a file: only image and mask can be files.", 400, param=plain)
        else:
            texts[plain] = str(value)
    return texts, files


def _checked(schema: type[Asked], given: object) -> Asked:
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise RequestError(f"{where} is missing: send it.", 400, param=where) from error
        value = repr(first["input"])
        shown = value if len(value) < 80 else f"{value[:77]}..."
        raise RequestError(f"{where or 'The body'} is {shown}: {first['msg']}.", 400, param=where or None) from error


async def _streamed(request: web.Request, events: AsyncGenerator[Event, None]) -> web.StreamResponse:
    """Write events as they arrive; an error before the first one is an ordinary response."""
    async with aclosing(events):
        first = await anext(events)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await response.write(_event(first))
        try:
            async for event in events:
                await response.write(_event(event))
        except Exception as error:
            # The headers have been sent, so an error can only be a further event.
            await response.write(_event({"type": "error", **_as_request_error(error).refusal.model_dump()}))
    return response


def _event(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _json(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    content: dict[str, Any] = {"text": body.model_dump_json(), "content_type": "application/json"}
    return web.Response(status=status, headers=headers, **content)
