from collections.abc import Callable
from pathlib import Path

import fake_models
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.warmup import WARMUP_FILE, example_requests, read_records, read_warmup, write_warmup

Make = Callable[[Path], Path]


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
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["x"]), [[1.5]])


def test_reads_what_tensorflow_wrote(tmp_path: Path) -> None:
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (b"", b"one", bytes(1000)):
            writer.write(record)
    assert list(read_records(path)) == [b"", b"one", bytes(1000)]


@pytest.mark.parametrize("position", [0, 14])
def test_damage_is_found(exported: Path, position: int) -> None:
    path = write_warmup(exported, "m", [("a", {})])
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
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


@pytest.mark.parametrize(
    ("make", "signatures"),
    [
        (fake_models.text_to_image, {"serving_default", "draw", "options", "candidates", "scaled", "blend", "facts"}),
        (fake_models.language_model, {"serving_default", "continue_by", "embed"}),
    ],
)
def test_there_are_examples_of_every_signature(make: Make, signatures: set[str], tmp_path: Path) -> None:
    model = make(tmp_path / "model")
    requests = example_requests(model, batches=(1, 3))
    assert {name for name, _ in requests} == signatures and len(requests) == 2 * len(signatures)
    functions = tf.saved_model.load(str(model)).signatures
    for name, inputs in requests:
        _, taken = functions[name].structured_input_signature
        assert {key: spec.dtype for key, spec in taken.items()} == {
            key: tf.as_dtype(array.dtype) if array.dtype != object else tf.string for key, array in inputs.items()
        }
        assert {array.shape for array in inputs.values()} in ({(1,)}, {(3,)})


def test_examples_speak_both_languages(tmp_path: Path) -> None:
    (inputs, *_) = (inputs for _, inputs in example_requests(fake_models.language_model(tmp_path / "model"), (2,)))
    assert {prompt.isascii() for prompt in inputs["prompt"]} == {True, False}


def test_an_input_without_an_example_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='there is no example of the input "who": add one to EXAMPLES'):
        example_requests(fake_models.counter(tmp_path / "model"))
