"""Trainings that several machines share, as one `easel run` and an `easel worker` on each of the others.

The chief, which is the machine of the run, writes down what is to be trained, in a file that all machines see. A worker
takes part in what the file says for as long as it says so, and writes nothing. On every machine, each training is a
process of its own, since TensorFlow joins a cluster once in a process and before it computes anything.
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
"""Exit code of a training that another machine has left."""
POLL = 0.5
TO_CONNECT = 5.0
TO_LEAVE = 60.0
"""Seconds that machines have to leave the training before."""
TO_JOIN = 600.0
"""Seconds that workers have to join; they import TensorFlow first."""


@dataclass(frozen=True)
class SharedTraining:
    """A training that several machines share.

    Attributes:
        model: What is trained.
        workers: Each machine as host:port, the chief first.
        arguments: What TFX gives the Trainer, as JSON has it.
        id: Tells it from all others.
    """

    model: str
    workers: tuple[str, ...]
    arguments: dict[str, Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def read(file: Path) -> SharedTraining | None:
    """The training that is under way; None where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return SharedTraining(**found | {"workers": tuple(found["workers"])})


def write(file: Path, training: SharedTraining) -> None:
    """Let the workers join a training; the file appears whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(training)), encoding="utf-8")
    new.replace(file)


def lead(file: Path, training: SharedTraining) -> None:
    """Train as the chief, with the workers that read a file.

    Raises:
        WorkerError: If a worker does not come, or has gone.
        RuntimeError: If the training fails otherwise.
    """
    # What a killed run left behind would hold its workers.
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
    """Take part in every training of a root, until this process is ended.

    Args:
        root: The folder of the runs, as this machine sees it.
        address: This machine among the workers, host:port.
        say: Told what is joined, and how it ended.

    Raises:
        ConfigError: If a training does not name this machine.
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
    """Train as a worker for as long as the file says so, and return how it ended.

    Raises:
        ConfigError: If the training does not name this machine.
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
    """Why a process of a training ended, from its exit code and the last line that it printed."""
    return last if code > 0 and last else f"The training's process ended with exit code {code}."


@contextmanager
def started(training: SharedTraining, number: int, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The process that trains on one of the machines; it ends with the context, and with this process."""
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
    """Wait until all machines have left the training before.

    Raises:
        RuntimeError: If something goes on listening.
    """
    if still := waited_for(workers, TO_LEAVE, lambda address: not answers(address)):
        raise RuntimeError(f"Something listens at {' and '.join(still)} already: name a free port of that machine.")


def await_workers(workers: Sequence[str]) -> None:
    """Wait until all workers are there.

    Raises:
        WorkerError: If some do not come.
    """
    if absent := [address for address in workers[1:] if not answers(address)]:
        print(f"  waiting for {', '.join(absent)} (easel worker)", file=sys.stderr, flush=True)
    if missing := waited_for(workers[1:], TO_JOIN, answers):
        raise WorkerError(
            f"{' and '.join(missing)} did not join the training within {TO_JOIN / 60:.0f} minutes: run `easel worker` "
            "there, then the same command goes on from here."
        )


def waited_for(workers: Sequence[str], seconds: float, wanted: Callable[[str], bool]) -> list[str]:
    """The workers that are not as they are wanted when the time is up."""
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
