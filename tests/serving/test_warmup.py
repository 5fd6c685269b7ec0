import base64
import io
import json
from pathlib import Path

import fake_models
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.tensors import to_array
from serving.warmup import WARMUP_FILE, main, read_records, read_warmup, write_warmup


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    (tmp_path / "saved_model.pb").touch()
    return tmp_path


def test_tensorflow_reads_the_records(exported: Path) -> None:
    inputs = {"prompt": np.array(["a red circle"]), "seed": np.array([7])}
    path = write_warmup(exported, "text_to_image", [("serving_default", inputs), ("options", inputs)])
    assert path == exported / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [request.model_spec.signature_name for request in requests] == ["serving_default", "options"]
    assert requests[0].model_spec.name == "text_to_image"
    assert tf.make_ndarray(requests[0].inputs["prompt"]).tolist() == [b"a red circle"]
    assert tf.make_ndarray(requests[0].inputs["seed"]).tolist() == [7]


def test_reads_what_it_wrote(exported: Path) -> None:
    assert read_warmup(exported) == []
    write_warmup(exported, "m", [("a", {})] * 3)
    write_warmup(exported, "m", [("b", {"x": np.array([[1.5]], np.float32)})])
    (request,) = read_warmup(exported)
    assert request.model_spec.signature_name == "b"
    np.testing.assert_array_equal(to_array(request.inputs["x"]), [[1.5]])


def test_reads_what_tensorflow_wrote(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (b"", b"one", bytes(1000)):
            writer.write(record)
    assert list(read_records(path)) == [b"", b"one", bytes(1000)]


@pytest.mark.parametrize(("position", "message"), [(0, "no TFRecord begins at byte 0"), (14, "damaged at byte 0")])
def test_damage_is_found(exported: Path, position: int, message: str) -> None:
    path = write_warmup(exported, "m", [("a", {})])
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_warmup(exported)


def test_truncation_is_found(exported: Path) -> None:
    path = write_warmup(exported, "m", [("a", {})])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="damaged"):
        read_warmup(exported)


def test_needs_a_saved_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no saved_model\.pb"):
        write_warmup(tmp_path, "m", [])
    assert not (tmp_path / WARMUP_FILE).exists()


@pytest.fixture(scope="module")
def options_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_models.text_to_image(tmp_path_factory.mktemp("export") / "1")


def test_command_line_takes_the_types_from_the_signature(
    options_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoded = base64.b64encode(b"b").decode()
    inputs = {"prompt": ["a", {"b64": encoded}], "seed": [1, 2], "temperature": [1, 0.5], "expand": [True, False]}
    lines = [{"inputs": {"prompt": ["a"], "seed": [0]}}, {"signature_name": "options", "inputs": inputs}]
    lines[1]["inputs"]["refine"] = [True, True]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(json.dumps(line) for line in lines)))
    assert main([str(options_model), "--name", "text_to_image"]) == 0
    assert capsys.readouterr().out.startswith("2 requests in ")
    default, options = read_warmup(options_model)
    assert default.model_spec.signature_name == "serving_default"
    assert to_array(options.inputs["prompt"]).tolist() == [b"a", b"b"]
    assert {name: to_array(tensor).dtype.name for name, tensor in options.inputs.items()} == {
        "prompt": "object",
        "seed": "int64",
        "temperature": "float32",
        "expand": "bool",
        "refine": "bool",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"signature_name": "nope", "inputs": {}}', 'no signature "nope" in the model: choose one of'),
        ('{"inputs": {"prompt": []}}', "takes ['prompt', 'seed'], and ['prompt'] are given"),
        ("{", "Expecting property name"),
    ],
)
def test_command_line_refuses_in_one_sentence(
    options_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    message: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(line))
    assert main([str(options_model), "--name", "m"]) == 1
    assert message in capsys.readouterr().err
