"""The studio's web server: the page and the API, protected from pages of other sites."""

import asyncio
import ipaddress
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web

from models.options import OPTIONS
from serving.client import AsyncClient, Credentials
from serving.greeting import address, cannot_listen, say
from serving.studio.api import Api, refusing
from serving.studio.problems import RequestError

# The default limit of the model server.
_MOST_BYTES, _MOST_PIXELS = 128 * 2**20, 4096 * 4096
_PAGE = Path(__file__).parent / "page"
_HEADERS = {
    # Injected content could neither load anything from elsewhere nor send anything there.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(api: Api, *, host: str, limit: int, allowed_hosts: Sequence[str] = ()) -> web.Application:
    """Return the application.

    Args:
        api: handles requests under /v1.
        host: the address to listen on.
        limit: maximum size of a body in bytes; 0 for no limit.
        allowed_hosts: further host names that are accepted; `*` accepts any.

    """
    guard = _guard(near=_is_loopback(host), allowed_hosts=allowed_hosts)
    app = web.Application(client_max_size=limit or 2**31 - 1, middlewares=[refusing, guard])
    app.on_response_prepare.append(_add_headers)
    api.add_to(app)
    app.router.add_get("/", _index)
    app.router.add_static("/page", _PAGE)
    return app


@asynccontextmanager
async def studio_open(
    client: AsyncClient,
    *,
    host: str,
    port: int,
    limit: int = 0,
    most_pixels: int = 0,
    provenance: bool = True,
    tls: ssl.SSLContext | None = None,
    allowed_hosts: Sequence[str] = (),
    flag: str = "--studio_port",
) -> AsyncIterator[str]:
    """Serve the studio during the block; yields its URL.

    `flag` is the name of the option for the port.

    Raises:
        OSError: the port is in use.

    """
    api = Api(client, most_pixels=most_pixels, provenance=provenance)
    app = build(api, host=host, limit=limit, allowed_hosts=allowed_hosts)
    # If a visitor disconnects, their drawing is cancelled.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise cannot_listen("The studio", address(host, port), flag) from error
        near = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        yield f"http{'s' if tls else ''}://{address(near, runner.addresses[0][1])}"
    finally:
        await runner.cleanup()


async def serve(
    server: str,
    credentials: Credentials,
    *,
    host: str,
    port: int,
    provenance: bool,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve the studio of a model server that runs elsewhere, until SIGTERM or SIGINT.

    Raises:
        OSError: the port is taken.

    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncClient(server, credentials=credentials) as client:
        options: dict[str, Any] = {"host": host, "port": port, "limit": _MOST_BYTES, "most_pixels": _MOST_PIXELS}
        options |= {"provenance": provenance, "allowed_hosts": allowed_hosts}
        async with studio_open(client, flag="--port", **options) as url:
            say(f"studio: {url}")
            await stop.wait()


def _guard(*, near: bool, allowed_hosts: Sequence[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """A middleware that rejects requests from pages of other sites."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        site = request.headers.get("Sec-Fetch-Site", "none")
        if request.method not in ("GET", "HEAD") and site not in ("same-origin", "none"):
            raise RequestError("This request comes from a page of another site.", 403, code="permission_denied")
        # Otherwise a page of another site could use a name that resolves to this machine (DNS rebinding).
        if near and not _is_allowed(name := _host(request), allowed_hosts):
            known = f"--allowed-host {name}" if name else "--allowed-host"
            message = (
                f"This studio does not go by the name {request.host}: ask for 127.0.0.1, or start it with {known}."
            )
            raise RequestError(message, 403, code="permission_denied")
        return await handler(request)

    return guard


def _host(request: web.Request) -> str:
    """The host name of a request, without its port; empty if it is invalid."""
    try:
        return request.url.host or ""
    except ValueError:
        return ""


def _is_allowed(host: str, allowed_hosts: Sequence[str]) -> bool:
    return _is_loopback(host) or any(fnmatchcase(host, allowed.lower()) for allowed in allowed_hosts)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update({name: value for name, value in _HEADERS.items() if name not in response.headers})


async def _index(request: web.Request) -> web.Response:
    return web.Response(text=_page(), content_type="text/html")


@cache
def _page() -> str:
    """The page, with the options' defaults and ranges in its controls."""
    known = {name: option.default for name, option in OPTIONS.items()}
    known |= {f"{name}_{end}": bound for name, option in OPTIONS.items() for end, bound in option.bounds.items()}
    return Template((_PAGE / "index.html").read_text(encoding="utf-8")).substitute(known)
