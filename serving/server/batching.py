"""Requests of several clients as one batch, with the parameters and the semantics of TensorFlow Serving.

Each model version, signature and set of outputs has a queue of its own, so their requests are never mixed. All queues
share the threads that run batches. Everything else runs on the event loop, so no lock is needed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from grpc import StatusCode

from serving.server.batching_parameters import Parameters
from serving.server.errors import StatusError, as_status_error, invalid

Tensors: TypeAlias = Mapping[str, np.ndarray]
Run: TypeAlias = Callable[[Tensors], dict[str, np.ndarray]]
Answer: TypeAlias = asyncio.Future[dict[str, np.ndarray]]


@dataclass
class _Task:
    inputs: Tensors
    rows: int
    deadline: float
    done: Answer
    is_waiting: bool = True


@dataclass
class _Batch:
    run: Run
    due: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0


class Batcher:
    """Gathers tasks into batches and runs them.

    Args:
        parameters: the batching parameters.
        observe: called with the number of rows of every batch.

    """

    def __init__(self, parameters: Parameters, observe: Callable[[int], None] = lambda rows: None) -> None:
        self.parameters = parameters
        self._observe = observe
        self._threads = ThreadPoolExecutor(parameters.num_batch_threads, thread_name_prefix="batch")
        self._idle = parameters.num_batch_threads
        self._queues: dict[Hashable, deque[_Batch]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, queue: Hashable, run: Run, inputs: Tensors, deadline: float) -> dict[str, np.ndarray]:
        """Run inputs together with others in the same queue, and return their rows of the outputs.

        Args:
            queue: key of the queue; requests in a queue may share a batch.
            run: runs a batch; the same for all requests in a queue.
            inputs: tensors that share their first dimension.
            deadline: the `time.monotonic()` after which the client no longer waits.

        Raises:
            StatusError: INVALID_ARGUMENT, inputs that cannot be part of a batch; UNAVAILABLE, the queue is full;
                RESOURCE_EXHAUSTED, the deadline passed in the queue; FAILED_PRECONDITION, shapes that do not fit
                together; or what the model says to these inputs.
            TimeoutError: the deadline passed while a batch ran.

        """
        rows = _rows(inputs)
        limit = self.parameters.max_batch_size
        if rows > limit:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {limit}")
        parts = [self._enqueue(queue, run, part, deadline) for part in self._split(inputs, rows)]
        try:
            outputs = await _answered(parts, deadline)
        finally:
            # Requests of clients that have disconnected are not part of a batch.
            for part in parts:
                part.done.cancel()
        return {name: np.concatenate([each[name] for each in outputs]) for name in outputs[0]}

    def close(self) -> None:
        """Shut down the threads after their current batches."""
        self._threads.shutdown()

    def _split(self, inputs: Tensors, rows: int) -> list[Tensors]:
        largest = self.parameters.largest_batch
        starts = range(0, max(rows, 1), largest)
        if len(starts) == 1:
            return [inputs]
        return [{name: tensor[start : start + largest] for name, tensor in inputs.items()} for start in starts]

    def _enqueue(self, key: Hashable, run: Run, inputs: Tensors, deadline: float) -> _Task:
        loop, task_rows = asyncio.get_running_loop(), _rows(inputs)
        task = _Task(inputs, task_rows, deadline, loop.create_future())
        queue = self._queues.setdefault(key, deque())
        if not queue or queue[-1].rows + task_rows > self.parameters.largest_batch:
            if len(queue) >= self.parameters.max_enqueued_batches:
                raise StatusError(
                    StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            wait = self.parameters.batch_timeout_micros / 1e6
            queue.append(_Batch(run, time.monotonic() + wait))
            if wait:
                loop.call_later(wait, self._start_batches)
        queue[-1].tasks.append(task)
        queue[-1].rows += task_rows
        self._start_batches()
        return task

    def _start_batches(self) -> None:
        while self._idle and (batch := self._next()):
            self._idle -= 1
            running = asyncio.get_running_loop().create_task(self._execute(batch))
            # The event loop keeps only weak references to tasks.
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    def _next(self) -> _Batch | None:
        """Take the first batch that is full or due, and move its queue behind the others."""
        now = time.monotonic()
        for key, queue in self._queues.items():
            head = queue[0]
            # The clock of call_later may be ahead by its resolution.
            if len(queue) > 1 or head.rows >= self.parameters.largest_batch or head.due <= now + 1e-3:
                queue.popleft()
                del self._queues[key]
                if queue:
                    self._queues[key] = queue
                return head
        return None

    async def _execute(self, batch: _Batch) -> None:
        tasks = [task for task in batch.tasks if not task.done.done()]
        for task in tasks:
            task.is_waiting = False
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._threads, self._answers, batch.run, tasks)
            for task, answer in zip(tasks, answers, strict=True):
                _settle(task.done, answer)
        finally:
            self._idle += 1
            self._start_batches()

    def _answers(self, run: Run, tasks: Sequence[_Task]) -> list[dict[str, np.ndarray] | StatusError]:
        now = time.monotonic()
        waiting = [task for task in tasks if task.deadline > now]
        answers = iter(self._answers_in_time(run, waiting))
        return [next(answers) if task.deadline > now else _late() for task in tasks]

    def _answers_in_time(self, run: Run, tasks: Sequence[_Task]) -> Sequence[dict[str, np.ndarray] | StatusError]:
        if not tasks:
            return []
        try:
            merged, sizes = self._merge(tasks)
        except StatusError as error:
            return [error] * len(tasks)
        self._observe(sum(sizes))
        try:
            outputs = run(merged)
        except Exception as error:
            if len(tasks) == 1:
                return [as_status_error(error)]
            # One request makes the batch fail, so each is run alone and gets a response or error of its own.
            return [answer for task in tasks for answer in self._answers_in_time(run, [task])]
        try:
            return _shared_out(outputs, sizes)[: len(tasks)]
        except StatusError as error:
            return [error] * len(tasks)

    def _merge(self, tasks: Sequence[_Task]) -> tuple[Tensors, list[int]]:
        """Return one tensor for each input, and the rows of each task, then those that fill up to an allowed size."""
        sizes = [task.rows for task in tasks]
        filling = next((size for size in self.parameters.allowed_batch_sizes if size >= sum(sizes)), 0) - sum(sizes)
        if len(tasks) == 1 and filling <= 0:
            return tasks[0].inputs, sizes
        merged = {}
        for name in tasks[0].inputs:
            parts = [task.inputs[name] for task in tasks]
            if self.parameters.pad_variable_length_inputs:
                parts = _padded(name, parts)
            _check_same_shapes(name, parts)
            merged[name] = np.concatenate(parts + [parts[-1][:1]] * filling)
        return merged, sizes + [filling] * (filling > 0)


async def _answered(parts: Sequence[_Task], deadline: float) -> list[dict[str, np.ndarray]]:
    """Wait for all parts of a request, or for the first that fails, until the deadline."""
    futures = [part.done for part in parts]
    seconds = max(deadline - time.monotonic(), 0)
    _, unanswered = await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    outputs = [future.result() for future in futures if future not in unanswered]
    if any(part.is_waiting for part in parts):
        raise _late()
    if unanswered:
        raise TimeoutError
    return outputs


def _late() -> StatusError:
    return StatusError(StatusCode.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")


def _rows(inputs: Tensors) -> int:
    sizes = {tensor.shape[0] if tensor.ndim else None for tensor in inputs.values()}
    if None in sizes:
        raise invalid("Batching session Run() input tensors must have at least one dimension.")
    if len(sizes) != 1:
        raise invalid("Batching session Run() input tensors must have equal 0th-dimension size.")
    return sizes.pop() or 0


def _check_same_shapes(name: str, parts: Sequence[np.ndarray]) -> None:
    if len({part.shape[1:] for part in parts}) > 1:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION,
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim.",
        )


def _padded(name: str, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Pad the tensors to their largest size with repetitions of their first element."""
    if len({part.ndim for part in parts}) > 1:
        raise invalid(f"Tensors with name '{name}' from different tasks have different ranks.")
    largest = np.max([part.shape[1:] for part in parts], axis=0, initial=0).astype(int)
    return [_grown(part, (part.shape[0], *largest)) for part in parts]


def _grown(part: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if part.shape == shape or not part.size:
        return part
    grown = np.empty(shape, part.dtype)
    grown[...] = part.flat[0]
    grown[tuple(slice(size) for size in part.shape)] = part
    return grown


def _shared_out(outputs: Tensors, sizes: Sequence[int]) -> list[dict[str, np.ndarray]]:
    shares: list[dict[str, np.ndarray]] = [{} for _ in sizes]
    for name, tensor in outputs.items():
        if not tensor.ndim:
            raise StatusError(StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
        if tensor.shape[0] != sum(sizes):
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
        parts = np.split(tensor, np.cumsum(sizes)[:-1])
        for share, part in zip(shares, parts, strict=True):
            share[name] = part
    return shares


def _settle(future: Answer, answer: dict[str, np.ndarray] | StatusError) -> None:
    if future.done():
        return
    if isinstance(answer, StatusError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
