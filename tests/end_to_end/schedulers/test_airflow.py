"""The DAG by Airflow's own `dag.test()`, with the real `easel`; `make test-airflow` installs Airflow and runs this."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from easel_process import EASEL, easel, versions, write_config
from PIL import Image

HERE = Path(__file__).parent
AIRFLOW = HERE / ".venv" / "bin"
DAGS = Path(__file__).parents[3] / "tfx_pipeline" / "deploy"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(not AIRFLOW.exists(), reason="`make test-airflow` installs Airflow"),
]


@dataclass(frozen=True)
class Scheduler:
    """Airflow in a home of its own."""

    home: Path

    def airflow(self, *command: object) -> subprocess.CompletedProcess[str]:
        settings = {"CORE__DAGS_FOLDER": DAGS, "CORE__LOAD_EXAMPLES": False}
        own = {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}
        env = {**os.environ, **own, "AIRFLOW_HOME": str(self.home), "PYTHONPATH": str(DAGS)}
        return subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, timeout=2000, check=False)

    def run(self, data: Path, root: Path, options: str = "") -> tuple[dict[str, Any], str]:
        """Each task's state and tries of one run, and the log."""
        told = self.home / "tasks.json"
        told.unlink(missing_ok=True)
        conf = {"easel": EASEL, "data": str(data), "root": str(root), "options": options}
        done = self.airflow(AIRFLOW / "python", HERE / "run_dag.py", told, json.dumps(conf))
        assert told.exists(), done.stdout + done.stderr
        return json.loads(told.read_text(encoding="utf-8")), done.stdout + done.stderr


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Scheduler:
    scheduler = Scheduler(tmp_path_factory.mktemp("airflow"))
    done = scheduler.airflow(AIRFLOW / "airflow", "db", "migrate")
    assert done.returncode == 0, done.stderr
    return scheduler


def add_span(data: Path, number: int, *, seed: int, dark: bool = False) -> None:
    span = data / f"span-{number:04}"
    assert easel("data", "shapes", "--out", span, "--count", 400, "--seed", seed).returncode == 0
    for file in (span / "images").iterdir() if dark else ():
        with Image.open(file) as picture:
            darker = picture.point(lambda value: value // 4)
        darker.save(file)


def test_spans_are_trained_on_as_they_arrive(scheduler: Scheduler, tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    data.mkdir()
    assert scheduler.run(data, root)[0] == {"new_span": ["skipped", 1], "run": ["skipped", 0]}
    add_span(data, 1, seed=1)
    plain = f"--config {write_config(tmp_path / 'plain.toml')}"
    tasks, log = scheduler.run(data, root, plain)
    assert tasks == {"new_span": ["success", 1], "run": ["success", 1]}, log
    pushed = versions(root)
    assert len(pushed["text_to_image"]) == 1
    assert scheduler.run(data, root, plain)[0] == {"new_span": ["skipped", 1], "run": ["skipped", 0]}

    add_span(data, 2, seed=9, dark=True)
    careful = f"--config {write_config(tmp_path / 'careful.toml', on_drift='stop')}"
    tasks, log = scheduler.run(data, root, careful)
    assert tasks == {"new_span": ["success", 1], "run": ["failed", 1]}
    assert "The data have drifted: " in log

    # Somebody takes the dark span away. The models are the same, so nothing trains, but the thresholds are higher.
    shutil.rmtree(data / "span-0002")
    strict = f"--config {write_config(tmp_path / 'strict.toml', restorer_ssim=0.99)}"
    tasks, log = scheduler.run(data, root, strict)
    assert tasks == {"new_span": ["success", 1], "run": ["skipped", 1]}
    assert "not blessed: " in log
    assert versions(root) == pushed


@pytest.mark.parametrize(
    ("options", "state", "said"),
    [("", ["failed", 2], "metadata.jsonl"), ("--profile huge", ["failed", 1], "huge")],
    ids=["failure", "wrong use"],
)
def test_only_a_failure_is_retried(
    scheduler: Scheduler, tmp_path: Path, options: str, state: list[Any], said: str
) -> None:
    (tmp_path / "data/span-0001").mkdir(parents=True)
    tasks, log = scheduler.run(tmp_path / "data", tmp_path / "root", options)
    assert tasks == {"new_span": ["success", 1], "run": state}, log
    assert said in log


def test_a_folder_that_is_not_there_is_not_waited_for(scheduler: Scheduler, tmp_path: Path) -> None:
    tasks, log = scheduler.run(tmp_path / "nowhere", tmp_path / "root")
    assert tasks == {"new_span": ["failed", 1], "run": ["upstream_failed", 0]}, log
