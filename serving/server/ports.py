"""The ports of the server, as context managers that open and close them in order."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import quote

from aiohttp import web
from grpc import ServerCredentials, aio
from grpc_health.v1 import health, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.client import AsyncClient
from serving.greeting import address, cannot_listen, say
from serving.server import reflected, rest
from serving.server.access import TokenInterceptor
from serving.server.grpc_service import ModelService, PredictionService, Reload
from serving.server.options import Options
from serving.server.predictor import Predictor
from serving.server.repository import Repository
from serving.server.settings import FREE_PORT, Settings
from serving.studio.site import studio_open

# Maximum length of a socket's path in bytes; the system's field is one byte longer.
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@asynccontextmanager
async def grpc_port_open(
    settings: Settings,
    options: Options,
    repository: Repository,
    predictor: Predictor,
    reload: Reload,
    inside: str,
) -> AsyncIterator[tuple[int, health.aio.HealthServicer]]:
    """Serve gRPC during the block, also at a local address if there is one.

    Yields the port and the health service.
    """
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_request_bytes or -1),
            ("grpc.max_send_message_length", -1),
            # A port in use must be an error instead of being shared silently.
            ("grpc.so_reuseport", 0),
        ],
        interceptors=[TokenInterceptor(options.tokens)] if options.tokens else [],
    )
    health_servicer = health.aio.HealthServicer()
    _add_services(server, settings, repository, predictor, reload, health_servicer)
    asked = address(settings.host, 0 if settings.port == FREE_PORT else settings.port)
    try:
        port = _add_port(server, asked, options.credentials)
    except RuntimeError as error:
        raise cannot_listen("gRPC", asked, "--port") from error
    if settings.grpc_socket_path:
        _add_socket(server, settings.grpc_socket_path, options.credentials)
    if inside:
        server.add_insecure_port(inside)
    await server.start()
    try:
        yield port, health_servicer
    finally:
        await server.stop(settings.drain_seconds)


def _add_port(server: aio.Server, where: str, credentials: ServerCredentials | None) -> int:
    if credentials:
        return server.add_secure_port(where, credentials)
    return server.add_insecure_port(where)


def _add_socket(server: aio.Server, path: str, credentials: ServerCredentials | None) -> None:
    """Listen on a Unix socket; a stale socket is replaced, one in use is not."""
    refused = OSError(
        f"gRPC cannot listen on the socket {path}: --grpc_socket_path must have at most {LONGEST_SOCKET_PATH} bytes, "
        "lie in a folder that can be written, and be no other server's"
    )
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            pass
        else:
            raise refused
    try:
        _add_port(server, f"unix:{quote(path)}", credentials)
    except RuntimeError as error:
        raise refused from error


@contextmanager
def private_address() -> Iterator[str]:
    """Yield a local gRPC address that only this user can reach.

    Raises:
        OSError: there is no folder for its socket.

    """
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        # The temporary folder adds eight characters, and then the name of the socket.
        if len(os.fsencode(folder)) + len("/12345678/grpc") <= LONGEST_SOCKET_PATH and os.access(folder, os.W_OK):
            with tempfile.TemporaryDirectory(prefix="", dir=folder) as made:
                yield f"unix:{quote(made)}/grpc"
            return
    raise OSError("The studio needs a folder for a socket: set TMPDIR to one with a short path that can be written")


def _add_services(
    server: aio.Server,
    settings: Settings,
    repository: Repository,
    predictor: Predictor,
    reload: Reload,
    health_servicer: health.aio.HealthServicer,
) -> None:
    prediction = PredictionService(repository, predictor, as_content=settings.enable_serialization_as_tensor_content)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(repository, reload), server)
    if settings.enable_grpc_healthcheck_service:
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflected.enable(server, [health.SERVICE_NAME] if settings.enable_grpc_healthcheck_service else [])


@asynccontextmanager
async def studio_port_open(settings: Settings, options: Options, inside: str) -> AsyncIterator[str]:
    """Serve the studio during the block; yields its URL, or an empty text if it is turned off.

    The studio is a client of the server like any other, but uses an address that only this user can reach, so it needs
    no certificates. It passes on the tokens of its visitors.
    """
    if not settings.studio_port:
        yield ""
        return
    async with (
        AsyncClient(inside, timeout=settings.rest_api_timeout_in_ms / 1000) as client,
        studio_open(
            client,
            host=settings.host,
            port=0 if settings.studio_port == FREE_PORT else settings.studio_port,
            limit=settings.max_request_bytes,
            most_pixels=settings.max_picture_pixels,
            provenance=settings.studio_provenance,
            tls=options.ssl_context,
            allowed_hosts=settings.allowed_hosts,
        ) as url,
    ):
        yield url


@asynccontextmanager
async def rest_port_open(
    settings: Settings, options: Options, repository: Repository, predictor: Predictor, stop: asyncio.Event
) -> AsyncIterator[int]:
    """Serve REST during the block; yields the port, or 0 if REST is turned off."""
    if not settings.serves_rest:
        if settings.rest_api_port:
            say("--rest_api_port is the same as --port: REST is not served")
        yield 0
        return
    timeout = settings.rest_api_timeout_in_ms / 1000
    cors = settings.rest_api_enable_cors_support
    app = rest.build(
        rest.RestApi(repository, predictor, timeout=timeout, cors=cors),
        rest.Watch(repository, stop.is_set),
        limit=settings.max_request_bytes,
        metrics=(options.metrics_path, predictor.metrics.page) if options.metrics_path else None,
        tokens=options.tokens,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.drain_seconds, auto_decompress=False)
    await runner.setup()
    port = 0 if settings.rest_api_port == FREE_PORT else settings.rest_api_port
    try:
        await web.TCPSite(runner, settings.host, port, ssl_context=options.ssl_context, backlog=1024).start()
    except OSError as error:
        raise cannot_listen("REST", address(settings.host, port), "--rest_api_port") from error
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
