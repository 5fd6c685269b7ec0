"""Labels and rollbacks, by command, on a folder that a server watches."""

from collections.abc import Callable
from pathlib import Path

import fake_models
import numpy as np
import pytest
from test_versions import Asker, push, states, until
from typer.testing import CliRunner

from easel.models import app
from serving.client import Client, ServingError

X = {"x": np.array([2.0], np.float32)}


@pytest.fixture
def labelled(models: Path, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Three versions of a model, whose answers are their numbers plus one."""
    name = f"labelled_{len(list(models.iterdir()))}"
    for version in (1, 2, 3):
        push(models, fake_models.half_plus(tmp_path / str(version), float(version)), name, version)
    return name


@pytest.fixture
def command(models: Path) -> Callable[..., str]:
    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, [*words, "--models", str(models)])
        assert done.exit_code == int(fails), done.output
        return done.stderr if fails else done.stdout

    return run


def available(client: Client, model: str) -> set[int]:
    return {version for version, state in states(client, model) if state == "AVAILABLE"}


def answer_or_none(client: Client, model: str, label: str) -> float | None:
    try:
        return answer(client, model, label)
    except ServingError:
        return None


def answer(client: Client, model: str, label: str = "") -> float:
    return float(client.predict(model, X, label=label)["y"][0])


def test_labels_move_and_take_their_versions_along(client: Client, labelled: str, command: Callable[..., str]) -> None:
    until(lambda: available(client, labelled) == {3})
    assert "stable is 2; served: 2 3." in command("label", labelled, "stable", "2")
    until(lambda: available(client, labelled) == {2, 3})
    until(lambda: answer_or_none(client, labelled, "stable") == 3.0)
    assert answer(client, labelled) == 4.0
    command("label", labelled, "stable", "1")
    until(lambda: available(client, labelled) == {1, 3})
    until(lambda: answer_or_none(client, labelled, "stable") == 2.0)
    assert f"{labelled}: 1 2 3; served: 1 3; stable=1" in command("list")


def test_rollback_fails_no_request(client: Client, labelled: str, command: Callable[..., str]) -> None:
    until(lambda: available(client, labelled) == {3})
    asker = Asker(client, labelled)
    asker.start()
    until(lambda: asker.answers[-1:] == [4.0])
    assert "2 is served" in command("rollback", labelled)
    until(lambda: asker.answers[-1:] == [3.0])
    assert available(client, labelled) == {2}
    assert "1 is served" in command("rollback", labelled, "--to", "1")
    until(lambda: asker.answers[-1:] == [2.0])
    assert available(client, labelled) == {1}
    assert "3 is served, and newer versions" in command("follow", labelled)
    until(lambda: asker.answers[-1:] == [4.0])
    asker.stop.set()
    asker.join(30)
    assert asker.errors == []


def test_rollback_brings_newer_labels_along(client: Client, labelled: str, command: Callable[..., str]) -> None:
    until(lambda: available(client, labelled) == {3})
    command("label", labelled, "canary", "3")
    until(lambda: answer_or_none(client, labelled, "canary") == 4.0)
    command("rollback", labelled)
    until(lambda: available(client, labelled) == {2})
    assert answer(client, labelled) == answer(client, labelled, "canary") == 3.0


def test_a_label_fails_no_request_while_its_version_loads(
    client: Client, labelled: str, models: Path, command: Callable[..., str]
) -> None:
    until(lambda: available(client, labelled) == {3})
    command("label", labelled, "stable", "3")
    until(lambda: answer_or_none(client, labelled, "stable") == 4.0)
    asker = Asker(client, labelled, "stable")
    asker.start()
    command("label", labelled, "stable", "1")
    until(lambda: asker.answers[-1:] == [2.0])
    (models / labelled / "2" / "saved_model.pb").write_bytes(b"half a file")
    command("label", labelled, "stable", "2")
    until(lambda: (2, "END") in states(client, labelled))
    seen = len(asker.answers)
    until(lambda: len(asker.answers) > seen + 10)
    asker.stop.set()
    asker.join(30)
    assert asker.errors == []
    assert (asker.answers[0], asker.answers[-1]) == (4.0, 2.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("label", "nope", "stable", "1"), "has no version of nope"),
        (("label", "half_plus_two", "stable", "7"), "half_plus_two has no version 7"),
        (("rollback", "echo"), "echo 1 is the oldest version"),
    ],
    ids=["model", "version", "oldest"],
)
def test_what_is_not_there_is_told(command: Callable[..., str], words: tuple[str, ...], message: str) -> None:
    assert message in command(*words, fails=True)
