import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import fake_models
import numpy as np
import pytest

from serving.process import ServerProcess
from serving.validation import Verdict, validate
from serving.warmup import write_warmup

WHO = ("serving_default", {"who": np.array(["someone"], dtype=object)})


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = fake_models.counter(tmp_path_factory.mktemp("good") / "export")
    write_warmup(folder, "counter", [WHO] * 3)
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "saved_model.pb").write_bytes(b"half a file")
    write_warmup(folder, "counter", [WHO])
    return folder


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


@pytest.fixture(scope="module", autouse=True)
def verdict_on_broken(pool: ThreadPoolExecutor, good: Path, broken: Path) -> Future[Verdict]:
    """Begun before the other tests, since each start of a server takes a core for some seconds."""
    return pool.submit(validate, {"counter": good, "model": broken})


@pytest.fixture(scope="module", autouse=True)
def end_of_an_empty_server(
    pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Future[tuple[int, str]]:
    folder = tmp_path_factory.mktemp("empty")

    def start_and_stop() -> tuple[int, str]:
        with ServerProcess(folder) as process:
            return process.stop(), process.log()

    return pool.submit(start_and_stop)


def test_good_model_on_the_command_line(good: Path) -> None:
    command = [sys.executable, "-m", "serving.validation", str(good), "--name", "counter"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    verdict = json.loads(run.stdout)
    assert (run.returncode, verdict["ok"], verdict["requests"]) == (0, True, 3)
    assert verdict["reason"] == '"counter" answered 3 warm-up requests'
    assert verdict["median_ms"] > 0


def test_one_broken_model_is_enough(verdict_on_broken: Future[Verdict]) -> None:
    verdict = verdict_on_broken.result(120)
    assert not verdict.ok
    assert verdict.reason.startswith('"model" does not load: ')
    assert (verdict.requests, verdict.median_ms) == (0, 0.0)


def test_model_without_requests(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    assert validate({"model": tmp_path}).reason.endswith("write some with serving.warmup.write_warmup")
    assert "holds no saved_model.pb" in validate({"model": tmp_path / "nowhere"}).reason


def test_sigterm_ends_the_server_cleanly(end_of_an_empty_server: Future[tuple[int, str]]) -> None:
    code, log = end_of_an_empty_server.result(120)
    assert code == 0
    assert "no model yet: push one" in log
    assert log.strip().endswith("stopped")


def test_failed_start_is_told(tmp_path: Path) -> None:
    message = "the server ended with code 1: .*nowhere is no folder of models"
    with pytest.raises(RuntimeError, match=message), ServerProcess(tmp_path / "nowhere"):
        pass
