"""Warm-up records: requests that a server runs while it loads a model, so that the first users do not wait.

They are stored in `assets.extra/tf_serving_warmup_requests` of a SavedModel, as a TFRecord file of PredictionLog
messages, which TensorFlow Serving reads, too.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from models.options import OPTIONS

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")

Request = tuple[str, Mapping[str, np.ndarray]]


def _png(grey: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (grey, grey, grey)).save(out, "PNG")
    return out.getvalue()


TEXTS = np.array([b"a red circle", "今天的天气很好".encode()], object)
EXAMPLES: Mapping[str, np.ndarray] = {
    **{
        name: np.array([option.default], option.dtype) for name, option in OPTIONS.items() if option.default is not None
    },
    "prompt": TEXTS,
    "caption": TEXTS,
    "language": np.array([b"en", b"zh"], object),
    "seed": np.arange(64),
    "length": np.array([4], np.int32),
    "scale": np.array([4]),
    "to_prompt": TEXTS[::-1],
    "to_seed": np.arange(64),
    "share": np.array([0.5], np.float32),
    "image_bytes": np.array([_png(128)], object),
    "mask_bytes": np.array([_png(0)], object),
    "noise_sigma": np.array([-1], np.float32),
    "blur_sigma": np.array([1], np.float32),
}
"""Example values by the name of the input."""


def write_warmup(saved_model_dir: Path, model_name: str, requests: Sequence[Request]) -> Path:
    """Write warm-up requests into an exported SavedModel, replacing any that are there, and return their file.

    Args:
        saved_model_dir: the folder that holds `saved_model.pb`.
        model_name: the name under which the model will be served.
        requests: pairs of a signature name and its inputs by name. They should cover every signature and batch size
            that users send, because each is traced or allocated at its first call.

    Raises:
        FileNotFoundError: there is no SavedModel in that folder.

    """
    if not (saved_model_dir / "saved_model.pb").is_file():
        raise FileNotFoundError(f"{saved_model_dir} holds no saved_model.pb: export the model first")
    path = saved_model_dir / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(_log(model_name, signature, inputs).SerializeToString())
    return path


def example_requests(saved_model_dir: Path, batches: Sequence[int] = (1,)) -> list[Request]:
    """Return a request of each size for each signature of an exported SavedModel.

    Args:
        saved_model_dir: the folder that holds `saved_model.pb`.
        batches: rows of the requests.

    Raises:
        ValueError: there is no example of an input of a signature.

    """
    signatures = signatures_of(saved_model_dir)
    return [
        (signature, {name: _example(name, rows) for name in inputs})
        for rows in batches
        for signature, inputs in signatures.items()
    ]


def signatures_of(saved_model_dir: Path) -> dict[str, list[str]]:
    """Return the names of a SavedModel's signatures and of their inputs."""
    content = (saved_model_dir / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    inputs_by_signature = {name: sorted(signature.inputs) for name, signature in sorted(graph.signature_def.items())}
    return {name: inputs for name, inputs in inputs_by_signature.items() if inputs}


def _example(name: str, rows: int) -> np.ndarray:
    if name not in EXAMPLES:
        raise ValueError(f'there is no example of the input "{name}": add one to EXAMPLES in {__name__}')
    return np.resize(EXAMPLES[name], rows)


def read_warmup(saved_model_dir: Path) -> list[predict_pb2.PredictRequest]:
    """Return the Predict requests recorded in a SavedModel, in order; empty if there are none.

    Raises:
        ValueError: the file is not a TFRecord file.

    """
    path = saved_model_dir / WARMUP_FILE
    if not path.is_file():
        return []
    records = read_records(path)
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def read_records(path: Path) -> list[bytes]:
    """Return the records of a TFRecord file.

    Raises:
        ValueError: a length or checksum is wrong.

    """
    try:
        return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    except tf.errors.DataLossError as error:
        raise ValueError(f"{path.name} is damaged: {error.message}") from error


def _log(model_name: str, signature: str, inputs: Mapping[str, np.ndarray]) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
