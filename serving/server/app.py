"""The server as a whole: its ports, its models and its shutdown."""

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import tensorflow as tf
from grpc_health.v1 import health, health_pb2

from serving.greeting import say, say_ready
from serving.server.batching import Batcher
from serving.server.errors import StatusError
from serving.server.grpc_service import Reload
from serving.server.limits import Limits
from serving.server.metrics import Metrics
from serving.server.mirror import Mirror
from serving.server.model_config import Configs
from serving.server.options import Options
from serving.server.ports import grpc_port_open, private_address, rest_port_open, studio_port_open
from serving.server.predictor import Predictor
from serving.server.repository import Repository, give_memory_back
from serving.server.request_log import RequestLog
from serving.server.servable import Servable
from serving.server.settings import Settings
from serving.server.source import Source

_HEALTH_NAMES = ("", "ModelService", "PredictionService")
_CORES = os.cpu_count() or 1


def run(settings: Settings, options: Options, configs: Configs, mirror: Mirror | None = None) -> None:
    """Serve until a signal; see `serving.server.serve`."""
    _take_only_the_memory_needed()
    _allow_many_connections()
    # By default, a thread that loads a model could keep requests waiting for five milliseconds at a time.
    sys.setswitchinterval(0.0005)
    # Imported modules stay in memory; scanning them at every garbage collection would stall requests for 0.2 s.
    gc.collect()
    gc.freeze()
    asyncio.run(_run(settings, options, configs, mirror))


async def _run(settings: Settings, options: Options, configs: Configs, mirror: Mirror | None) -> None:
    metrics, stop = Metrics(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        # Loading has threads of its own, so that it never takes the place of a request. The source hands its work to
        # the loaders, so it must end before they do.
        loaders = stack.enter_context(ThreadPoolExecutor(_CORES, "loader"))
        loader = stack.enter_context(ThreadPoolExecutor(1, "source"))
        workers = stack.enter_context(ThreadPoolExecutor(settings.num_workers or 4 * _CORES, "worker"))
        repository = Repository(
            _loader(settings, metrics),
            say,
            fall_back=settings.models is not None,
            any_labels=settings.models is not None,
            new_labels=settings.allow_version_labels_for_unavailable_models,
            loaders=loaders,
        )
        source = Source(settings, repository, say, mirror)
        loading = asyncio.get_running_loop().run_in_executor(loader, source.start, configs)
        if settings.models is None:
            # Like TensorFlow Serving, which opens its ports when all models that its flags name are loaded.
            await loading
        predictor = _predictor(settings, options, workers, metrics)
        # REST first, because a gRPC server that has been started cannot be abandoned if the other port is in use.
        rest_port = await stack.enter_async_context(rest_port_open(settings, options, repository, predictor, stop))
        inside = stack.enter_context(private_address()) if settings.studio_port else ""
        port, health_servicer = await stack.enter_async_context(
            grpc_port_open(settings, options, repository, predictor, _reloader(source, loader), inside)
        )
        studio = await stack.enter_async_context(studio_port_open(settings, options, inside))
        await _tell_health(health_servicer, repository)
        await loading
        say_ready(settings.host, port, rest_port, repository.ready(), studio)
        await asyncio.get_running_loop().run_in_executor(loader, give_memory_back)
        await _watch(settings, source, repository, loader, health_servicer, stop)
        await health_servicer.enter_graceful_shutdown()
        if settings.lame_duck_seconds:
            say(f"ending in {settings.lame_duck_seconds:g} s: requests are answered, and health checks say NOT_SERVING")
            await asyncio.sleep(settings.lame_duck_seconds)
        say("ending: no new requests, and those under way may finish")
    say("stopped")


async def _watch(
    settings: Settings,
    source: Source,
    repository: Repository,
    loader: ThreadPoolExecutor,
    health_servicer: health.aio.HealthServicer,
    stop: asyncio.Event,
) -> None:
    """Check for new versions and configurations until the shutdown."""
    waits = [settings.file_system_poll_wait_seconds, settings.model_config_file_poll_wait_seconds]
    wait = min([seconds for seconds in waits if seconds > 0], default=None)
    while not stop.is_set():
        await _tell_health(health_servicer, repository)
        try:
            await asyncio.wait_for(stop.wait(), wait)
        except TimeoutError:
            await asyncio.get_running_loop().run_in_executor(loader, source.poll)


async def _tell_health(health_servicer: health.aio.HealthServicer, repository: Repository) -> None:
    is_ready = repository.is_ready()
    state = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
    for name in _HEALTH_NAMES:
        await health_servicer.set(name, state)


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
    seen: set[str] = set()

    def load(name: str, version: int, folder: Path) -> Servable:
        is_later = name in seen
        seen.add(name)
        try:
            servable = Servable(name, version, folder, warmups=warmups, xla=xla, gives_way=is_later)
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
    """Allocate the accelerator's memory as needed; TensorFlow would allocate all of it."""
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def _allow_many_connections() -> None:
    """Raise the limit on open connections to the system's maximum; the default is often a thousand."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
