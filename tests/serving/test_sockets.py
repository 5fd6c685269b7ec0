"""Unix sockets, whose paths are short: the studio's own, and the one that a flag names."""

import socket
import stat
from pathlib import Path
from urllib.parse import quote

import pytest

from serving.client import Client
from serving.process import ServerProcess
from serving.server.ports import LONGEST_SOCKET_PATH, private_address


@pytest.mark.parametrize("name", ["x" * 100, "工作 [v2] %41"], ids=["long", "odd"])
def test_a_temporary_folder_of_any_name_serves_the_studio(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    with ServerProcess(models, flags=["--studio_port=-1"]) as server:
        assert server.studio_url


def test_the_address_within_the_machine_is_this_users_alone() -> None:
    with private_address() as address:
        folder = Path(address.removeprefix("unix:")).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


@pytest.mark.parametrize("name", ["easel.sock", "工作 [v2] %41.sock"])
def test_a_socket_that_a_flag_names_is_taken_over_unless_it_answers(models: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    flags = [f"--grpc_socket_path={path}"]
    with ServerProcess(models, flags=flags) as server:
        with Client(f"unix:{quote(str(path))}") as client:
            assert client.generate("a")[0].prompt == "a"
        with pytest.raises(RuntimeError, match="be no other server's"), ServerProcess(models, flags=flags):
            pass
        assert server.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("path", [f"/tmp/{'x' * LONGEST_SOCKET_PATH}", "/nowhere/easel.sock"])
def test_a_path_that_is_none_is_one_sentence(models: Path, path: str) -> None:
    told = rf"error: gRPC cannot listen on the socket {path}: --grpc_socket_path must have at most"
    with pytest.raises(RuntimeError, match=told) as caught, ServerProcess(models, flags=[f"--grpc_socket_path={path}"]):
        pass
    assert "Traceback" not in str(caught.value)
