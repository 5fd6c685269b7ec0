"""Servers that read their models from S3, alone and as a pair behind HAProxy, by the commands of the how-to page."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import fake_models
import grpc
import numpy as np
import pytest
import tensorflow as tf
from buckets import BUCKET, environment, s3
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from test_versions import until

from serving.client import Client, ServingError
from serving.process import ServerProcess
from serving.store import Store

pytest.importorskip("s3fs", reason="Install s3fs: make install-dev")
pytest.importorskip("moto", reason="Install moto: make install-dev")

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/how-to/bucket.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r'^```sh title="(\w+)"\n(.*?)\n```$', PAGE, re.MULTILINE | re.DOTALL))
ADDRESS = f"s3://{BUCKET}/models"
MODEL, OLD, NEW = "text_to_image", 1732000000, 1732000001
PORTS = {"one": 8511, "two": 8512, "balancer": 8500}
A_SECOND = 50


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with s3() as found:
        added = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with environment({**found, **added, "PATH": path, "PYTHONPATH": str(REPOSITORY)}):
            yield found


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two versions of a model, of which 2 makes 2 and 3."""
    folder = tmp_path_factory.mktemp("made")
    return {OLD: fake_models.half_plus(folder / "old", 1.0), NEW: fake_models.half_plus(folder / "new", 2.0)}


def answer(client: Client, label: str = "") -> float | None:
    try:
        return float(client.predict(MODEL, {"x": np.array([2.0], np.float32)}, label=label)["y"][0])
    except ServingError:
        return None


def shell(name: str) -> str:
    """Run a command of the page and return what it says."""
    done = subprocess.run(["bash", "-c", COMMANDS[name]], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_server_follows_a_bucket(cloud: Mapping[str, str], saved_models: dict[int, Path]) -> None:
    address = f"{ADDRESS}-followed"
    store = Store(address)
    store.publish(saved_models[OLD], MODEL, OLD)
    store._files.put(str(saved_models[NEW] / "saved_model.pb"), store._path(MODEL, NEW, "saved_model.pb"))
    with ServerProcess(address, poll_seconds=0.2) as server, Client(server.grpc_address) as client:
        time.sleep(1)
        assert client.status(MODEL) == [(OLD, "AVAILABLE")]
        store.publish(saved_models[NEW], MODEL, NEW)
        until(lambda: answer(client) == 3.0)
        nowhere = environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
        with nowhere, ServerProcess(address) as without, Client(without.grpc_address) as other:
            assert "Serving the models downloaded earlier." in without.log()
            assert answer(other) == 3.0


class Load(threading.Thread):
    """Ask the balancer so many times a second, one by each label in turn; no request is tried again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.labels = ["", "", "", "", ""]
        self.answers: Counter[tuple[str, float]] = Counter()
        self.failures: list[str] = []
        self.stop = threading.Event()
        self.sent = 0

    def run(self) -> None:
        target, options = f"127.0.0.1:{PORTS['balancer']}", [("grpc.enable_retries", 0)]
        with grpc.insecure_channel(target, options=options) as channel, ThreadPoolExecutor(64) as pool:
            ask = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            began = time.monotonic()
            while not self.stop.wait(max(0.0, began + self.sent / A_SECOND - time.monotonic())):
                pool.submit(self.one, ask, self.labels[self.sent % len(self.labels)])
                self.sent += 1

    def one(self, ask: Any, label: str) -> None:
        request = PredictRequest()
        request.model_spec.name = MODEL
        if label:
            request.model_spec.version_label = label
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([2.0]))
        try:
            self.answers[label, ask(request, timeout=60).outputs["y"].float_val[0]] += 1
        except Exception as error:
            self.failures.append(f"{label}: {error!r}")


@contextmanager
def running(name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the page that stays."""
    log, command = folder / f"{name}.log", f"exec env {COMMANDS[name]}"
    bash = ["bash", "-c", command]
    with log.open("ab") as out, subprocess.Popen(bash, cwd=REPOSITORY, stdout=out, stderr=out) as process:
        try:
            wait_for(PORTS[name], process, log)
            yield process
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(log.read_text(encoding="utf-8"))


def is_served(name: str, expected: float, label: str = "") -> bool:
    with Client(f"127.0.0.1:{PORTS[name]}") as client:
        return answer(client, label) == expected


def settled(load: Load, label: str, expected: float) -> bool:
    """Whether the balancer's answers to a label have become those of a version, a hundred times in a row."""
    before = load.answers.copy()
    until(lambda: sum((load.answers - before).values()) > 100, seconds=120)
    return {value for (asked, value) in load.answers - before if asked == label} == {expected}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="Install HAProxy: make packages")
def test_a_rolling_restart_and_a_canary_fail_no_request(
    cloud: Mapping[str, str], saved_models: dict[int, Path], tmp_path: Path
) -> None:
    store = Store(ADDRESS)
    store.publish(saved_models[OLD], MODEL, OLD)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(name, tmp_path)) for name in ("one", "two")}
        stack.enter_context(running("balancer", tmp_path))
        for name in PORTS:
            until(partial(is_served, name, 2.0), seconds=120)
        load = Load()
        load.start()
        for name in ("one", "two"):
            servers[name].send_signal(signal.SIGTERM)
            assert servers[name].wait(120) == 0
            servers[name] = stack.enter_context(running(name, tmp_path))
            until(partial(is_served, name, 2.0), seconds=120)
            time.sleep(5)  # The balancer's health checks must have seen it too.
        assert (set(load.answers), load.failures) == ({("", 2.0)}, [])

        shell("stable")
        until(lambda: is_served("one", 2.0, "stable") and is_served("two", 2.0, "stable"), seconds=120)
        load.labels = ["stable"] * 5
        time.sleep(1)
        store.publish(saved_models[NEW], MODEL, NEW)
        shell("canary")
        until(lambda: is_served("one", 3.0, "canary") and is_served("two", 3.0, "canary"), seconds=120)
        load.labels[0] = "canary"
        until(lambda: settled(load, "canary", 3.0), seconds=120)
        assert set(load.answers) == {("", 2.0), ("stable", 2.0), ("canary", 3.0)}
        shell("promote")
        until(lambda: settled(load, "stable", 3.0), seconds=120)
        load.stop.set()
        load.join(120)
    assert load.failures == []
    assert sum(load.answers.values()) == load.sent
    print(f"{load.sent} requests, {dict(load.answers)}")
