"""TensorFlow Serving's gRPC services."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message
from grpc import StatusCode, aio
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis import model_management_pb2 as management_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from serving.server.errors import StatusError, invalid
from serving.server.predictor import Call, Predictor
from serving.server.repository import Repository, VersionState
from serving.server.servable import Servable

Response = TypeVar("Response", bound=Message)
Reload = Callable[[object], Awaitable[None]]


class _Service:
    async def _answer(self, context: aio.ServicerContext, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except StatusError as error:
            await context.abort(error.code, error.grpc_details)
            raise


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the methods for tf.Example are not implemented.

    Args:
        repository: finds the models.
        predictor: runs them.
        as_content: respond with tensor_content instead of the typed fields.

    """

    def __init__(self, repository: Repository, predictor: Predictor, *, as_content: bool = False) -> None:
        self._repository = repository
        self._predictor = predictor
        self._as_content = as_content

    async def Predict(self, request: PredictRequest, context: aio.ServicerContext) -> PredictResponse:
        """Run one signature of one model."""
        return await self._answer(context, self._predict(request, context.time_remaining()))

    async def GetModelMetadata(
        self, request: metadata_pb2.GetModelMetadataRequest, context: aio.ServicerContext
    ) -> metadata_pb2.GetModelMetadataResponse:
        """Return the inputs and outputs of a model's signatures."""
        return await self._answer(context, self._metadata(request))

    async def Classify(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "Classify")

    async def Regress(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "Regress")

    async def MultiInference(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "MultiInference")

    async def _predict(self, request: PredictRequest, seconds: float | None) -> PredictResponse:
        predictor = self._predictor
        with predictor.observed(Call("Predict", "GRPC")) as call:
            _check_spec(request)
            servable = find(self._repository, request.model_spec)
            call.found(servable)
            predictor.limits.check_sizes(request.inputs)
            signature, inputs = await predictor.convert(request.ByteSize(), servable.decode, request)
            call.found(servable, signature)
            call.inputs = inputs
            outputs = await predictor.predict(
                servable, signature, inputs, wanted=request.output_filter, seconds=seconds
            )
            size = sum(tensor.size for tensor in outputs.values())
            return await predictor.convert(size, servable.encode, signature, outputs, self._as_content)

    async def _metadata(self, request: metadata_pb2.GetModelMetadataRequest) -> metadata_pb2.GetModelMetadataResponse:
        with self._predictor.observed(Call("GetModelMetadata", "GRPC")) as call:
            _check_spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != "signature_def":
                    raise invalid(f"Metadata field {field} is not supported")
            servable = find(self._repository, request.model_spec)
            call.found(servable)
            return metadata_response(servable)


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus, and HandleReloadConfigRequest, which changes what is served.

    Args:
        repository: provides the states.
        reload: applies a ModelServerConfig, and returns when its models are loaded.

    """

    def __init__(self, repository: Repository, reload: Reload) -> None:
        self._repository = repository
        self._reload = reload

    async def GetModelStatus(
        self, request: status_pb2.GetModelStatusRequest, context: aio.ServicerContext
    ) -> status_pb2.GetModelStatusResponse:
        """Return the states of a model's versions."""
        return await self._answer(context, self._status(request))

    async def HandleReloadConfigRequest(
        self, request: management_pb2.ReloadConfigRequest, context: aio.ServicerContext
    ) -> management_pb2.ReloadConfigResponse:
        """Apply the configuration in the request."""
        return await self._answer(context, self._reloaded(request))

    async def _status(self, request: status_pb2.GetModelStatusRequest) -> status_pb2.GetModelStatusResponse:
        _check_spec(request)
        version = request.model_spec.version.value if request.model_spec.HasField("version") else None
        return status_response(self._repository.states(request.model_spec.name, version))

    async def _reloaded(self, request: management_pb2.ReloadConfigRequest) -> management_pb2.ReloadConfigResponse:
        await self._reload(request.config)
        response = management_pb2.ReloadConfigResponse()
        response.status.error_code = 0
        return response


def _check_spec(request: Message) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def find(repository: Repository, spec: ModelSpec) -> Servable:
    """Return the servable for a ModelSpec.

    Raises:
        StatusError: INVALID_ARGUMENT, no name or an unknown label; NOT_FOUND, the version is not served.

    """
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    chosen = spec.WhichOneof("version_choice")
    version = spec.version.value if chosen == "version" else None
    return repository.get(spec.name, version, spec.version_label if chosen == "version_label" else None)


def metadata_response(servable: Servable) -> metadata_pb2.GetModelMetadataResponse:
    """Return the signatures of a loaded model as a message."""
    response = metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    signatures = metadata_pb2.SignatureDefMap(signature_def=servable.signature_defs)
    response.metadata["signature_def"].Pack(signatures)
    return response


def status_response(states: list[VersionState]) -> status_pb2.GetModelStatusResponse:
    """Return the states of versions as a message."""
    response = status_pb2.GetModelStatusResponse()
    for each in states:
        entry = response.model_version_status.add(version=each.version, state=int(each.state))
        entry.status.error_code = each.error.number if each.error else 0
        entry.status.error_message = each.error.message if each.error else ""
    return response


async def _refuse(context: aio.ServicerContext, call: str) -> None:
    await context.abort(StatusCode.UNIMPLEMENTED, f"{call} is not served here; ask with Predict.")
