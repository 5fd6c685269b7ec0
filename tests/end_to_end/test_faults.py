"""A run that is killed in one component after the other; slow, since each takes a start of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
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

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def kill_in(component: str, command: list[str]) -> None:
    """Start a run, and kill it with everything that it started once a component is under way."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.split()[-1:] == [component] and line.startswith("["):
                time.sleep(0.3)
                os.killpg(run.pid, signal.SIGKILL)
                return
        pytest.fail(f"the run came to its end without {component}")


def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    assert easel("data", "shapes", "--out", tmp_path / "shapes", "--count", 400).returncode == 0
    config, root = write_config(tmp_path / "tiny.toml"), tmp_path / "root"
    for component in COMPONENTS:
        kill_in(
            component, [EASEL, "run", *map(str, ("--data", tmp_path / "shapes", "--root", root, "--config", config))]
        )
        for found in root.glob("pushed/*/[0-9]*"):
            assert (found / "assets.extra/model_card.json").is_file()
    stage = run_stage(root, tmp_path / "shapes", "--config", config)
    assert stage.done.returncode == 0, stage.done.stderr
    assert {name: len(found) for name, found in versions(root).items()} == dict.fromkeys(MODELS, 1)
    with ServerProcess(root / "pushed") as server, Client(server.grpc_address) as client:
        assert client.generate("a red circle", seed=1)[0].png
