"""A run and a worker, as the how-to page has them, each a process of its own on this machine."""

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from curves import WITHIN, close, curve
from easel_process import EASEL, MODELS, easel, versions
from machines import free_port

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/how-to/machines.md"
TINY = REPOSITORY / "tests/tfx_pipeline/tiny.toml"
STEPS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Machines:
    """A folder that two machines see, and their addresses."""

    folder: Path
    addresses: tuple[str, str]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def command(self, pattern: str, *more: object) -> list[str]:
        """The command of the page that begins so, with the places and addresses of these machines."""
        (line,) = re.findall(rf"^{pattern}.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        chief, worker = self.addresses
        here = {"/mnt/easel": str(self.folder), "10.0.0.2:7000": worker, "10.0.0.1:7000": chief}
        assert all(written in line for written in list(here)[:2])
        for written, place in here.items():
            line = line.replace(written, place)
        return [EASEL, *shlex.split(line)[1:], *map(str, more)]

    def worker(self) -> AbstractContextManager[subprocess.Popen[str]]:
        """The worker, to the end of the context."""
        return process(self.command("easel worker"), stderr=subprocess.STDOUT)

    def run(self, config: Path) -> subprocess.CompletedProcess[str]:
        """The run, to its end."""
        command = self.command("easel run .*--workers", "--config", config)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)


@contextmanager
def process(command: list[str], *, stderr: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end of the context, if it still runs."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Machines:
    folder = tmp_path_factory.mktemp("mnt")
    assert easel("data", "shapes", "--out", folder / "data", "--count", 400, "--size", 32).returncode == 0
    return Machines(folder, (f"localhost:{free_port()}", f"localhost:{free_port()}"))


@pytest.fixture(scope="module")
def longer(machines: Machines) -> Path:
    """Settings with which the restorer alone trains anew, for long enough to be interrupted."""
    file = machines.folder / "longer.toml"
    settings = TINY.read_text(encoding="utf-8")
    file.write_text(settings.replace("depth = 1\nsteps = 20", f"depth = 1\nsteps = {STEPS}"), encoding="utf-8")
    return file


def learned(root: Path, model: str) -> dict[str, list[dict[str, float]]]:
    """The losses of a model's training."""
    (logs,) = root.glob(f"pipeline/Trainer.{model}/model_run/*")
    return curve(logs)


def test_two_machines_train_as_one_does(machines: Machines) -> None:
    alone = machines.folder / "alone"
    done = easel("run", "--data", machines.folder / "data", "--root", alone, "--config", TINY)
    assert done.returncode == 0, done.stderr
    with machines.worker() as worker:
        done = machines.run(TINY)
        assert done.returncode == 0, done.stderr
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
    for model, phases in WITHIN.items():
        one, two = learned(alone, model), learned(machines.root, model)
        for phase, within in phases.items():
            close(one[phase], two[phase], within)
        assert f"{model}: training with {machines.addresses[0]}\n{model}: ended\n" in said
    assert {name: len(found) for name, found in versions(machines.root).items()} == dict.fromkeys(MODELS, 1)


def test_a_dead_worker_ends_the_run_and_the_same_command_resumes_it(machines: Machines, longer: Path) -> None:
    command = machines.command("easel run .*--workers", "--config", longer)
    with machines.worker() as worker, process(command, stderr=subprocess.PIPE) as running:
        while not list(machines.root.glob("checkpoints/restorer/*/restorer/[0-9]*")):
            assert running.poll() is None
            time.sleep(0.1)
        worker.kill()
        _, said = running.communicate(timeout=300)
    assert running.returncode == 1
    assert said.splitlines()[-1].startswith("Trainer.restorer stopped: A training worker is gone")
    assert "Traceback" not in said
    with machines.worker():
        done = machines.run(longer)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"restorer: resumed at step \d+ of {STEPS}", done.stderr)
    assert "trained restorer;" in done.stdout
