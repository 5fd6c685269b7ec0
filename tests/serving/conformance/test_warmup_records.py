"""Cases I: the requests that a version plays before it answers."""

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from asking import predict_request, refusal, states
from launching import Server
from served_models import entry
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from test_versions_and_config import reload, reload_request, until

Warmed = Callable[[Sequence[bytes] | bytes], Path]
NUMBERS = itertools.count()


@pytest.fixture
def warmed(models: Path, tmp_path: Path) -> Warmed:
    """Makes a model that counts, with records to warm it."""

    def make(records: Sequence[bytes] | bytes) -> Path:
        folder = shutil.copytree(models / "counter" / "1", tmp_path / "counter" / "1")
        path = folder / "assets.extra" / "tf_serving_warmup_requests"
        path.parent.mkdir()
        if isinstance(records, bytes):
            path.write_bytes(records)
        else:
            with tf.io.TFRecordWriter(str(path)) as writer:
                for record in records:
                    writer.write(record)
        return tmp_path / "counter"

    return make


def predict_log() -> PredictionLog:
    log = PredictionLog()
    log.predict_log.request.CopyFrom(predict_request("counter", delta=[1.0]))
    return log


def on_examples(kind: str) -> PredictionLog:
    """One example for the signature that counts them."""
    log = PredictionLog()
    request = getattr(log, kind).request
    spec = request.tasks.add().model_spec if kind == "multi_inference_log" else request.model_spec
    spec.name, spec.signature_name = "counter", "of_examples"
    request.input.example_list.examples.add()
    return log


def count(server: Server, name: str) -> float:
    response = server.stubs.prediction.Predict(predict_request(name, delta=[0.0]), timeout=30)
    return float(response.outputs["output"].float_val[0])


def test_I01_no_records(reloading: Server, models: Path) -> None:
    reload(reloading, entry("cold", models / "counter"))
    assert count(reloading, "cold") == 0.0


def test_I03_every_kind_of_record_is_played(reloading: Server, warmed: Warmed) -> None:
    logs = [predict_log(), *map(on_examples, ("classify_log", "regress_log", "multi_inference_log"))]
    reload(reloading, entry("warm", warmed([log.SerializeToString() for log in logs])))
    assert count(reloading, "warm") == 4.0


@pytest.mark.parametrize(
    ("records", "message"),
    [
        pytest.param(b"no record at all", "verify your warmup data is in TFRecord format", id="I04"),
        pytest.param([predict_log().SerializeToString()] * 1001, "exceeds the maximum", id="I05"),
        pytest.param([b"\xff\xff"], "Failed to parse warmup record", id="I06"),
        pytest.param(
            [PredictionLog(session_run_log=prediction_log_pb2.SessionRunLog()).SerializeToString()],
            "Unsupported log_type for warmup",
            id="I07",
        ),
    ],
)
def test_records_that_keep_a_version_from_answering(
    reloading: Server, warmed: Warmed, records: Sequence[bytes] | bytes, message: str
) -> None:
    name = f"badly_warmed_{next(NUMBERS)}"
    request = reload_request(entry(name, warmed(records)))
    code, details = refusal(reloading.stubs.model.HandleReloadConfigRequest, request)
    assert code == grpc.StatusCode.UNKNOWN
    assert message in details
    until(lambda: states(reloading.stubs, name) == {1: "END"})


def test_I09_records_may_be_ignored(batching: Server) -> None:
    assert states(batching.stubs, "cold") == {1: "AVAILABLE"}
