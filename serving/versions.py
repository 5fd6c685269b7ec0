"""Which versions of the models in a folder, or at an address, are served, and under which labels.

It is written into `models.config` there, a text ModelServerConfig, which a running server reads within a second and
the next one at its start. A model that the file does not name is served in its newest version.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from serving.server.model_config import OVERRIDES, Configs, parse_overrides
from serving.server.storage import versions_on_disk
from serving.store import Store, is_address


class VersionError(Exception):
    """A model, version or label that is not there, in one sentence."""


class Folder:
    """A folder of `<model>/<version>/` on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def models(self) -> list[str]:
        """The names of the models, in order."""
        return sorted(path.name for path in self.path.iterdir() if path.is_dir())

    def versions(self, model: str) -> list[int]:
        """The versions of a model, oldest first."""
        return sorted(versions_on_disk(self.path / model)) if (self.path / model).is_dir() else []

    def read_config(self) -> bytes:
        """What `models.config` holds; nothing where there is none."""
        file = self.path / OVERRIDES
        return file.read_bytes() if file.is_file() else b""

    def write_config(self, content: bytes) -> None:
        """Replace `models.config` in one step, since a server may read it at any moment."""
        new = self.path / f"{OVERRIDES}.new"
        new.write_bytes(content)
        new.replace(self.path / OVERRIDES)


Place: TypeAlias = Folder | Store


def place(models: str | Path) -> Place:
    """The folder or the store that a path or an address means.

    Raises:
        StoreError: an address that cannot be used.

    """
    return Store(str(models)) if is_address(models) else Folder(Path(models))


def versions(where: Place, model: str) -> list[int]:
    """Return the versions of a model, oldest first.

    Raises:
        VersionError: there is no such model.

    """
    numbers = where.versions(model)
    if not numbers:
        raise VersionError(f"{where} has no version of {model}: push one with `easel run`, or choose another model")
    return numbers


def labels(where: Place, model: str) -> dict[str, int]:
    """Return which version each label names."""
    return dict(_config(where, model).version_labels)


def served(where: Place, model: str) -> list[int]:
    """Return the versions that a server loads, oldest first; the last one answers whoever names none.

    Raises:
        VersionError: there is no such model.

    """
    numbers = versions(where, model)
    pinned = _config(where, model).model_version_policy.specific.versions
    return sorted(set(pinned) & set(numbers)) or numbers[-1:]


def label(where: Place, model: str, name: str, version: int) -> None:
    """Let a label name a version, and serve every version that has a label, beside the one that answers by default.

    Raises:
        VersionError: there is no such model or version.

    """
    _check(where, model, version)
    default = served(where, model)[-1]
    chosen = labels(where, model) | {name: version}
    _write(where, model, {default, *chosen.values()}, chosen)


def rollback(where: Place, model: str, to: int | None = None) -> int:
    """Serve an older version by default, and return it: the one before, or the one that is named.

    Labels of newer versions come back to it, else these would go on answering whoever names none.

    Raises:
        VersionError: there is no such model or version, or none before.

    """
    current = served(where, model)[-1]
    older = [version for version in versions(where, model) if version < current]
    if to is None and not older:
        raise VersionError(f"{model} {current} is the oldest version in {where}: there is no earlier one")
    target = older[-1] if to is None else to
    _check(where, model, target)
    chosen = {name: min(version, target) for name, version in labels(where, model).items()}
    _write(where, model, {target, *chosen.values()}, chosen)
    return target


def follow(where: Place, model: str) -> None:
    """Serve the newest version again, and every newer one that is pushed; labels go.

    Raises:
        VersionError: there is no such model.

    """
    versions(where, model)
    configs = dict(_configs(where))
    configs.pop(model, None)
    _save(where, configs)


def _check(where: Place, model: str, version: int) -> None:
    numbers = versions(where, model)
    if version not in numbers:
        raise VersionError(f"{model} has no version {version} in {where}: it has {', '.join(map(str, numbers))}")


def _config(where: Place, model: str) -> ModelConfig:
    return _configs(where).get(model, ModelConfig(name=model))


def _write(where: Place, model: str, loaded: set[int], chosen: Mapping[str, int]) -> None:
    config = ModelConfig(name=model, version_labels=chosen)
    config.model_version_policy.specific.versions.extend(sorted(loaded))
    _save(where, dict(_configs(where)) | {model: config})


def _configs(where: Place) -> Configs:
    return parse_overrides(where.read_config(), f"{where}/{OVERRIDES}")


def _save(where: Place, configs: Mapping[str, ModelConfig]) -> None:
    listed = ModelServerConfig()
    listed.model_config_list.config.extend(configs[name] for name in sorted(configs))
    where.write_config(text_format.MessageToString(listed).encode())
