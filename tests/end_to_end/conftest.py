"""The stages of one root, each made when a test first asks for it, in their order."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from easel_process import EASEL, RESTORER_STEPS, Stage, easel, run_stage, write_config

from serving.process import ServerProcess


@pytest.fixture(scope="session")
def whole_line(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The first run: 400 pictures, one of them damaged, in a root whose name some libraries take for a pattern."""
    folder = tmp_path_factory.mktemp("whole_line")
    made = easel("data", "shapes", "--out", folder / "shapes", "--count", 400, "--size", 32)
    assert made.returncode == 0, made.stderr
    (folder / "shapes/images/000007.png").write_bytes(b"not a picture")
    config = write_config(folder / "tiny.toml")
    return run_stage(folder / "工作 [v2]", folder / "shapes", "--config", config, "--json")


@pytest.fixture(scope="session")
def pushed(whole_line: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with what the first run pushed, which later runs do not change."""
    root = tmp_path_factory.mktemp("pushed")
    shutil.copytree(whole_line.root / "pushed", root / "pushed")
    return root


@pytest.fixture(scope="session")
def server(pushed: Path) -> Iterator[ServerProcess]:
    with ServerProcess(pushed / "pushed") as process:
        yield process


@pytest.fixture(scope="session")
def second_run(whole_line: Stage) -> Stage:
    """The same command once more, as a person reads it."""
    return whole_line.run("--config", whole_line.root.parent / "tiny.toml")


@pytest.fixture(scope="session")
def refused_run(second_run: Stage) -> Stage:
    """The same models held to an SSIM that they miss, while the root stands elsewhere."""
    config = write_config(second_run.root.parent / "strict.toml", restorer_ssim=0.99)
    moved = second_run.root.rename(second_run.root.parent / "moved")
    stage = run_stage(moved, second_run.data, "--config", config)
    return replace(stage, root=moved.rename(second_run.root))


@pytest.fixture(scope="session")
def killed_run(refused_run: Stage) -> list[str]:
    """A longer training of the restorer, killed in its middle; what it had said on the standard error."""
    config = write_config(refused_run.root.parent / "longer.toml", restorer_steps=RESTORER_STEPS)
    places = ["--data", str(refused_run.data), "--root", str(refused_run.root), "--config", str(config)]
    said: list[str] = []
    with subprocess.Popen([EASEL, "run", *places], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            said.append(line)
            if line.strip().startswith("restorer: step ") and len(restorer_steps(said)) == 3:
                run.kill()
                break
    return said


def restorer_steps(said: list[str]) -> list[int]:
    """The steps of the restorer that were told, in their order."""
    return [int(line.split()[2]) for line in said if line.strip().startswith("restorer: step ")]


@pytest.fixture(scope="session")
def resumed_run(refused_run: Stage, killed_run: list[str]) -> Stage:
    """The command that was killed, once more."""
    return refused_run.run("--config", refused_run.root.parent / "longer.toml", "--json")
