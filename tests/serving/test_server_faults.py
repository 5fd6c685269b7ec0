"""A server whose disks fail, whose files run out and whose clients are slow goes on serving, and says what to do."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import fake_models
import pytest
from disks import Disk, new_disk
from grpc import StatusCode
from test_versions import until

from serving.client import Client
from serving.folders import flush
from serving.process import ServerProcess
from serving.server.errors import StatusError
from serving.server.model_config import folder_configs
from serving.server.repository import Repository, State
from serving.server.servable import Servable

SLOW = 50


@dataclass
class Place:
    """A server, the disk that its models are on, and the disk that it writes its output to."""

    server: ServerProcess
    models: Disk
    output: Disk

    def status(self, model: str = "text_to_image") -> str:
        """Ask for the state of the newest version."""
        with urllib.request.urlopen(f"http://{self.server.rest_address}/v1/models/{model}", timeout=60) as response:
            return str(json.load(response)["model_version_status"][0]["state"])

    def draws(self) -> bool:
        """Whether a picture is drawn."""
        with Client(self.server.grpc_address, timeout=60) as client:
            return bool(client.generate("a")[0].png)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        models, output = (
            stack.enter_context(new_disk(tmp_path_factory.mktemp(name), 8)) for name in ("models", "output")
        )
        fake_models.text_to_image(models.path / "models/text_to_image/1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(output.path))
            flags = ["--studio_port=-1", "--enable_request_log"]
            server = stack.enter_context(ServerProcess(models.path / "models", poll_seconds=0.1, flags=flags))
        yield Place(server, models, output)


def test_a_request_is_answered_though_its_line_finds_no_space(place: Place) -> None:
    place.output.fill()
    assert place.draws()
    assert place.draws()
    (place.output.path / "ballast").unlink()
    assert place.draws()
    until(lambda: '"entrypoint": "GRPC"' in place.server.log())


def test_a_server_that_may_open_no_more_files_keeps_its_models(place: Place) -> None:
    before = resource.prlimit(place.server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(place.server.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    told = "Too many open files; raise the limit on open files, `ulimit -n 4096`"
    until(lambda: told in place.server.log())
    with ExitStack() as stack:
        for address in 20 * [place.server.rest_address, urlsplit(place.server.studio_url).netloc]:
            host, _, port = address.rpartition(":")
            stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        time.sleep(1)
    resource.prlimit(place.server.pid, resource.RLIMIT_NOFILE, before)
    assert place.status() == "AVAILABLE"
    assert place.draws()
    assert place.server.log().count(told) == 1
    assert "is unloaded" not in place.server.log()


def test_clients_that_read_a_byte_a_second_hold_up_no_others(place: Place) -> None:
    body = json.dumps({"instances": [{"prompt": "a", "seed": seed} for seed in range(500)]}).encode()
    head = f"POST /v1/models/text_to_image:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    host, _, port = place.server.rest_address.rpartition(":")
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(SLOW)]
        for each in slow:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            each.sendall(head + body)
        for letter in b"HTT":
            assert {each.recv(1) for each in slow} == {bytes([letter])}
            assert place.draws()
            time.sleep(1)


def test_a_server_keeps_its_models_while_their_disk_fails_and_loads_new_ones_afterwards(
    place: Place, tmp_path: Path
) -> None:
    made = fake_models.half_plus(tmp_path / "half_plus_two", 2.0)
    place.server.signal(signal.SIGSTOP)
    shutil.copytree(made, place.models.path / "models/half_plus_two/1")
    flush(place.models.path)
    place.models.fail()
    place.server.signal(signal.SIGCONT)
    promise = "Input/output error; check the disk and its connection, and the server will then load it"
    until(lambda: promise in place.server.log())
    assert place.status() == "AVAILABLE"
    assert place.draws()
    place.models.repair()
    until(lambda: "half_plus_two version 1 is ready" in place.server.log(), 60)
    assert place.status("half_plus_two") == "AVAILABLE"
    assert place.draws()
    assert "is unloaded" not in place.server.log()


def test_a_server_that_may_open_too_few_files_does_not_start(tmp_path: Path) -> None:
    class PoorServer(ServerProcess):
        def _command(self) -> list[str]:
            return ["prlimit", "--nofile=32", *super()._command()]

    with pytest.raises(RuntimeError, match="may open only 32 files: raise the limit on open files, 64 or more"):
        PoorServer(tmp_path).__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may choose another name server")
def test_a_name_server_that_never_answers_holds_a_client_up_no_longer_than_its_timeout(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.77.0.1\n")
    ask = (
        "from serving.client import Client, ServingError\n"
        "with Client('models.example.test:8500', timeout=3) as client:\n"
        "    try: client.generate('a')\n"
        "    except ServingError as error: print(error)"
    )
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, tmp_path / "resolv.conf", sys.executable, "-c", ask]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.77.0.1", 53))
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith('"text_to_image" gave no answer within 3 s: '), done.stderr


def test_a_version_is_loaded_once_the_machine_allows_it_and_its_failure_is_told_once(tmp_path: Path) -> None:
    fake_models.half_plus(tmp_path / "half_plus_two/1", 2.0)
    said: list[str] = []
    attempts: list[int] = []

    def load(name: str, version: int, folder: Path) -> Servable:
        attempts.append(version)
        if len(attempts) < 3:
            raise StatusError(StatusCode.INTERNAL, "saved_model.pb: Too many open files")
        return Servable(name, version, folder)

    repository = Repository(load, said.append)
    repository.configure(folder_configs(tmp_path))
    repository.poll()
    assert said == [
        "half_plus_two version 1 failed to load: saved_model.pb: Too many open files; raise the limit on open files, "
        "`ulimit -n 4096`, and the server will then load it"
    ]
    assert repository.states("half_plus_two")[0].state == State.END
    repository.poll()
    assert repository.ready() == ["half_plus_two"]
