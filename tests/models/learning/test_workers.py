"""Two processes that share every batch learn what one learns, and what is left when one of them dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from curves import WITHIN, close, curve
from machines import free_port
from training_worker import STEPS

from models.learning.cluster import Cluster, cluster_of_tf_config
from models.learning.fit import backups
from models.learning.inputs import Batches
from models.learning.settings import ConfigError
from models.learning.workers import is_chief, new_strategy, shared_out, worker_count

WORKER = Path(__file__).with_name("training_worker.py")


def start(name: str, folder: Path, number: int = 0, ports: tuple[int, ...] = (), steps: int = STEPS) -> Any:
    """A worker, alone without ports."""
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    told = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})}
    return subprocess.Popen(
        [sys.executable, str(WORKER), name, str(folder), str(steps)],
        env=os.environ | (told if ports else {}) | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(name: str, folder: Path, steps: int = STEPS) -> list[Any]:
    ports = (free_port(), free_port())
    return [start(name, folder, number, ports, steps) for number in range(2)]


def ended(workers: list[Any], timeout: float = 500) -> list[str]:
    """What the workers printed, once they have ended well."""
    told = [worker.communicate(timeout=timeout) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(workers), told
    return [out for out, _ in told]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WITHIN)
def test_two_workers_learn_as_one_does(tmp_path: Path, name: str) -> None:
    (alone,) = ended([start(name, tmp_path / "one")])
    chief, other = ended(start_two(name, tmp_path / "two"))
    one, two = curve(tmp_path / "one/run"), curve(tmp_path / "two/run")
    assert set(one) == set(two) == set(WITHIN[name])
    for phase, within in WITHIN[name].items():
        close(one[phase], two[phase], within)
    assert json.loads(chief)["weights"] == pytest.approx(json.loads(alone)["weights"], rel=0.05)
    assert other == ""


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_dead_worker_ends_the_training_with_a_backup_to_go_on_from(tmp_path: Path) -> None:
    steps = 4000
    chief, other = start_two("restorer", tmp_path, steps)
    while not backups(tmp_path / "checkpoints/restorer"):
        assert chief.poll() is None and other.poll() is None
        time.sleep(0.1)
    other.send_signal(signal.SIGKILL)
    _, said = chief.communicate(timeout=120)
    other.communicate()
    assert chief.returncode == 1
    assert "A training worker is gone" in said
    reached = int(backups(tmp_path / "checkpoints/restorer")[0].name.partition("-")[0])
    steps_done = curve(tmp_path / "run")["restorer"][-1]["step"]
    assert 0 < steps_done < steps and reached * steps // 20 == steps_done
    ended(start_two("restorer", tmp_path, steps))
    assert curve(tmp_path / "run")["restorer"][reached]["step"] == (reached + 1) * steps // 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_that_see_different_backups_do_not_train(tmp_path: Path) -> None:
    ended([start("restorer", tmp_path / "chief")])
    ports = (free_port(), free_port())
    workers = [start("restorer", tmp_path / name, number, ports) for number, name in enumerate(("chief", "other"))]
    told = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [1, 1]
    assert "This worker would resume from epoch 20 and another one from a different epoch" in told[0]
    assert "This worker would resume from epoch 0 and another one from a different epoch" in told[1]


def test_without_tf_config_there_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster_of_tf_config() == Cluster()
    assert new_strategy().num_replicas_in_sync == worker_count() == 1
    assert is_chief()


CHIEF_AND_TWO = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


@pytest.mark.parametrize(
    ("config", "cluster"),
    [
        # As Kubeflow's TFJob has it, with a parameter server that takes no part.
        (
            {
                "cluster": CHIEF_AND_TWO | {"ps": ["d:1"]},
                "task": {"type": "worker", "index": 1},
                "environment": "cloud",
            },
            Cluster(("a:1", "b:1", "c:1"), 2),
        ),
        # As Vertex AI has it.
        (
            {"cluster": CHIEF_AND_TWO, "task": {"type": "chief", "index": 0, "trial": ""}, "job": "{}"},
            Cluster(("a:1", "b:1", "c:1"), 0),
        ),
        ({"cluster": {"worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}, Cluster(("b:1", "c:1"), 1)),
        ({"cluster": CHIEF_AND_TWO}, Cluster(("a:1", "b:1", "c:1"), 0)),
        ({"cluster": {}, "task": {"type": "chief", "index": 0}}, Cluster()),
    ],
)
def test_workers_are_those_of_tf_config(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], cluster: Cluster
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert cluster_of_tf_config() == cluster


def test_a_cluster_reads_itself_from_tf_config(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(("a:1", "b:1", "c:1"), 2)
    monkeypatch.setenv("TF_CONFIG", str(cluster))
    assert cluster_of_tf_config() == cluster


@pytest.mark.parametrize("value", ["{", "[]", '"x"', '{"cluster": {"worker": 3}}', '{"task": {"index": "first"}}'])
def test_a_tf_config_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(ConfigError, match="TF_CONFIG is not what TensorFlow reads"):
        cluster_of_tf_config()


@pytest.mark.parametrize("task", [{"type": "ps", "index": 0}, {"type": "worker", "index": 2}])
def test_a_machine_that_takes_no_part_is_refused(monkeypatch: pytest.MonkeyPatch, task: dict[str, object]) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CHIEF_AND_TWO, "task": task}))
    with pytest.raises(ConfigError, match="which is not among its chief and workers"):
        cluster_of_tf_config()


def batches(size: int) -> Batches:
    """Rows of two arrays, the second of which is shorter."""
    arrays = {"twice": tf.range(0, 48, 2), "first": tf.range(20)}
    return Batches(24, size, 0, lambda number, rows: {"rows": rows, "number": tf.fill([size], number)}, arrays)


def test_workers_share_each_batch_and_leave_nothing_out() -> None:
    contexts = [tf.distribute.InputContext(2, number, 2) for number in range(2)]
    shares = [list(shared_out(batches(8), context).take(6).as_numpy_iterator()) for context in contexts]
    for whole, *parts in zip(batches(8).dataset().take(6).as_numpy_iterator(), *shares, strict=True):
        np.testing.assert_array_equal(whole["twice"], 2 * whole["rows"])
        np.testing.assert_array_equal(whole["first"], np.minimum(whole["rows"], 19))
        for name, values in whole.items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), values)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size is 8, which 3 workers cannot share: give a multiple of 6"):
        shared_out(batches(8), tf.distribute.InputContext(3, 0, 3))
