"""One server process for all tests, over a folder of models to which tests may add their own."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fake_models
import grpc
import numpy as np
import pytest
from asking import Ask, Stubs, send
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.client import Client
from serving.process import ServerProcess
from serving.warmup import write_warmup


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pushed")
    fake_models.half_plus(root / "half_plus_two" / "00000123", 2.0)
    fake_models.half_plus(root / "half_plus_two" / "124", 3.0)
    (root / "half_plus_two" / "notes").mkdir()
    for make in (fake_models.echo, fake_models.counter, fake_models.text_to_image):
        make(root / make.__name__ / "1")
    fake_models.restorer(root / "restorer" / "1")
    fake_models.language_model(root / "language_model" / "1732000000")
    who = np.array(["warm", "up"], dtype=object)
    write_warmup(root / "counter" / "1", "counter", [("serving_default", {"who": who})] * 3)
    return root


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[ServerProcess]:
    with ServerProcess(models, poll_seconds=0.1, flags=["--studio_port=-1"]) as process:
        yield process


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.grpc_address, timeout=30.0) as connection:
        yield connection


@pytest.fixture(scope="session")
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield Stubs(
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


@pytest.fixture(scope="session")
def ask(server: ServerProcess) -> Ask:
    return partial(send, server.rest_address)
