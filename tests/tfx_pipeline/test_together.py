"""How the machines of a training find each other; trainings themselves are in test_several_machines.py."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import free_port

from models.learning.cluster import WorkerError
from models.learning.settings import ConfigError
from tfx_pipeline import together
from tfx_pipeline.runs.root import Root
from tfx_pipeline.together import SharedTraining, await_silence, await_workers, ending, join, lead, read, write


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL", "TO_LEAVE", "TO_JOIN"):
        monkeypatch.setattr(together, name, 0.01)


@pytest.fixture
def taken() -> Iterator[str]:
    """An address at which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free() -> str:
    return f"127.0.0.1:{free_port()}"


def test_workers_read_what_the_chief_writes(tmp_path: Path) -> None:
    file = Root(tmp_path).shared_training
    assert read(file) is None
    trainings = [SharedTraining("restorer", ("a:1", "b:1"), {"train_files": ["x"]}) for _ in range(2)]
    for training in trainings:
        write(file, training)
        assert read(file) == training
    assert trainings[0] != trainings[1]


@pytest.mark.parametrize("address", ["c:1", "a:1"])
def test_a_machine_that_a_training_does_not_name_is_told_which_it_names(tmp_path: Path, address: str) -> None:
    write(Root(tmp_path).shared_training, SharedTraining("restorer", ("a:1", "b:1", "d:1"), {}))
    with pytest.raises(ConfigError, match=f"This machine is '{address}', and the workers are b:1, d:1: give --address"):
        join(tmp_path, address, lambda line: None)


@pytest.mark.usefixtures("short_waits")
def test_a_worker_that_does_not_come_is_named(taken: str, capsys: pytest.CaptureFixture[str]) -> None:
    absent = free()
    await_workers(["the chief:1", taken])
    assert capsys.readouterr().err == ""
    with pytest.raises(WorkerError, match=f"{absent} did not join .*: run `easel worker` there, then run the same"):
        await_workers(["the chief:1", taken, absent])
    assert capsys.readouterr().err == f"  waiting for {absent} (easel worker)\n"


@pytest.mark.usefixtures("short_waits")
def test_a_port_that_is_taken_is_named_and_no_worker_called(tmp_path: Path, taken: str) -> None:
    file = Root(tmp_path).shared_training
    write(file, SharedTraining("restorer", ("a:1", "b:1"), {}))
    await_silence([free()])
    with pytest.raises(RuntimeError, match=f"Something listens at {taken} already"):
        lead(file, SharedTraining("restorer", (taken, free()), {}))
    assert read(file) is None


def test_a_process_that_said_nothing_has_an_exit_code() -> None:
    assert ending(1, "The disk is full.") == "The disk is full."
    assert ending(-6, "step 3") == ending(-6) == "The training's process ended with exit code -6."
