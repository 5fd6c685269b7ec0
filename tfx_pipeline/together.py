"""Trainings shared by several machines: `easel run` on one, and `easel worker` on each of the others.

The chief, the machine of `easel run`, describes the training in a file on shared storage. A worker takes part as long
as the file exists, and writes no files. On every machine, each training is a process of its own, because TensorFlow can
join a cluster only once per process and before any computation.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.learning.cluster import Cluster, WorkerError
from models.learning.settings import ConfigError
from tfx_pipeline.runs.root import Root

PROGRAM = "tfx_pipeline.components.training_process"
GONE = 3
"""Exit code of a training if another machine has died."""
POLL = 0.5
TO_CONNECT = 5.0
TO_LEAVE = 60.0
"""Timeout in seconds for machines to leave the previous training."""
TO_JOIN = 600.0
"""Timeout in seconds for workers to join, which includes importing TensorFlow."""


@dataclass(frozen=True)
class SharedTraining:
    """A training shared by several machines.

    Attributes:
        model: The name of the trained model.
        workers: The machines as host:port, the chief first.
        arguments: TFX's arguments of the Trainer as JSON.
        id: A unique id.
    """

    model: str
    workers: tuple[str, ...]
    arguments: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def read(file: Path) -> SharedTraining | None:
    """The training in progress; None if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return SharedTraining(**found | {"workers": tuple(found["workers"])})


def write(file: Path, training: SharedTraining) -> None:
    """Publish a training for the workers; the file is written atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(training)), encoding="utf-8")
    new.replace(file)


def lead(file: Path, training: SharedTraining) -> None:
    """Train as the chief, with the workers that read a file.

    Raises:
        WorkerError: A worker did not join, or has died.
        RuntimeError: The training fails for another reason.
    """
    # A file left by a killed run would keep its workers waiting.
    file.unlink(missing_ok=True)
    await_silence(training.workers)
    write(file, training)
    last = ""
    try:
        with started(training, 0, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for line in process.stdout:
                last = line.strip() or last
                logging.info("%s", last)
            code = process.wait()
    finally:
        file.unlink(missing_ok=True)
    if code:
        raise (WorkerError if code == GONE else RuntimeError)(ending(code, last))


def join(root: Path, address: str, say: Callable[[str], None]) -> None:
    """Take part in every training of a root until this process is terminated.

    Args:
        root: The root folder of the runs on this machine.
        address: host:port of this machine in the list of workers.
        say: Called with a line for each training that is joined, and for its end.

    Raises:
        ConfigError: This machine is not among the workers of a training.
    """
    file, last = Root(root).shared_training, None
    while True:
        training = read(file)
        if training and training != last:
            say(f"{training.model}: training with {training.workers[0]}")
            say(f"{training.model}: {take_part(root, file, training, address)}")
            last = training
        time.sleep(POLL)


def take_part(root: Path, file: Path, training: SharedTraining, address: str) -> str:
    """Train as a worker as long as the file exists, and return how the training ended.

    Raises:
        ConfigError: This machine is not among the workers of the training.
    """
    if address not in training.workers[1:]:
        raise ConfigError(
            f"This machine is {address!r}, and the workers are {', '.join(training.workers[1:])}: give --address as "
            "--workers of `easel run` has it."
        )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        number = training.workers.index(address)
        with started(training, number, cwd=root, stdout=said, stderr=subprocess.STDOUT) as process:
            while process.poll() is None and read(file) == training:
                time.sleep(POLL)
        said.seek(0)
        told = said.read().strip().splitlines()
    return ending(process.returncode, *told[-1:]) if read(file) == training else "ended"


def ending(code: int, last: str = "") -> str:
    """Why the process of a training ended, from its exit code and its last line of output."""
    return last if code > 0 and last else f"The training's process ended with exit code {code}."


@contextmanager
def started(training: SharedTraining, number: int, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The training process of this machine; it ends with the context and with this process."""
    environment = os.environ | {"TF_CONFIG": str(Cluster(training.workers, number))}
    command = [sys.executable, "-m", PROGRAM]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, text=True, **options) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(training.arguments) + "\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def await_silence(workers: Sequence[str]) -> None:
    """Wait until all machines have left the previous training.

    Raises:
        RuntimeError: The port of a machine is still in use.
    """
    if still := waited_for(workers, TO_LEAVE, lambda address: not answers(address)):
        raise RuntimeError(f"Something listens at {' and '.join(still)} already: name a free port of that machine.")


def await_workers(workers: Sequence[str]) -> None:
    """Wait until all workers have joined.

    Raises:
        WorkerError: Some workers did not join.
    """
    if absent := [address for address in workers[1:] if not answers(address)]:
        print(f"  waiting for {', '.join(absent)} (easel worker)", file=sys.stderr, flush=True)
    if missing := waited_for(workers[1:], TO_JOIN, answers):
        raise WorkerError(
            f"{' and '.join(missing)} did not join the training within {TO_JOIN / 60:.0f} minutes: run `easel worker` "
            "there, then run the same command to resume."
        )


def waited_for(workers: Sequence[str], seconds: float, wanted: Callable[[str], bool]) -> list[str]:
    """The workers that do not meet a condition after the timeout."""
    deadline = time.monotonic() + seconds
    while (others := [address for address in workers if not wanted(address)]) and time.monotonic() < deadline:
        time.sleep(POLL)
    return others


def answers(address: str) -> bool:
    """Whether something listens at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=TO_CONNECT).close()
    except OSError:
        return False
    return True
