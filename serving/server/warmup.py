"""The warm-up requests that a version runs before it is served."""

from collections.abc import Iterator
from pathlib import Path

from grpc import StatusCode
from tensorflow_serving.apis import input_pb2, prediction_log_pb2
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.server.errors import StatusError, invalid
from serving.server.signatures import DEFAULT_SIGNATURE, Signatures, definition_of
from serving.server.tensors import to_proto
from serving.tensors import strings
from serving.warmup import WARMUP_FILE, read_records

MOST_RECORDS = 1000


def warmup_requests(folder: Path, signatures: Signatures) -> list[PredictRequest]:
    """Return the warm-up requests of a SavedModel; those for tf.Example are converted to Predict requests.

    Raises:
        StatusError: there are too many records, or one cannot be read or has an unsupported kind.

    """
    path = folder / WARMUP_FILE
    if not path.is_file():
        return []
    try:
        records = read_records(path)
    except ValueError as error:
        message = f"{error}. Please verify your warmup data is in TFRecord format."
        raise StatusError(StatusCode.DATA_LOSS, message) from error
    if len(records) > MOST_RECORDS:
        raise invalid(f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {path}")
    return [request for record in records for request in _requests(_log(record, path), signatures)]


def _log(record: bytes, path: Path) -> prediction_log_pb2.PredictionLog:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except Exception as error:
        raise invalid(f"Failed to parse warmup record: {record[:64]!r} from {path}") from error


def _requests(log: prediction_log_pb2.PredictionLog, signatures: Signatures) -> Iterator[PredictRequest]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        yield log.predict_log.request
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        yield _on_examples(request.model_spec, request.input, signatures)
    elif kind == "multi_inference_log":
        request = log.multi_inference_log.request
        for task in request.tasks:
            yield _on_examples(task.model_spec, request.input, signatures)
    else:
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")


def _on_examples(spec: ModelSpec, given: input_pb2.Input, signatures: Signatures) -> PredictRequest:
    """Return the request that passes serialized examples to the only input of a signature."""
    request = PredictRequest(model_spec=spec)
    definition = definition_of(signatures, spec.signature_name or DEFAULT_SIGNATURE)
    examples = given.example_list.examples or given.example_list_with_context.examples
    serialized = strings([example.SerializeToString() for example in examples])
    for name in definition.inputs:
        request.inputs[name].CopyFrom(to_proto(serialized))
    return request
