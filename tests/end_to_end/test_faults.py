"""A run that is killed, or whose disk fails, in one component after the other; each takes a start of its own."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from disks import fault, new_disk
from easel_process import EASEL, MODELS, easel, run_stage, versions, write_config

from serving.client import Client
from serving.process import ServerProcess

# One of each kind: what reads the folder, Beam, a training, a judgement, the parts put together, and pushes.
COMPONENTS = (
    "FolderExampleGen",
    "Transform",
    "Trainer.generator",
    "Evaluator.generator",
    "Assembler",
    "Pusher.language_model",
    "Pusher.text_to_image",
)

# Components that take long enough for a disk to fail meanwhile.
FAULTS = {
    "Transform": "ENOSPC",
    "Trainer.restorer": "ENOSPC",
    "Trainer.generator": "EIO",
    "Evaluator.generator": "EROFS",
    "Assembler": "ENOSPC",
    "ServingValidator": "EROFS",
}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


@contextmanager
def under_way(component: str, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process group of its own; the block begins once a component is under way."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        said = []
        for line in run.stdout:
            if line.split()[-1:] == [component] and line.startswith("["):
                yield run
                return
            said.append(line)
        pytest.fail(f"the run came to its end without {component}: {''.join(said)}")


def command_of(root: Path, data: Path, config: Path) -> list[str]:
    return [EASEL, *map(str, ("run", "--data", data, "--root", root, "--config", config))]


def assert_whole(root: Path, data: Path, config: Path) -> None:
    """The same command goes on to one version of each model, which draws."""
    stage = run_stage(root, data, "--config", config)
    assert stage.done.returncode == 0, stage.done.stderr
    assert {name: len(found) for name, found in versions(root).items()} == dict.fromkeys(MODELS, 1)
    with ServerProcess(root / "pushed") as server, Client(server.grpc_address) as client:
        assert client.generate("a red circle", seed=1)[0].png


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    assert easel("data", "shapes", "--out", tmp_path / "shapes", "--count", 400).returncode == 0
    return tmp_path / "shapes"


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path: Path, shapes: Path) -> None:
    config, root = write_config(tmp_path / "tiny.toml"), tmp_path / "root"
    for component in COMPONENTS:
        with under_way(component, command_of(root, shapes, config)) as run:
            time.sleep(0.3)
            os.killpg(run.pid, signal.SIGKILL)
        for found in root.glob("pushed/*/[0-9]*"):
            assert (found / "assets.extra/model_card.json").is_file()
    assert_whole(root, shapes, config)


def test_a_run_whose_disk_fails_again_and_again_ends_as_if_it_had_not(tmp_path: Path, shapes: Path) -> None:
    config = write_config(tmp_path / "tiny.toml")
    with new_disk(tmp_path, 512) as disk:
        root = disk.path / "root"
        for component, name in FAULTS.items():
            with under_way(component, command_of(root, shapes, config)) as run, fault(name, disk):
                said = run.stdout.read() if run.stdout else ""
                assert run.wait() == 1, said
            assert re.search(r"failed: .+; (free disk|check the disk|mount it).+, then run the same", said), said
            assert "Traceback" not in said
        assert_whole(root, shapes, config)
