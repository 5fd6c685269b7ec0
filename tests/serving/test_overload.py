"""A server that runs out of file descriptors, and clients that read a byte a second: `make test-slow`."""

import contextlib
import json
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving.client import Client
from serving.process import ServerProcess

FILES = 256
SLOW = 50

pytestmark = pytest.mark.slow


class PoorServer(ServerProcess):
    """A server that may open few files."""

    def _command(self) -> list[str]:
        return ["prlimit", f"--nofile={FILES}", *super()._command()]


@pytest.fixture
def connections() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as opened:
        yield opened


def connect(address: str, opened: contextlib.ExitStack) -> socket.socket:
    host, _, port = address.rpartition(":")
    return opened.enter_context(socket.create_connection((host, int(port)), timeout=30))


@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not installed")
def test_a_server_without_files_left_answers_again_once_it_has_some(
    models: Path, connections: contextlib.ExitStack
) -> None:
    with PoorServer(models, flags=["--studio_port=-1"]) as server, Client(server.grpc_address) as client:
        studio = urlsplit(server.studio_url).netloc
        for number in range(2 * FILES):
            connect((server.rest_address, studio)[number % 2], connections)
        time.sleep(5)
        connections.close()
        with urllib.request.urlopen(f"http://{server.rest_address}/v1/models/restorer", timeout=60) as response:
            assert json.load(response)["model_version_status"][0]["state"] == "AVAILABLE"
        assert client.generate("a")[0].png
        assert len(server.log()) < 10**6
        assert server.stop() == 0


def test_clients_that_read_a_byte_a_second_hold_up_neither_others_nor_the_end(
    models: Path, connections: contextlib.ExitStack
) -> None:
    with ServerProcess(models, flags=["--studio_port=-1"]) as server, Client(server.grpc_address) as client:
        body = json.dumps({"instances": [{"prompt": "a", "seed": seed} for seed in range(500)]}).encode()
        head = f"POST /v1/models/text_to_image:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        slow = [connect(server.rest_address, connections) for _ in range(SLOW)]
        for each in slow:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            each.sendall(head.encode() + body)
        for _ in range(3):
            assert {each.recv(1) for each in slow} < {b"H", b"T", b"P"}
            with urllib.request.urlopen(f"{server.studio_url}/v1/models", timeout=60) as response:
                assert response.status == 200
            assert client.generate("a")[0].png
            time.sleep(1)
        assert server.stop(grace=60) == 0
