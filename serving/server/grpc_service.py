"""TensorFlow Serving's gRPC services over a repository."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from google.protobuf.message import Message
from grpc import StatusCode, aio
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse

from serving.server.errors import StatusError, invalid
from serving.server.repository import Repository, VersionState
from serving.server.servable import Servable

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# Pictures pass the default limit of 4 MB; and a port in use should be an error, not shared in silence.
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


def build(repository: Repository, workers: Executor) -> aio.Server:
    """Return a gRPC server with both services; models run in the workers, so the event loop stays free."""
    server = aio.server(options=OPTIONS)
    prediction = PredictionService(repository, workers)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(repository, workers), server)
    return server


class _Service:
    def __init__(self, repository: Repository, workers: Executor) -> None:
        self._repository = repository
        self._workers = workers

    async def _run(
        self, answer: Callable[[Request], Response], request: Request, context: aio.ServicerContext
    ) -> Response:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, answer, request)
        except StatusError as error:
            await context.abort(error.code, error.grpc_details)
            raise


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the calls on tf.Example are not part of this server."""

    async def Predict(self, request: PredictRequest, context: aio.ServicerContext) -> PredictResponse:
        """Run one signature of one model."""
        return await self._run(self._predict, request, context)

    async def GetModelMetadata(
        self, request: metadata_pb2.GetModelMetadataRequest, context: aio.ServicerContext
    ) -> metadata_pb2.GetModelMetadataResponse:
        """Tell what the signatures of a model take and give."""
        return await self._run(self._metadata, request, context)

    async def Classify(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "Classify")

    async def Regress(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "Regress")

    async def MultiInference(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "MultiInference")

    def _predict(self, request: PredictRequest) -> PredictResponse:
        return self._repository.get(*_asked(request.model_spec)).answer(request)

    def _metadata(self, request: metadata_pb2.GetModelMetadataRequest) -> metadata_pb2.GetModelMetadataResponse:
        name, version = _asked(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            given = ", ".join(request.metadata_field) or "none"
            raise invalid(f"GetModelMetadata answers metadata_field signature_def, and {given} was asked for.")
        return metadata_response(self._repository.get(name, version))


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; which models are served is the folder's say, so no reload by request."""

    async def GetModelStatus(
        self, request: status_pb2.GetModelStatusRequest, context: aio.ServicerContext
    ) -> status_pb2.GetModelStatusResponse:
        """Tell the states of a model's versions."""
        return await self._run(self._status, request, context)

    async def HandleReloadConfigRequest(self, request: Message, context: aio.ServicerContext) -> None:
        """Refuse."""
        await _refuse(context, "HandleReloadConfigRequest")

    def _status(self, request: status_pb2.GetModelStatusRequest) -> status_pb2.GetModelStatusResponse:
        return status_response(self._repository.states(*_asked(request.model_spec)))


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


def _asked(spec: ModelSpec) -> tuple[str, int | None]:
    """Return the name and version that a request asks for."""
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    if spec.WhichOneof("version_choice") == "version_label":
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return spec.name, spec.version.value if spec.HasField("version") else None


async def _refuse(context: aio.ServicerContext, call: str) -> None:
    await context.abort(StatusCode.UNIMPLEMENTED, f"{call} is not served here; ask with Predict.")
