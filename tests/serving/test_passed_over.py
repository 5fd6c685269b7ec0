"""What lies in a folder of models that is no model: told once, with what it should look like, and never in the way."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import fake_models
import pytest

from serving.client import Client, ServingError
from serving.local import LocalClient
from serving.process import ServerProcess
from serving.server.storage import passed_over

# The superuser may read everything, unless these are taken away.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


class UnprivilegedServer(ServerProcess):
    """A server that may not read what is forbidden, whoever runs the tests."""

    def _command(self) -> list[str]:
        return [*UNPRIVILEGED, *super()._command()]


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_models.half_plus(tmp_path_factory.mktemp("export") / "model", 2.0)


@pytest.fixture
def forbidden(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "models" / "lost+found"
    folder.mkdir(parents=True)
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


def place(saved_model: Path, *folders: Path) -> None:
    for folder in folders:
        shutil.copytree(saved_model, folder)


def test_each_folder_that_is_no_model_is_told_what_it_should_look_like(tmp_path: Path, saved_model: Path) -> None:
    folder = tmp_path / "models"
    place(
        saved_model, folder / "good/1", folder / "named/v1", folder / "flat", folder / "kept/2", folder / "kept/1-old"
    )
    (folder / "pictures").mkdir()
    (folder / "pictures/notes.txt").touch()
    for empty in ("coming", ".cache", "@eaDir"):
        (folder / empty).mkdir()
    (folder / "coming/.3.partial").mkdir()
    (folder / "@eaDir/thumbnail").touch()
    assert list(passed_over(folder)) == [
        f"{folder}/flat is ignored because it has no version: move its contents to {folder}/flat/1",
        f"{folder}/kept/1-old is ignored because a version must be a number: rename it to {folder}/kept/1",
        f"{folder}/named/v1 is ignored because a version must be a number: rename it to {folder}/named/1",
        f"{folder}/pictures is ignored because it has no version: a model lies in "
        "<model>/<version>/saved_model.pb, and its version is a number",
    ]
    assert next(passed_over(folder / "kept")) == (
        f"{folder}/kept is one model, of version 2: serve {folder}, or give --model_base_path={folder}/kept"
    )


def test_a_server_tells_each_once_and_again_when_it_comes_back(tmp_path: Path, saved_model: Path) -> None:
    folder = tmp_path / "models"
    place(saved_model, folder / "good/1", folder / "named/v1")
    with ServerProcess(folder, poll_seconds=0.1) as server, Client(server.grpc_address) as client:
        told = "named/v1 is ignored"
        time.sleep(0.5)
        assert server.log().count(told) == 1
        (folder / "named/v1").rename(folder / "named/1")
        until(client, "named")
        (folder / "named/1").rename(folder / "named/v1")
        wait(lambda: server.log().count(told) == 2, server)


def test_one_model_served_alone_is_told_of_its_versions_too(tmp_path: Path, saved_model: Path) -> None:
    place(saved_model, tmp_path / "base/1", tmp_path / "base/v2")
    flags = ["--model_name=one", f"--model_base_path={tmp_path / 'base'}"]
    with ServerProcess(None, poll_seconds=0.1, flags=flags) as server:
        assert f"{tmp_path}/base/v2 is ignored because a version must be a number" in server.log()


@pytest.mark.skipif(not shutil.which("setpriv"), reason="Install setpriv, which is in util-linux.")
def test_a_folder_that_may_not_be_read_is_in_nobodys_way(forbidden: Path, saved_model: Path) -> None:
    models = forbidden.parent
    place(saved_model, models / "first/1")
    with UnprivilegedServer(models, poll_seconds=0.1) as server, Client(server.grpc_address) as client:
        assert client.status("first") == [(1, "AVAILABLE")]
        place(saved_model, models / "second/1")
        until(client, "second")
        told = f"{forbidden} is ignored: Permission denied; make it readable for this user, or move it away\n"
        assert server.log().count(told) == server.log().count("lost+found") == 1


@pytest.mark.skipif(not shutil.which("setpriv"), reason="Install setpriv, which is in util-linux.")
def test_a_version_that_may_not_be_read_leaves_the_others(tmp_path: Path, saved_model: Path) -> None:
    place(saved_model, tmp_path / "model/1", tmp_path / "model/2")
    (tmp_path / "model/2").chmod(0)
    with UnprivilegedServer(tmp_path, poll_seconds=0.1) as server, Client(server.grpc_address) as client:
        assert (1, "AVAILABLE") in client.status("model")
        told = "model version 2 failed to load: saved_model.pb: Permission denied\n"
        assert told in server.log() and "Traceback" not in server.log()
    (tmp_path / "model/2").chmod(0o700)


def test_the_client_without_a_server_takes_the_versions_alone(tmp_path: Path) -> None:
    made = fake_models.text_to_image(tmp_path / "text_to_image/1")
    place(made, tmp_path / "text_to_image/2-old", tmp_path / "text_to_image/3")
    shutil.rmtree(tmp_path / "text_to_image/1")
    (picture,) = LocalClient(tmp_path).generate("a")
    assert picture.version == 3
    with pytest.raises(ServingError, match="holds no version 2, but \\[3\\]"):
        LocalClient(tmp_path).generate("a", version=2)
    with pytest.raises(ServingError, match="holds no version: train and push one"):
        LocalClient(tmp_path / "elsewhere").generate("a")


def until(client: Client, model: str) -> None:
    wait(lambda: client.status(model)[:1] == [(1, "AVAILABLE")])


def wait(condition: object, server: ServerProcess | None = None) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while True:
        try:
            if condition():
                return
        except ServingError as error:
            assert error.code == "NOT_FOUND"
        assert time.monotonic() < deadline, server.log() if server else "it did not come to pass"
        time.sleep(0.05)
