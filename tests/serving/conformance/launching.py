"""Start the embedded server, or TensorFlow Serving's own binary, with the same flags."""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import grpc
from asking import Ask, Stubs, send
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

EMBEDDED = f"{sys.executable} -m serving.server"


@dataclass
class Server:
    """A server that runs: its addresses, and the folder of what only it serves."""

    grpc_address: str
    rest_address: str
    folder: Path = Path()

    @cached_property
    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.grpc_address, options=[("grpc.max_receive_message_length", -1)])

    @cached_property
    def stubs(self) -> Stubs:
        return Stubs(
            prediction_service_pb2_grpc.PredictionServiceStub(self.channel),
            model_service_pb2_grpc.ModelServiceStub(self.channel),
        )

    @property
    def ask(self) -> Ask:
        return partial(send, self.rest_address)


@contextmanager
def launched(command: str, flags: Sequence[str], *, rest: bool = True) -> Iterator[Server]:
    """Run a server until the block ends."""
    port, rest_port = free_ports()
    with tempfile.TemporaryFile("w+") as output:
        ports = [f"--port={port}", f"--rest_api_port={rest_port if rest else port}"]
        process = subprocess.Popen([*shlex.split(command), *ports, *flags], stdout=output, stderr=subprocess.STDOUT)
        try:
            for each in (port, rest_port) if rest else (port,):
                _wait_for(each, process, output.fileno())
            server = Server(f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}")
            yield server
            if "channel" in vars(server):
                server.channel.close()
        finally:
            process.terminate()
            process.wait(60)


def failed_start(command: str, flags: Sequence[str]) -> str:
    """Start a server that must not come up, and return what it said."""
    port, rest_port = free_ports()
    ports = [f"--port={port}", f"--rest_api_port={rest_port}"]
    done = subprocess.run([*shlex.split(command), *ports, *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    return done.stdout + done.stderr


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _wait_for(port: int, process: subprocess.Popen[bytes], output: int) -> None:
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server is not there: {os.pread(output, 2**20, 0).decode(errors='replace')[-3000:]}")


def text_file(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name
