"""The models to serve: from a ModelServerConfig, from one base path, or from the subfolders of a folder."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from grpc import StatusCode
from tensorflow_serving.config.model_server_config_pb2 import TENSORFLOW, ModelConfig, ModelServerConfig

from serving.server.errors import StatusError, invalid
from serving.server.settings import Settings
from serving.server.storage import is_folder, models_on_disk
from serving.server.text_protos import parse_text_proto, read_text_proto
from serving.store import CONFIG

PLATFORM = "tensorflow"
OVERRIDES = CONFIG

Configs = Mapping[str, ModelConfig]


def first_configs(settings: Settings) -> Configs:
    """Return the models to serve at the start.

    Raises:
        FileNotFoundError: the folder of models does not exist.
        ValueError, StatusError: the configuration is invalid.
        OSError: a file cannot be read.

    """
    if settings.folder is not None:
        if not settings.folder.is_dir():
            missing = f"{settings.folder} is no folder of models: train and push one with `easel run`, or make it"
            raise FileNotFoundError(missing)
        return folder_configs(settings.folder.resolve())
    if settings.model_config_file is not None:
        return read_configs(settings.model_config_file)
    return single_config(settings.model_name, settings.model_base_path)


def read_configs(path: Path) -> Configs:
    """Read a configuration file that lists models.

    Raises:
        ValueError: the file is not such a message.
        StatusError: INVALID_ARGUMENT, the list is invalid.
        OSError: the file cannot be read.

    """
    return checked(read_text_proto(path, ModelServerConfig))


def single_config(name: str, base_path: str) -> Configs:
    """Return the configuration of a single model."""
    return _by_name([ModelConfig(name=name, base_path=base_path, model_platform=PLATFORM)])


def folder_configs(folder: Path) -> Configs:
    """Return all models of a folder, each with its newest version unless the folder's `models.config` says otherwise.

    Raises:
        ValueError, StatusError: the `models.config` is invalid.
        OSError: the folder cannot be read.

    """
    chosen = read_overrides(folder)
    named = {name: folder / name for name in chosen if is_folder(folder / name)}
    found = {}
    for name, path in sorted((models_on_disk(folder) | named).items()):
        found[name] = ModelConfig(name=name, base_path=str(path), model_platform=PLATFORM)
        found[name].MergeFrom(chosen.get(name, ModelConfig()))
    return found


def read_overrides(folder: Path) -> Configs:
    """Return the folder's `models.config`; its models need neither a platform nor a base path."""
    path = folder / OVERRIDES
    return parse_overrides(path.read_bytes(), path) if path.is_file() else {}


def parse_overrides(content: bytes, where: object) -> Configs:
    """Parse the contents of a `models.config`.

    Raises:
        ValueError: it is invalid.

    """
    listed = parse_text_proto(content, ModelServerConfig, where).model_config_list
    return {config.name: config for config in listed.config}


def checked(config: ModelServerConfig) -> Configs:
    """Return the models of a config by name.

    Raises:
        StatusError: INVALID_ARGUMENT, duplicate names, relative paths or unsupported platforms.

    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Missing custom_model_config_loader in ServerCore Options: list the models in model_config_list")
    return _by_name(config.model_config_list.config)


def check_same_platforms(old: Configs, new: Configs) -> None:
    """Raise INVALID_ARGUMENT if the platform of a served model changes."""
    for name in set(old) & set(new):
        before, after = platform(old[name]), platform(new[name])
        if before != after:
            raise invalid(
                f"Illegal to change a model's platform. For model {name} platform was {before} "
                f"and new platform requested is {after}"
            )


def check_platforms(configs: Configs) -> None:
    """Raise INVALID_ARGUMENT if a model needs another platform than TensorFlow."""
    for name, config in configs.items():
        if platform(config) != PLATFORM:
            raise invalid(f"Model {name} requests unsupported platform {platform(config)}")


def platform(config: ModelConfig) -> str:
    """Return the platform of a model, from either of the two fields for it."""
    if config.model_type and config.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
        )
    if config.model_type not in (0, TENSORFLOW):
        raise StatusError(StatusCode.UNIMPLEMENTED, f"ModelServerConfig::model_type {config.model_type} not supported.")
    named = PLATFORM if config.model_type else config.model_platform
    if not named:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."
        )
    return str(named)


def _by_name(configs: Iterable[ModelConfig]) -> Configs:
    found: dict[str, ModelConfig] = {}
    for config in configs:
        if config.name in found:
            raise invalid(f"Illegal to list model {config.name} multiple times in config list")
        if not Path(config.base_path).is_absolute():
            raise invalid(
                f"Expected model {config.name} to have an absolute path or URI; got base_path()={config.base_path}"
            )
        found[config.name] = config
    return found
