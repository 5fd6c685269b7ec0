"""What a running server does when the folder of models changes."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import fake_models
import numpy as np
import pytest
from asking import Ask

from serving.client import Client, ServingError
from serving.server.servable import _giving_way
from serving.warmup import WARMUP_FILE

X = {"x": np.array([2.0], np.float32)}


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def push(models: Path, made: Path, model: str, version: int) -> Path:
    """Move a finished export into place in one step, as a careful pusher does."""
    (models / model).mkdir(exist_ok=True)
    return made.rename(models / model / str(version))


def states(client: Client, model: str) -> list[tuple[int, str]]:
    try:
        return client.status(model)
    except ServingError as error:
        assert error.code == "NOT_FOUND"
        return []


class Asker(threading.Thread):
    """Ask without pause, and keep every answer and every error."""

    def __init__(self, client: Client, model: str, label: str = "") -> None:
        super().__init__(daemon=True)
        self.client, self.model, self.label = client, model, label
        self.answers: list[float] = []
        self.errors: list[ServingError] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self.answers.append(float(self.client.predict(self.model, X, label=self.label)["y"][0]))
            except ServingError as error:
                self.errors.append(error)


def test_version_swap_fails_no_request(client: Client, models: Path, tmp_path: Path) -> None:
    push(models, fake_models.half_plus(tmp_path / "one", 1.0), "swapped", 1)
    until(lambda: states(client, "swapped") == [(1, "AVAILABLE")])
    asker = Asker(client, "swapped")
    asker.start()
    push(models, fake_models.half_plus(tmp_path / "two", 2.0), "swapped", 2)
    until(lambda: states(client, "swapped") == [(2, "AVAILABLE"), (1, "END")])
    seen = len(asker.answers)
    until(lambda: len(asker.answers) > seen + 10)
    asker.stop.set()
    asker.join(30)
    assert asker.errors == []
    assert (asker.answers[0], asker.answers[-1]) == (2.0, 3.0)
    assert sorted(asker.answers) == asker.answers


def test_broken_version_leaves_the_old_one_until_it_is_mended(
    client: Client, models: Path, tmp_path: Path, ask: Ask
) -> None:
    push(models, fake_models.half_plus(tmp_path / "one", 1.0), "mended", 1)
    broken = tmp_path / "two"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"half a file")
    broken = push(models, broken, "mended", 2)
    until(lambda: states(client, "mended") == [(2, "END"), (1, "AVAILABLE")])
    assert client.predict("mended", X)["y"] == 2.0
    status = ask("/v1/models/mended/versions/2")[1]["model_version_status"][0]["status"]
    assert status["error_code"] != "OK"
    assert "saved_model.pb" in status["error_message"]
    whole = fake_models.half_plus(tmp_path / "three", 2.0)
    (whole / "variables").rename(broken / "variables")
    (whole / "saved_model.pb").rename(broken / "saved_model.pb")
    until(lambda: states(client, "mended") == [(2, "AVAILABLE"), (1, "END")])
    assert client.predict("mended", X)["y"] == 3.0


def test_removed_version_gives_way_to_the_one_before(client: Client, models: Path, tmp_path: Path) -> None:
    push(models, fake_models.half_plus(tmp_path / "one", 1.0), "rolled_back", 1)
    second = push(models, fake_models.half_plus(tmp_path / "two", 2.0), "rolled_back", 2)
    until(lambda: (2, "AVAILABLE") in states(client, "rolled_back"))
    second.rename(tmp_path / "away")
    until(lambda: (1, "AVAILABLE") in states(client, "rolled_back"))
    assert client.predict("rolled_back", X)["y"] == 2.0


def test_removed_model_is_no_longer_served(client: Client, models: Path, tmp_path: Path) -> None:
    push(models, fake_models.half_plus(tmp_path / "one", 1.0), "removed", 1)
    until(lambda: states(client, "removed") == [(1, "AVAILABLE")])
    (models / "removed").rename(tmp_path / "away")
    until(lambda: states(client, "removed") == [(1, "END")])
    with pytest.raises(ServingError, match=r"Latest\(removed\)"):
        client.predict("removed", X)


def test_warmup_is_played_before_a_version_answers(client: Client) -> None:
    calls = client.predict("counter", {"who": np.array(["first user"], dtype=object)})["calls"]
    assert calls.tolist() == [4]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no record at all", "verify your warmup data is in TFRecord format"), (None, "Missing but required")],
)
def test_bad_warmup_keeps_a_version_from_answering(
    client: Client, models: Path, tmp_path: Path, content: bytes | None, message: str
) -> None:
    made = fake_models.half_plus(tmp_path / "one", 1.0)
    (made / "assets.extra").mkdir()
    recorded = (models / "counter" / "1" / WARMUP_FILE).read_bytes()
    (made / WARMUP_FILE).write_bytes(content or recorded)
    name = f"badly_warmed_{content is None}"
    push(models, made, name, 1)
    until(lambda: states(client, name) == [(1, "END")])
    assert message in client.version_states(name)[0][2]


def test_folders_that_are_no_version_are_ignored(client: Client) -> None:
    assert client.status("half_plus_two") == [(124, "AVAILABLE")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
def test_a_later_version_is_warmed_at_a_low_priority() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert _giving_way(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == 10
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
