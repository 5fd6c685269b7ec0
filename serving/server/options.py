"""The contents of the files named in the settings, which are read before any slow work."""

import ssl
from dataclasses import dataclass

import grpc

from serving.server.access import Tokens, grpc_credentials, ssl_context
from serving.server.batching_parameters import Parameters
from serving.server.metrics import DEFAULT_PATH
from serving.server.settings import Settings
from serving.server.text_protos import read_text_proto
from serving.wire.config_pb2 import BatchingParameters, MonitoringConfig


@dataclass(frozen=True)
class Options:
    """The contents of these files; None, or an empty path, for a missing one.

    Attributes:
        batching: the batching parameters.
        metrics_path: the URL path of the metrics.
        credentials: TLS of gRPC.
        ssl_context: TLS of REST.
        tokens: the accepted bearer tokens.

    """

    batching: Parameters | None
    metrics_path: str
    credentials: grpc.ServerCredentials | None
    ssl_context: ssl.SSLContext | None
    tokens: Tokens | None

    @classmethod
    def read(cls, settings: Settings) -> "Options":
        """Read the files.

        Raises:
            ValueError: a file is invalid.
            OSError: a file cannot be read.

        """
        tls, rest_tls, tokens = settings.ssl_config_file, settings.rest_api_ssl_config_file, settings.auth_tokens_file
        return cls(
            batching=_batching(settings),
            metrics_path=_metrics_path(settings),
            credentials=grpc_credentials(tls) if tls else None,
            ssl_context=ssl_context(rest_tls) if rest_tls else None,
            tokens=Tokens(tokens) if tokens else None,
        )


def _batching(settings: Settings) -> Parameters | None:
    if not settings.enable_batching:
        return None
    path = settings.batching_parameters_file
    return Parameters.from_proto(read_text_proto(path, BatchingParameters)) if path else Parameters()


def _metrics_path(settings: Settings) -> str:
    if settings.monitoring_config_file is None:
        return DEFAULT_PATH if settings.enable_metrics else ""
    config = read_text_proto(settings.monitoring_config_file, MonitoringConfig).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else ""
