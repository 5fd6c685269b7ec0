"""Speed and robustness of the server, compared with the same SavedModel in process.

Both sides of a comparison are measured in the same run, so a busy machine slows both. Still, quote only figures from
idle cores.
"""

import asyncio
import itertools
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

import serving
from serving.client import Client, ServingError
from serving.process import ServerProcess
from serving.requests import generate
from serving.server.storage import versions_on_disk
from serving.server.text_protos import read_text_proto
from serving.wire.config_pb2 import BatchingParameters

MODEL = "text_to_image"
RELOADED = "language_model"
"""The model to reload, if it exists: it is small, so a leak shows sooner."""
BATCHING = Path(serving.__file__).parent / "deploy" / "batching_parameters.config"
PROMPTS = ("a red house", "it is snowing today", "a cat under a tree at night", "今天的天气很好")
_PATH = "/tensorflow.serving.PredictionService/Predict"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]

Say = Callable[[str], None]
Figures = Iterator[dict[str, float]]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        seconds: Duration of each load; the steady one takes twice as long.
        calls: Number of calls for the median of a single call.
        connections: Number of simultaneous connections.
        swaps: Number of version changes under load.
        reloads: Number of load and unload cycles.

    """

    seconds: float = 10.0
    calls: int = 300
    connections: int = 1000
    swaps: int = 4
    reloads: int = 50


@dataclass
class _Seen:
    """The outcomes of the requests of a load."""

    milliseconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Return a percentile of the times; infinite if fewer than two requests were answered."""
        if len(self.milliseconds) < 2:
            return float("inf")
        return round(statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1], 3)


def measure(
    models: Path, *, soak_minutes: float = 0.0, effort: Effort | None = None, say: Say = lambda line: None
) -> dict[str, float]:
    """Measure the server on a folder of pushed models.

    Args:
        models: A folder of `<model>/<version>/saved_model.pb` with a text_to_image.
        soak_minutes: Minutes of 70% of the maximum load at the end; 0 for none.
        effort: How much to measure.
        say: Called with a line before each part and for each figure.

    Returns:
        The figures by name. Times are in milliseconds, or in seconds if the name ends in `_s`; rates are pictures per
        second; gains, shares and growths are ratios.

    Raises:
        FileNotFoundError: There is no text_to_image in the folder.
        RuntimeError: A server does not start.

    """
    folder = models / MODEL
    if not folder.is_dir() or not versions_on_disk(folder):
        raise FileNotFoundError(f"{folder} holds no version: train and push one with `easel run`, then measure")
    effort = effort or Effort()
    figures: dict[str, float] = {}

    def add(title: str, found: Figures) -> None:
        say(title)
        for part in found:
            figures.update(part)
            for name, value in part.items():
                say(f"  {name:24} {value}")

    add("one request at a time, 20 a second, and connections", _plain(models, effort))
    add("batches", _batched(models, effort, figures["in_process_per_s"], soak_minutes))
    add("version changes under load", _swaps(models, effort))
    add("memory", _reloads(models, effort))
    return figures


# ---- the parts -------------------------------------------------------------------------------------------------------


def _plain(models: Path, effort: Effort) -> Figures:
    in_process = _InProcess(models)
    start = time.monotonic()
    with ServerProcess(models) as server, Client(server.grpc_address) as client:
        yield {"ready_s": round(time.monotonic() - start, 2)}
        served, alone = _side_by_side(client, in_process, effort.calls)
        yield {
            "served_p50_ms": served,
            "in_process_p50_ms": alone,
            "overhead_p50_ms": round(served - alone, 3),
        }
        steady = asyncio.run(_paced(server.grpc_address, 20.0, 2 * effort.seconds))
        yield {"p50_ms": steady.percentile(50), "p99_ms": steady.percentile(99), "errors": len(steady.failures)}
        yield {"connections_held": asyncio.run(_held(server.grpc_address, effort.connections))}
    best_batch, rate = in_process.best_rate(effort.seconds)
    yield {"in_process_per_s": rate, "in_process_best_batch": best_batch}


def _batched(models: Path, effort: Effort, in_process: float, soak_minutes: float) -> Figures:
    flags = ["--enable_batching", f"--batching_parameters_file={BATCHING}"]
    largest = read_text_proto(BATCHING, BatchingParameters).max_batch_size.value
    with ServerProcess(models, flags=flags) as server:
        one = asyncio.run(_saturated(server.grpc_address, 1, effort.seconds))
        yield {"sequential_per_s": one}
        many = asyncio.run(_saturated(server.grpc_address, 3 * largest, effort.seconds))
        yield {
            "batched_per_s": many,
            "batching_gain": round(many / one, 2),
            "share_of_in_process": round(many / in_process, 3),
        }
        if soak_minutes:
            yield _soak(server, 0.7 * many, soak_minutes * 60)


def _soak(server: ServerProcess, rate: float, seconds: float) -> dict[str, float]:
    asyncio.run(_paced(server.grpc_address, rate, min(30.0, seconds / 10)))
    before = _resident_bytes(server.pid)
    seen = asyncio.run(_paced(server.grpc_address, rate, seconds))
    growth = _resident_bytes(server.pid) / before - 1
    return {
        "soak_per_s": round(rate, 1),
        "soak_errors": len(seen.failures),
        "soak_p99_ms": seen.percentile(99),
        "soak_memory_growth": round(growth, 4),
    }


def _swaps(models: Path, effort: Effort) -> Figures:
    with (
        _versions(models / MODEL) as (root, push),
        ServerProcess(root, poll_seconds=0.2) as server,
        Client(server.grpc_address) as client,
        _load(server.grpc_address, 50.0) as seen,
    ):
        start = time.monotonic()
        for number in range(2, effort.swaps + 2):
            push(number)
            _until(client, MODEL, number, "AVAILABLE")
        yield {"swap_load_s": round((time.monotonic() - start) / effort.swaps, 2)}
        (root / MODEL / "1000").mkdir()
        (root / MODEL / "1000" / "saved_model.pb").write_bytes(b"half a file")
        _until(client, MODEL, 1000, "END")
        time.sleep(1.0)
    yield {
        "swap_requests": len(seen.milliseconds) + len(seen.failures),
        "swap_failed_requests": len(seen.failures),
        "swap_p99_s": round(seen.percentile(99) / 1000, 4),
    }


def _reloads(models: Path, effort: Effort) -> Figures:
    sizes = []
    model = RELOADED if (models / RELOADED).is_dir() else MODEL
    with (
        _versions(models / model) as (root, push),
        ServerProcess(root, poll_seconds=0.1) as server,
        Client(server.grpc_address) as client,
    ):
        for number in range(2, effort.reloads + 2):
            push(number)
            _until(client, model, number, "AVAILABLE")
            _ = client.continue_prompt(PROMPTS[0]) if model == RELOADED else client.generate(PROMPTS[0])
            _until(client, model, number - 1, "END")
            sizes.append(_resident_bytes(server.pid))
    yield {
        "reload_memory_mb": round(sizes[-1] / 2**20, 1),
        "reload_memory_growth": round(sizes[-1] / sizes[0] - 1, 4),
    }


# ---- the same model in this process ----------------------------------------------------------------------------------


class _InProcess:
    def __init__(self, models: Path) -> None:
        # TensorFlow takes seconds to import, which `easel --help` should not wait for.
        from serving.server.servable import Servable

        versions = versions_on_disk(models / MODEL)
        self._servable = Servable(MODEL, max(versions), versions[max(versions)])

    def milliseconds(self, seed: int) -> float:
        """Return the milliseconds that one picture takes."""
        signature, inputs = self._inputs(1, seed)
        start = time.perf_counter()
        self._servable.run(signature, inputs)
        return (time.perf_counter() - start) * 1000

    def best_rate(self, seconds: float) -> tuple[int, float]:
        """Return the batch size with the most pictures per second, and that rate."""
        sizes = (1, 2, 4, 8, 16, 32, 64, 128)
        rates = {size: self._rate(size, seconds / len(sizes)) for size in sizes}
        best = max(rates, key=lambda size: rates[size])
        return best, max(rates[best], self._rate(best, seconds / 4))

    def _rate(self, size: int, seconds: float) -> float:
        signature, inputs = self._inputs(size, 0)
        self._servable.run(signature, inputs)
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            self._servable.run(signature, inputs)
            done += size
        return round(done / (time.perf_counter() - start), 1)

    def _inputs(self, size: int, seed: int) -> tuple[str, dict[str, np.ndarray]]:
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        prompts = [PROMPTS[(seed + row) % len(PROMPTS)] for row in range(size)]
        ask = generate(prompts, list(range(seed, seed + size)))
        return self._servable.decode(PredictRequest.FromString(ask.request.SerializeToString()))


def _side_by_side(client: Client, in_process: _InProcess, calls: int) -> tuple[float, float]:
    """Return the median milliseconds of one call, served and in process, measured alternately."""
    served, alone = [], []
    for number in range(calls):
        start = time.perf_counter()
        client.generate(PROMPTS[number % len(PROMPTS)], seed=number)
        served.append((time.perf_counter() - start) * 1000)
        alone.append(in_process.milliseconds(number))
    return round(statistics.median(served), 3), round(statistics.median(alone), 3)


# ---- loads -----------------------------------------------------------------------------------------------------------


def _requests() -> Iterator[bytes]:
    for number in itertools.count():
        prompt = PROMPTS[number % len(PROMPTS)]
        yield generate(prompt, number).request.SerializeToString()


@asynccontextmanager
async def _asking(address: str) -> AsyncIterator[Callable[[_Seen, bytes], Coroutine[None, None, None]]]:
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        call = channel.unary_unary(_PATH)

        async def ask(seen: _Seen, request: bytes) -> None:
            start = time.perf_counter()
            try:
                await call(request, timeout=30.0)
            except grpc.RpcError as error:
                seen.failures.append(error.code().name)
            else:
                seen.milliseconds.append((time.perf_counter() - start) * 1000)

        yield ask


async def _paced(address: str, rate: float, seconds: float) -> _Seen:
    """Send requests at a fixed rate, regardless of earlier responses."""
    seen, start, requests = _Seen(), time.perf_counter(), _requests()
    async with _asking(address) as ask, asyncio.TaskGroup() as group:
        await ask(_Seen(), next(requests))
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            group.create_task(ask(seen, next(requests)))
    return seen


async def _saturated(address: str, clients: int, seconds: float) -> float:
    """Return the responses per second of clients that each send the next request immediately."""
    seen, requests = _Seen(), _requests()
    async with _asking(address) as ask:
        await ask(_Seen(), next(requests))
        start = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - start < seconds:
                await ask(seen, next(requests))

        await asyncio.gather(*[client() for _ in range(clients)])
    return round(len(seen.milliseconds) / (time.perf_counter() - start), 1)


async def _held(address: str, count: int) -> int:
    """Return the number of connections that respond while all are open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    options = [*_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(count)]
    request = next(_requests())
    gate = asyncio.Semaphore(32)

    async def answers(channel: grpc.aio.Channel) -> bool:
        async with gate:
            try:
                await channel.unary_unary(_PATH)(request, timeout=60.0)
            except grpc.RpcError:
                return False
            return True

    try:
        await asyncio.gather(*[channel.channel_ready() for channel in channels])
        return sum(await asyncio.gather(*[answers(channel) for channel in channels]))
    finally:
        await asyncio.gather(*[channel.close() for channel in channels])


@contextmanager
def _load(address: str, rate: float) -> Iterator[_Seen]:
    """Send requests at a fixed rate from a thread, during the context."""
    seen, stop = _Seen(), threading.Event()

    async def run() -> None:
        requests = _requests()
        async with _asking(address) as ask, asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(ask(seen, next(requests)))
                await asyncio.sleep(1 / rate)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


# ---- versions --------------------------------------------------------------------------------------------------------


@contextmanager
def _versions(model: Path) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A folder with one version of a model, and a function that adds a copy of it as another version."""
    versions = versions_on_disk(model)
    source = versions[max(versions)].resolve()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / model.name).mkdir()

        def push(number: int) -> None:
            (Path(folder) / model.name / str(number)).symlink_to(source, target_is_directory=True)

        push(1)
        yield Path(folder), push


def _until(client: Client, model: str, version: int, state: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if dict(client.status(model)).get(version) == state:
                return
        except ServingError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"version {version} of {model} was not {state} within {seconds:g} s")


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
