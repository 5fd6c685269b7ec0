"""The flags of the server; flags that TensorFlow Serving has too have the same names."""

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serving.store import is_address

FREE_PORT = -1


class Settings(BaseModel):
    """The settings of the server, from the flags of a command line or from a caller.

    Raises:
        ValueError: a value is out of range, flags contradict each other, or nothing to serve is named.

    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    models: str | Path | None = Field(
        None,
        description="folder of <model>/<version>/saved_model.pb, or an fsspec address such as s3://bucket/models; "
        "models added later are served too",
    )
    models_cache: Path | None = Field(
        None, description="where models from an address are cached; by default in ~/.cache/easel"
    )
    model_config_file: Path | None = Field(
        None, description="ModelServerConfig (text) that lists the models, instead of --models"
    )
    model_name: str = Field("default", description="name of the model in --model_base_path")
    model_base_path: str = Field("", description="absolute path to the versions of one model, instead of --models")
    model_config_file_poll_wait_seconds: float = Field(
        0.0, description="how often to read --model_config_file again; 0 never"
    )
    file_system_poll_wait_seconds: float = Field(1.0, description="how often to look for new versions; 0 looks once")
    allow_version_labels_for_unavailable_models: bool = Field(
        False, description="allow labels for versions that are not loaded yet"
    )
    enable_model_warmup: bool = Field(
        True, description="run the warm-up requests in assets.extra before a version is served"
    )
    num_request_iterations_for_warmup: int = Field(1, ge=0, description="how often to run each warm-up request")

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 accepts connections from the network")
    port: int = Field(8500, ge=-1, le=65535, description="port for gRPC; -1 picks a free one")
    grpc_socket_path: str = Field("", description="also serve gRPC over a Unix socket at this path")
    rest_api_port: int = Field(8501, ge=-1, le=65535, description="port for REST; 0 turns it off, -1 picks a free one")
    studio_port: int = Field(
        0,
        ge=-1,
        le=65535,
        description="port for the studio, a web page and an HTTP API; 0 turns it off, -1 picks a free one",
    )
    studio_provenance: bool = Field(True, description="write into each picture of the studio how it was made")
    allowed_host: str = Field(
        "", description="host names that the studio accepts, such as a proxy's, separated by commas; * accepts any"
    )
    rest_api_timeout_in_ms: int = Field(30000, gt=0, description="timeout of a REST call")
    rest_api_enable_cors_support: bool = Field(False, description="send CORS headers")
    enable_grpc_healthcheck_service: bool = Field(False, description="serve grpc.health.v1")
    enable_serialization_as_tensor_content: bool = Field(
        False, description="return tensors as tensor_content instead of typed fields"
    )
    lame_duck_seconds: float = Field(
        0.0,
        ge=0,
        description="how long to keep answering after SIGTERM while health checks report NOT_SERVING, so that a load "
        "balancer stops sending requests",
    )
    drain_seconds: float = Field(30.0, ge=0, description="how long requests in flight may take to finish after SIGTERM")

    enable_batching: bool = Field(False, description="batch requests of several clients")
    batching_parameters_file: Path | None = Field(None, description="BatchingParameters (text)")
    num_workers: int = Field(
        0, ge=0, description="number of requests that run in parallel without batching; 0 means four per core"
    )

    ssl_config_file: Path | None = Field(
        None, description="SSLConfig (text): TLS for gRPC, and mTLS with client_verify"
    )
    rest_api_ssl_config_file: Path | None = Field(None, description="SSLConfig (text): TLS for REST")
    auth_tokens_file: Path | None = Field(None, description="accepted bearer tokens, one per line")
    monitoring_config_file: Path | None = Field(
        None, description="MonitoringConfig (text): Prometheus metrics on the REST port"
    )
    enable_metrics: bool = Field(False, description="serve metrics at TensorFlow Serving's default path")
    enable_request_log: bool = Field(False, description="log one line of JSON per request to standard error")
    log_prompts: bool = Field(False, description="include the text inputs of a request in its log line")

    max_request_bytes: int = Field(
        128 * 2**20, ge=0, lt=2**31, description="largest request, both compressed and unpacked; 0 for no limit"
    )
    max_rows: int = Field(1024, ge=0, description="maximum number of texts or pictures in one request; 0 for no limit")
    max_text_bytes: int = Field(
        65536, ge=0, description="longest text, such as a prompt, in bytes of UTF-8; 0 for no limit"
    )
    max_picture_pixels: int = Field(
        4096 * 4096, ge=0, description="largest picture in an input named *_bytes; 0 for no limit"
    )
    max_deadline_seconds: float = Field(300.0, ge=0, description="maximum deadline of a request; 0 for no limit")

    xla_cpu_compilation_enabled: bool = Field(False, description="run signatures exported with jit_compile on a CPU")
    xla_gpu_compilation_enabled: bool = Field(False, description="the same on a GPU")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        named = [self.models, self.model_config_file, self.model_base_path or None]
        if sum(one is not None for one in named) != 1:
            raise ValueError("give exactly one of --models, --model_config_file and --model_base_path")
        if self.models_cache and not self.is_mirrored:
            raise ValueError("--models_cache is for models at an address, such as --models=s3://bucket/models")
        if self.port == 0:
            raise ValueError("--port=0 is not possible: gRPC needs a port; -1 picks a free one")
        if self.batching_parameters_file and not self.enable_batching:
            raise ValueError("INVALID_ARGUMENT: --batching_parameters_file is set without setting --enable_batching")
        return self

    @property
    def is_mirrored(self) -> bool:
        """Whether the models are at an address and are mirrored in a local folder."""
        return self.models is not None and is_address(self.models)

    @property
    def folder(self) -> Path | None:
        """The local folder of models; None if there is none."""
        if self.models is None or not self.is_mirrored:
            return None if self.models is None else Path(self.models)
        return self.models_cache or cache_of(str(self.models))

    @property
    def allowed_hosts(self) -> list[str]:
        """The names in `allowed_host`."""
        return [name.strip() for name in self.allowed_host.split(",") if name.strip()]

    @property
    def serves_rest(self) -> bool:
        """Whether there is a REST port; none if it equals the gRPC port, as in TensorFlow Serving."""
        return self.rest_api_port != 0 and (self.rest_api_port == FREE_PORT or self.rest_api_port != self.port)


def cache_of(address: str) -> Path:
    """The default folder for the mirrored models of an address."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "easel" / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]


def parser(prog: str, description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return a parser with a flag for each setting; `defaults` replace those of the settings."""
    made = argparse.ArgumentParser(
        prog,
        usage="%(prog)s [--flag=value ...]; --help lists the flags",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    for name, each in Settings.model_fields.items():
        # Pydantic parses the text; a boolean flag needs no value.
        extra: dict[str, Any] = {"nargs": "?", "const": "true"} if each.annotation is bool else {}
        made.add_argument(f"--{name}", default=defaults.get(name, each.default), help=each.description, **extra)
    return made


def settings_from(arguments: Sequence[str] | None, prog: str, description: str | None, **defaults: Any) -> Settings:
    """Return the settings of a command line; exits with code 2 and one sentence if they are invalid."""
    flags = parser(prog, description, **defaults)
    try:
        return Settings(**vars(flags.parse_args(arguments)))
    except ValidationError as error:
        flags.error("; ".join(_sentence(**each) for each in error.errors(include_url=False)))


def _sentence(*, loc: tuple[int | str, ...], msg: str, input: Any, **rest: Any) -> str:  # noqa: A002
    return f"--{loc[0]}={input}: {msg}" if loc else msg.removeprefix("Value error, ")
