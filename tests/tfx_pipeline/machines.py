"""Machines to test with: network namespaces with an address each, Beam's worker pools in them, and a job server."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc

POOL_PORT = 50000
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

    def start(self, module: str, *arguments: object, hosts: Path, log: Path) -> subprocess.Popen[bytes]:
        """Run a Python module there, with a file in the place of /etc/hosts."""
        return started(["ip", "netns", "exec", self.name, *knowing(hosts)], module, *arguments, log=log)

    def processes(self) -> set[int]:
        """The processes that run there."""
        told = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True).stdout
        return set(map(int, told.split()))


def knowing(hosts: Path) -> list[str]:
    """The beginning of a command that resolves names by this file."""
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]


def started(prefix: list[str], module: str, *arguments: object, log: Path) -> subprocess.Popen[bytes]:
    command = [*prefix, sys.executable, "-m", module, *map(str, arguments)]
    with log.open("ab") as out:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=out, start_new_session=True)


@contextmanager
def machine(number: int) -> Iterator[Machine]:
    """A namespace joined to this one by a cable of its own."""
    name = f"easel{os.getpid()}-{number}"
    link, net = f"ez{os.getpid() % 10**8}-{number}", f"10.213.{number}"
    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{net}.1/30", "dev", link)
        ip("link", "set", link, "up")
        for words in (f"addr add {net}.2/30 dev eth0", "link set eth0 up", "link set lo up"):
            ip("-n", name, *words.split())
        yield Machine(name, f"{net}.2", f"{net}.1")
    finally:
        ip("netns", "del", name)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Dispatcher(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """One address for several worker pools, which start workers in turns."""

    def __init__(self, pools: list[str]) -> None:
        stubs = [beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(grpc.insecure_channel(pool)) for pool in pools]
        self.turns = itertools.cycle(stubs)

    def StartWorker(self, request: Any, context: Any) -> Any:
        return next(self.turns).StartWorker(request, wait_for_ready=True)

    def StopWorker(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


@contextmanager
def dispatching(pools: list[str]) -> Iterator[str]:
    """The address of a dispatcher."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Dispatcher(pools), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0)


@dataclass(frozen=True)
class Cluster:
    """A job server here, and worker pools on machines of their own."""

    job_endpoint: str
    pools: str
    machines: list[Machine]
    logs: list[Path]

    @property
    def options(self) -> list[str]:
        return [
            f"job_endpoint={self.job_endpoint}",
            "environment_type=EXTERNAL",
            f"environment_config={self.pools}",
            f"direct_num_workers={len(self.machines)}",
        ]


@contextmanager
def cluster(folder: Path, *, first: int = 0, count: int = 2) -> Iterator[Cluster]:
    """A cluster of so many machines, the first of this number, whose logs go to a folder."""
    with ExitStack() as stack:
        machines = [stack.enter_context(machine(first + number)) for number in range(count)]
        logs = [folder / f"{each.name}.log" for each in machines]
        for each, log in zip(machines, logs, strict=True):
            hosts = folder / f"{each.name}.hosts"
            hosts.write_text(f"127.0.0.1 localhost\n{each.gateway} {socket.gethostname()}\n")
            pool = "apache_beam.runners.worker.worker_pool_main"
            stack.callback(end, each.start(pool, "--service_port", POOL_PORT, hosts=hosts, log=log))
        port, hosts = free_port(), folder / "server.hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{machines[0].gateway} {socket.gethostname()}\n")
        server = "apache_beam.runners.portability.local_job_service_main"
        stack.callback(end, started(knowing(hosts), server, "--port", port, log=folder / "server.log"))
        addresses = [f"{each.address}:{POOL_PORT}" for each in machines]
        for address in [*addresses, f"localhost:{port}"]:
            wait_for(address)
        yield Cluster(f"localhost:{port}", stack.enter_context(dispatching(addresses)), machines, logs)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as caller:
            if caller.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"nobody listens at {address}")
