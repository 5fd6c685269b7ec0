"""Warm-up records: the requests a server plays while it loads a model, so that the first user does not wait.

They lie in `assets.extra/tf_serving_warmup_requests` of a SavedModel, as a TFRecord file of PredictionLog messages;
TensorFlow Serving reads the same file.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.requests import TEMPERATURE

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")

Request = tuple[str, Mapping[str, np.ndarray]]


def write_warmup(saved_model_dir: Path, model_name: str, requests: Sequence[Request]) -> Path:
    """Write warm-up requests into an exported SavedModel, replacing any that are there, and return their file.

    Args:
        saved_model_dir: the folder that holds `saved_model.pb`.
        model_name: the name under which the model will be served.
        requests: pairs of a signature name and its inputs by name. Cover every signature and batch size that users
            send, because each costs a trace or an allocation at its first call.

    Raises:
        FileNotFoundError: no SavedModel in that folder.

    """
    if not (saved_model_dir / "saved_model.pb").is_file():
        raise FileNotFoundError(f"{saved_model_dir} holds no saved_model.pb: export the model first")
    path = saved_model_dir / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(_log(model_name, signature, inputs).SerializeToString())
    return path


def first_requests() -> dict[str, list[Request]]:
    """Return what the studio asks first of each model, so that nobody's first picture waits for a trace."""
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    prompt = {"prompt": np.array(["a red circle"], object), "seed": np.zeros(1, np.int64)}
    heated = prompt | {"temperature": np.full(1, TEMPERATURE, np.float32)}
    switches = {"expand": np.ones(1, bool), "refine": np.ones(1, bool)}
    finer = heated | switches | {"candidates": np.ones(1, np.int64), "scale": np.full(1, 4, np.int64)}
    other = {"to_prompt": prompt["prompt"], "to_seed": np.ones(1, np.int64), "share": np.full(1, 0.5, np.float32)}
    damaged = {"image_bytes": np.array([image.getvalue()], object), "noise_sigma": np.full(1, -1, np.float32)}
    return {
        "text_to_image": [
            ("facts", {"language": np.array(["en"], object)}),
            ("serving_default", prompt),
            ("options", heated | switches),
            ("scaled", finer),
            ("blend", finer | other),
        ],
        "language_model": [("serving_default", heated), ("continue_by", heated | {"length": np.ones(1, np.int32)})],
        "restorer": [("serving_default", damaged), ("inpaint", damaged | {"mask_bytes": damaged["image_bytes"]})],
    }


def read_warmup(saved_model_dir: Path) -> list[predict_pb2.PredictRequest]:
    """Return the Predict requests recorded in a SavedModel, in order; empty where there are none.

    Raises:
        ValueError: a file that is not a TFRecord.

    """
    path = saved_model_dir / WARMUP_FILE
    if not path.is_file():
        return []
    records = read_records(path)
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


def read_records(path: Path) -> list[bytes]:
    """Return the records of a TFRecord file.

    Raises:
        ValueError: a length or checksum that does not fit.

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
