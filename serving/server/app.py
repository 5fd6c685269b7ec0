"""The server as a whole: two ports, a watched folder, a clean end."""

import asyncio
import os
import signal
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from aiohttp import web
from grpc import aio

from serving.server import grpc_service, rest
from serving.server.repository import Repository

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class _Settings:
    models: Path
    host: str
    port: int
    rest_port: int
    poll_seconds: float


def run(models: Path, *, host: str, port: int, rest_port: int, poll_seconds: float) -> None:
    """Serve until a signal; see `serving.server.serve`."""
    _take_only_the_memory_needed()
    asyncio.run(_run(_Settings(models.resolve(), host, port, rest_port, poll_seconds)))


async def _run(settings: _Settings) -> None:
    repository = Repository(settings.models, _say)
    # Loading has a thread of its own, so that it never takes the place of a request.
    with ThreadPoolExecutor(1) as loader, ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as workers:
        await _poll(repository, loader)
        stop = _stop_signal()
        # REST first, since a started gRPC server cannot be left behind when the other port is taken.
        rest_runner, rest_port = await _start_rest(settings, repository, workers)
        grpc_server, grpc_port = await _start_grpc(settings, repository, workers)
        _say_ready(settings.host, grpc_port, rest_port, [servable.name for servable in repository.ready()])
        await _watch(repository, loader, settings.poll_seconds, stop)
        await asyncio.gather(grpc_server.stop(GRACE_SECONDS), rest_runner.cleanup())
    _say("stopped")


async def _start_grpc(settings: _Settings, repository: Repository, workers: Executor) -> tuple[aio.Server, int]:
    server = grpc_service.build(repository, workers)
    try:
        port = server.add_insecure_port(_address(settings.host, settings.port))
    except RuntimeError as error:
        taken = _address(settings.host, settings.port)
        raise OSError(f"gRPC cannot listen on {taken}: choose another --port, or 0 for a free one") from error
    await server.start()
    return server, port


async def _start_rest(settings: _Settings, repository: Repository, workers: Executor) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(rest.build(repository, workers), access_log=None, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.rest_port).start()
    except OSError as error:
        address = _address(settings.host, settings.rest_port)
        raise OSError(
            f"REST cannot listen on {address}: choose another --rest_api_port, or 0 for a free one"
        ) from error
    return runner, runner.addresses[0][1]


async def _watch(repository: Repository, loader: Executor, poll_seconds: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), poll_seconds or None)
        except TimeoutError:
            await _poll(repository, loader)


async def _poll(repository: Repository, loader: Executor) -> None:
    try:
        await asyncio.get_running_loop().run_in_executor(loader, repository.poll)
    except OSError as error:
        _say(f"the folder of models cannot be read, and what is loaded stays: {error}")


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _take_only_the_memory_needed() -> None:
    """Leave the rest of the accelerator to others; TensorFlow would take all of it."""
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _say(line: str) -> None:
    print(line, flush=True)


def _say_ready(host: str, port: int, rest_port: int, names: list[str]) -> None:
    _say(f"ready: grpc {_address(host, port)} rest {_address(host, rest_port)}")
    near = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    for line in _examples(_address(near, port), _address(near, rest_port), names):
        _say(f"  {line}")


def _examples(grpc_address: str, rest_address: str, names: list[str]) -> list[str]:
    if not names:
        return ["no model yet: push one, and it is served within seconds"]
    if "text_to_image" not in names:
        ask = f'print(Client("{grpc_address}").signatures("{names[0]}"))'
        return [f"curl http://{rest_address}/v1/models/{names[0]}", _python_line(ask)]
    body = '{"instances": [{"prompt": "a red circle", "seed": 0}]}'
    draw = f'Client("{grpc_address}").generate("a red circle")[0].image.save("picture.png")'
    return [
        f"curl -d '{body}' http://{rest_address}/v1/models/text_to_image:predict",
        _python_line(draw),
    ]


def _python_line(statement: str) -> str:
    return f"python -c 'from serving.client import Client; {statement}'"
