"""Running requests from decoded inputs to outputs, with limits, deadlines, batching and metrics."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from grpc import StatusCode

from serving.server.batching import Batcher
from serving.server.errors import StatusError, as_status_error
from serving.server.limits import Limits
from serving.server.metrics import Metrics
from serving.server.request_log import RequestLog
from serving.server.servable import Servable

# Below this size, handing work to another thread takes longer than the work.
SMALL_BYTES = 64 * 1024
FOREVER = 10.0**7

Result = TypeVar("Result")


@dataclass
class Call:
    """Information about one request for the log and the metrics."""

    api: str
    entrypoint: str
    model: str = ""
    version: int = 0
    signature: str = ""
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)

    def found(self, servable: Servable, signature: str = "") -> None:
        """Record the model and signature; both exist, so metrics never contain names that a client made up."""
        self.model, self.version, self.signature = servable.name, servable.version, signature


@dataclass(frozen=True)
class Predictor:
    """Runs signatures for gRPC and REST alike.

    Attributes:
        workers: threads for requests without batching, and for work that would block the event loop.
        batcher: collects requests into batches; None runs each request alone.
        limits: limits on a request.
        longest: maximum deadline of a request in seconds; 0 for no limit.
        metrics: the metrics.
        log: the request log; None for no log.

    """

    workers: Executor
    batcher: Batcher | None
    limits: Limits
    longest: float
    metrics: Metrics
    log: RequestLog | None

    async def predict(
        self,
        servable: Servable,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        *,
        wanted: Sequence[str] = (),
        seconds: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Run a signature on inputs that have been checked against it.

        Args:
            servable: the version to run.
            signature: its signature.
            inputs: a tensor for each input.
            wanted: the outputs to return; empty for all.
            seconds: how long the client waits.

        Raises:
            StatusError: the request exceeds a limit or its deadline, or the batcher or the model rejects it.

        """
        self.limits.check_texts(inputs)
        seconds = min(seconds or FOREVER, self.longest or FOREVER)
        deadline = time.monotonic() + seconds
        run = partial(self._run, servable, signature, wanted)
        try:
            if self.batcher and inputs:
                queue = (servable, signature, tuple(sorted(wanted)))
                return await self.batcher.run(queue, run, inputs, deadline)
            async with asyncio.timeout(seconds):
                return await self.off_loop(_unless_late, run, inputs, deadline)
        except TimeoutError as error:
            raise StatusError(StatusCode.DEADLINE_EXCEEDED, f"No answer within {seconds:g} s.") from error

    async def off_loop(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run a function in another thread, so that it does not block the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, work, *arguments)

    async def convert(self, size: int, work: Callable[..., Result], *arguments: object) -> Result:
        """Decode or encode, in another thread if the data are large."""
        return work(*arguments) if size < SMALL_BYTES else await self.off_loop(work, *arguments)

    @contextmanager
    def observed(self, call: Call) -> Iterator[Call]:
        """Count and log one request, whether it succeeds or fails; errors are converted to a StatusError."""
        start, status = time.perf_counter(), "OK"
        try:
            yield call
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        except Exception as error:
            refusal = as_status_error(error)
            status = refusal.code.name
            raise refusal from error
        finally:
            self._record(call, status, time.perf_counter() - start)

    def _record(self, call: Call, status: str, seconds: float) -> None:
        self.metrics.request(call.model, call.signature, call.api, call.entrypoint, status, seconds)
        if self.log:
            facts = {"model": call.model, "version": call.version, "signature": call.signature, "api": call.api}
            facts |= {"entrypoint": call.entrypoint, "status": status, "ms": round(seconds * 1000, 3)}
            self.log.write(facts, call.inputs)

    def _run(
        self, servable: Servable, signature: str, wanted: Sequence[str], inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        start = time.perf_counter()
        outputs = servable.run(signature, inputs, wanted)
        self.metrics.run(servable.name, time.perf_counter() - start)
        return outputs


def _unless_late(
    run: Callable[[Mapping[str, np.ndarray]], Result], inputs: Mapping[str, np.ndarray], deadline: float
) -> Result:
    """Run, unless the client has disconnected while the request waited for a thread."""
    if time.monotonic() > deadline:
        raise StatusError(StatusCode.DEADLINE_EXCEEDED, "The deadline passed before the model could run.")
    return run(inputs)
