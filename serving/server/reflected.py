"""Server reflection, for `grpcurl list` and similar tools."""

import importlib
from collections.abc import Iterable
from contextlib import suppress

from grpc import aio
from grpc_reflection.v1alpha import reflection

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_DESCRIBED_IN = ("prediction_service_pb2", "model_service_pb2")


def enable(server: aio.Server, more: Iterable[str] = ()) -> None:
    """Make a server describe its services, and further ones by name."""
    for module in _DESCRIBED_IN:
        # Old generated code: it registers the descriptors, and then fails with today's protobuf.
        with suppress(AttributeError):
            importlib.import_module(f"tensorflow_serving.apis.{module}")
    reflection.enable_server_reflection([*SERVICES, *more, reflection.SERVICE_NAME], server)
