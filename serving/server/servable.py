"""One loaded version of one model."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

# Registers the text operations that a SavedModel may hold; without it such a model does not load.
import tensorflow_text  # noqa: F401
from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.server.errors import StatusError, as_status_error, invalid
from serving.server.tensors import from_proto, to_proto, type_name
from serving.warmup import WARMUP_FILE, read_records

DEFAULT_SIGNATURE = "serving_default"
MOST_WARMUP_RECORDS = 1000


class Servable:
    """A SavedModel in memory, ready to answer; its memory is freed with the last request that holds it.

    Args:
        name: the name of the model.
        version: its version.
        folder: the folder that holds `saved_model.pb`.

    Raises:
        StatusError: the SavedModel cannot be read, or a warm-up request fails.

    """

    def __init__(self, name: str, version: int, folder: Path) -> None:
        self.name = name
        self.version = version
        try:
            self._model = tf.saved_model.load(str(folder))
            self.signature_defs = _signature_defs(folder)
            self.warmups = self._warm_up(folder / WARMUP_FILE)
        except StatusError:
            raise
        except Exception as error:
            raise as_status_error(error) from error

    def predict(
        self, inputs: Mapping[str, tf.Tensor], *, signature: str = "", wanted: Sequence[str] = ()
    ) -> dict[str, tf.Tensor]:
        """Run a signature and return its outputs by name, or only those that are wanted.

        Raises:
            StatusError: a signature, input or output that the model does not have, or an error of the model itself.

        """
        definition = self._definition(signature or DEFAULT_SIGNATURE)
        _check_inputs(definition, inputs)
        _check_wanted(definition, wanted)
        try:
            outputs = self._model.signatures[signature or DEFAULT_SIGNATURE](**inputs)
        except Exception as error:
            raise as_status_error(error) from error
        return {name: outputs[name] for name in wanted or outputs}

    def answer(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Answer a Predict request; raises as `predict` does."""
        signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
        _check_types(self._definition(signature), request.inputs)
        inputs = {name: from_proto(proto) for name, proto in request.inputs.items()}
        outputs = self.predict(inputs, signature=signature, wanted=request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = signature
        for name, tensor in outputs.items():
            response.outputs[name].CopyFrom(to_proto(tensor))
        return response

    def _definition(self, signature: str) -> meta_graph_pb2.SignatureDef:
        if signature not in self._model.signatures:
            raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.')
        return self.signature_defs[signature]

    def _warm_up(self, path: Path) -> int:
        """Play the recorded requests and return how many there were."""
        requests = _warmup_requests(path) if path.is_file() else []
        for request in requests:
            self.answer(request)
        return len(requests)


def _signature_defs(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    return dict(graph.signature_def)


def _warmup_requests(path: Path) -> list[predict_pb2.PredictRequest]:
    try:
        records = read_records(path)
    except ValueError as error:
        message = f"Failed to read warmup data, please verify your warmup data is in TFRecord format: {error}"
        raise StatusError(StatusCode.DATA_LOSS, message) from error
    if len(records) > MOST_WARMUP_RECORDS:
        raise invalid(f"Number of warmup records ({len(records)}) exceeds the maximum ({MOST_WARMUP_RECORDS})")
    return [_warmup_request(record) for record in records]


def _warmup_request(record: bytes) -> predict_pb2.PredictRequest:
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except Exception as error:
        raise invalid("Failed to parse warmup record: it is no PredictionLog") from error
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
    return log.predict_log.request


def _check_inputs(definition: meta_graph_pb2.SignatureDef, inputs: Mapping[str, object]) -> None:
    given, known = set(inputs), set(definition.inputs)
    if given != known:
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(known)} "
            f"len({_braced(given)}) != len({_braced(known)}). "
            f"Sent extra: {_braced(given - known)}. Missing but required: {_braced(known - given)}."
        )


def _check_types(definition: meta_graph_pb2.SignatureDef, inputs: Mapping[str, tensor_pb2.TensorProto]) -> None:
    _check_inputs(definition, inputs)
    for position, name in enumerate(sorted(inputs)):
        wanted, given = definition.inputs[name].dtype, inputs[name].dtype
        if given != wanted:
            raise invalid(f"Expects arg[{position}] to be {type_name(wanted)} but {type_name(given)} is provided")


def _check_wanted(definition: meta_graph_pb2.SignatureDef, wanted: Sequence[str]) -> None:
    for position, alias in enumerate(wanted):
        if alias not in definition.outputs:
            known = _braced(definition.outputs)
            raise invalid(f"output tensor alias not found in signature: {alias} Outputs expected to be in {known}.")
        if alias in wanted[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
