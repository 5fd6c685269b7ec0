"""The server as a whole: two ports, models that come and go, a clean end."""

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tensorflow as tf
from aiohttp import web
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.server import reflected, rest
from serving.server.access import TokenInterceptor
from serving.server.batching import Batcher
from serving.server.errors import StatusError
from serving.server.greeting import address, say, say_ready
from serving.server.grpc_service import ModelService, PredictionService, Reload
from serving.server.limits import Limits
from serving.server.metrics import Metrics
from serving.server.model_config import Configs
from serving.server.options import Options
from serving.server.predictor import Predictor
from serving.server.repository import Repository
from serving.server.request_log import RequestLog
from serving.server.servable import Servable
from serving.server.settings import FREE_PORT, Settings
from serving.server.source import Source

_HEALTH_NAMES = ("", "ModelService", "PredictionService")
_CORES = os.cpu_count() or 1


@dataclass
class _Life:
    """What the parts of a running server share about its state."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)


def run(settings: Settings, options: Options, configs: Configs) -> None:
    """Serve until a signal; see `serving.server.serve`."""
    _take_only_the_memory_needed()
    _allow_many_connections()
    # A thread that loads a model must not keep the requests waiting for the five milliseconds that Python would grant.
    sys.setswitchinterval(0.0005)
    # What was imported stays; to look through it again at every collection would stall requests for 0.2 s.
    gc.collect()
    gc.freeze()
    asyncio.run(_run(settings, options, configs))


async def _run(settings: Settings, options: Options, configs: Configs) -> None:
    metrics, life = Metrics(), _Life()
    repository = Repository(
        _loader(settings, metrics),
        say,
        fall_back=settings.models is not None,
        any_labels=settings.models is not None,
        new_labels=settings.allow_version_labels_for_unavailable_models,
    )
    source = Source(settings, repository, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.stop.set)
    async with AsyncExitStack() as stack:
        # Loading has a thread of its own, so that it never takes the place of a request.
        loader = stack.enter_context(ThreadPoolExecutor(1, "loader"))
        workers = stack.enter_context(ThreadPoolExecutor(settings.num_workers or 4 * _CORES, "worker"))
        await asyncio.get_running_loop().run_in_executor(loader, source.start, configs)
        predictor = _predictor(settings, options, workers, metrics)
        # REST first, since a started gRPC server cannot be left behind when the other port is taken.
        rest_port = await stack.enter_async_context(_rest(settings, options, repository, predictor, life))
        port, health_servicer = await stack.enter_async_context(
            _grpc(settings, options, repository, predictor, _reloader(source, loader))
        )
        say_ready(settings.host, port, rest_port, repository.ready())
        await _watch(settings, source, repository, loader, health_servicer, life)
        say("ending: no new requests, and those under way may finish")
        await health_servicer.enter_graceful_shutdown()
    say("stopped")


async def _watch(
    settings: Settings,
    source: Source,
    repository: Repository,
    loader: ThreadPoolExecutor,
    health_servicer: health.aio.HealthServicer,
    life: _Life,
) -> None:
    """Look for new versions and configurations until the server is to end."""
    waits = [settings.file_system_poll_wait_seconds, settings.model_config_file_poll_wait_seconds]
    wait = min([seconds for seconds in waits if seconds > 0], default=None)
    while not life.stop.is_set():
        is_ready = not repository.waiting()
        state = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in _HEALTH_NAMES:
            await health_servicer.set(name, state)
        try:
            await asyncio.wait_for(life.stop.wait(), wait)
        except TimeoutError:
            await asyncio.get_running_loop().run_in_executor(loader, source.poll)


@asynccontextmanager
async def _grpc(
    settings: Settings,
    options: Options,
    repository: Repository,
    predictor: Predictor,
    reload: Reload,
) -> AsyncIterator[tuple[int, health.aio.HealthServicer]]:
    """Serve gRPC while the block lasts; yields the port and the health service."""
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_request_bytes or -1),
            ("grpc.max_send_message_length", -1),
            # A port in use should be an error, not shared in silence.
            ("grpc.so_reuseport", 0),
        ],
        interceptors=[TokenInterceptor(options.tokens)] if options.tokens else [],
    )
    health_servicer = health.aio.HealthServicer()
    _add_services(server, settings, repository, predictor, reload, health_servicer)
    asked = address(settings.host, 0 if settings.port == FREE_PORT else settings.port)
    try:
        if options.credentials:
            port = server.add_secure_port(asked, options.credentials)
        else:
            port = server.add_insecure_port(asked)
    except RuntimeError as error:
        raise OSError(f"gRPC cannot listen on {asked}: choose another --port, or -1 for a free one") from error
    await server.start()
    try:
        yield port, health_servicer
    finally:
        await server.stop(settings.drain_seconds)


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
async def _rest(
    settings: Settings, options: Options, repository: Repository, predictor: Predictor, life: _Life
) -> AsyncIterator[int]:
    """Serve REST while the block lasts; yields the port, 0 where there is none."""
    if not settings.serves_rest:
        if settings.rest_api_port:
            say("--rest_api_port is the same as --port: REST is not served")
        yield 0
        return
    timeout = settings.rest_api_timeout_in_ms / 1000
    cors = settings.rest_api_enable_cors_support
    app = rest.build(
        rest.RestApi(repository, predictor, timeout=timeout, cors=cors),
        rest.Watch(repository, life.stop.is_set),
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
        asked = address(settings.host, port)
        raise OSError(f"REST cannot listen on {asked}: choose another --rest_api_port, or -1 for a free one") from error
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _predictor(settings: Settings, options: Options, workers: ThreadPoolExecutor, metrics: Metrics) -> Predictor:
    limits = Limits(settings.max_request_bytes, settings.max_rows, settings.max_text_bytes, settings.max_picture_pixels)
    batcher = Batcher(options.batching, metrics.batch) if options.batching else None
    log = RequestLog(with_prompts=settings.log_prompts) if settings.enable_request_log else None
    return Predictor(workers, batcher, limits, settings.max_deadline_seconds, metrics, log)


def _loader(settings: Settings, metrics: Metrics) -> Callable[[str, int, Path], Servable]:
    xla = (
        settings.xla_gpu_compilation_enabled
        if tf.config.list_physical_devices("GPU")
        else (settings.xla_cpu_compilation_enabled)
    )
    warmups = settings.num_request_iterations_for_warmup if settings.enable_model_warmup else 0

    def load(name: str, version: int, folder: Path) -> Servable:
        try:
            servable = Servable(name, version, folder, warmups=warmups, xla=xla)
        except StatusError as error:
            metrics.loaded(name, version, error.code.name)
            raise
        metrics.loaded(name, version, "OK")
        return servable

    return load


def _reloader(source: Source, loader: ThreadPoolExecutor) -> Reload:
    async def reload(config: object) -> None:
        await asyncio.get_running_loop().run_in_executor(loader, source.reload, config)

    return reload


def _take_only_the_memory_needed() -> None:
    """Leave the rest of the accelerator to others; TensorFlow would take all of it."""
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def _allow_many_connections() -> None:
    """Let as many connections be open as the system grants; the usual start is a thousand."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
