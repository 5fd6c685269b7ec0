"""Machines to test with: network namespaces, with Beam's worker pools in them, and a job server here."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

POOL_PORT = 50000
# A pool starts a plain `python`.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@dataclass(frozen=True)
class Machine:
    """A namespace.

    Attributes:
        name: As `ip netns` knows it.
        address: By which this machine reaches it.
        gateway: By which it reaches this machine.
    """

    name: str
    address: str
    gateway: str

    def processes(self) -> set[int]:
        """The processes that run there."""
        told = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True).stdout
        return set(map(int, told.split()))


@contextmanager
def machine(number: int) -> Iterator[Machine]:
    """A namespace joined to this one by a cable of its own."""
    name, link, net = f"easel-{os.getpid()}-{number}", f"ez{os.getpid()}-{number}", f"10.213.{number}"
    ip("netns", "add", name)
    ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    try:
        ip("addr", "add", f"{net}.1/30", "dev", link)
        ip("link", "set", link, "up")
        for words in (f"addr add {net}.2/30 dev eth0", "link set eth0 up", "link set lo up"):
            ip("-n", name, *words.split())
        ip("-n", name, "route", "add", "default", "via", f"{net}.1")
        yield Machine(name, f"{net}.2", f"{net}.1")
    finally:
        # A namespace goes some time after its last process; the next machine of this number needs the cable's name.
        ip("link", "del", link)
        ip("netns", "del", name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Cluster:
    """A job server here, and worker pools on machines of their own.

    Attributes:
        endpoint: Of the job server.
        logs: What the pools said.
    """

    endpoint: str
    machines: list[Machine]
    logs: list[Path]

    @property
    def options(self) -> list[str]:
        """For `--beam-option`."""
        pools = ",".join(f"{each.address}:{POOL_PORT}" for each in self.machines)
        return [
            f"job_endpoint={self.endpoint}",
            "environment_type=EXTERNAL",
            f"environment_config={pools}",
        ]


@contextmanager
def cluster(folder: Path, *, first: int = 0, count: int = 2) -> Iterator[Cluster]:
    """A cluster of so many machines, the first of this number, whose logs go to a folder."""
    with ExitStack() as stack:
        machines = [stack.enter_context(machine(first + number)) for number in range(count)]
        logs = [folder / f"{each.name}.log" for each in machines]
        for each, log in zip(machines, logs, strict=True):
            there = ["ip", "netns", "exec", each.name]
            pool = ["-m", "apache_beam.runners.worker.worker_pool_main", "--service_port", POOL_PORT]
            stack.enter_context(running([*there, *python(*pool)], log))
        host, port = machines[0].gateway, free_port()
        server = python(Path(__file__).with_name("job_server.py"), "--host", host, "--port", port)
        stack.enter_context(running(server, folder / "server.log"))
        for address in [*((each.address, POOL_PORT) for each in machines), (host, port)]:
            wait_for(address)
        yield Cluster(f"{host}:{port}", machines, logs)


def python(*arguments: object) -> list[str]:
    return [sys.executable, *map(str, arguments)]


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    """A process, to the end of the context."""
    with log.open("ab") as out, subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with socket.socket() as caller:
            if caller.connect_ex(address) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody listens at {address}")
