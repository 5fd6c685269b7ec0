"""Which versions of a folder of models are served, and under which labels.

It is written into `models.config` in that folder, a text ModelServerConfig, which a running server reads within a
second and the next one at its start. A model that the file does not name is served in its newest version.
"""

from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from serving.server.model_config import OVERRIDES, read_overrides
from serving.server.storage import versions_on_disk


class VersionError(Exception):
    """A model, version or label that is not there, in one sentence."""


def versions(folder: Path, model: str) -> list[int]:
    """Return the versions of a model on disk, oldest first.

    Raises:
        VersionError: there is no such model.

    """
    numbers = sorted(versions_on_disk(folder / model)) if (folder / model).is_dir() else []
    if not numbers:
        raise VersionError(f"{folder} holds no version of {model}: push one with `easel run`, or name another model")
    return numbers


def labels(folder: Path, model: str) -> dict[str, int]:
    """Return which version each label names."""
    return dict(_config(folder, model).version_labels)


def served(folder: Path, model: str) -> list[int]:
    """Return the versions that a server loads, oldest first; the last one answers whoever names none.

    Raises:
        VersionError: there is no such model.

    """
    numbers = versions(folder, model)
    pinned = _config(folder, model).model_version_policy.specific.versions
    return sorted(set(pinned) & set(numbers)) or numbers[-1:]


def label(folder: Path, model: str, name: str, version: int) -> None:
    """Let a label name a version, and serve every version that has a label, beside the one that answers by default.

    Raises:
        VersionError: there is no such model or version.

    """
    _check(folder, model, version)
    default = served(folder, model)[-1]
    chosen = labels(folder, model) | {name: version}
    _write(folder, model, {default, *chosen.values()}, chosen)


def rollback(folder: Path, model: str, to: int | None = None) -> int:
    """Serve an older version by default, and return it: the one before, or the one that is named.

    Labels of newer versions come back to it, else these would go on answering whoever names none.

    Raises:
        VersionError: there is no such model or version, or none before.

    """
    current = served(folder, model)[-1]
    older = [version for version in versions(folder, model) if version < current]
    if to is None and not older:
        raise VersionError(f"{model} {current} is the oldest version in {folder}: there is none to go back to")
    target = older[-1] if to is None else to
    _check(folder, model, target)
    chosen = {name: min(version, target) for name, version in labels(folder, model).items()}
    _write(folder, model, {target, *chosen.values()}, chosen)
    return target


def follow(folder: Path, model: str) -> None:
    """Serve the newest version again, and every newer one that is pushed; labels go.

    Raises:
        VersionError: there is no such model.

    """
    versions(folder, model)
    configs = dict(read_overrides(folder))
    configs.pop(model, None)
    _save(folder, configs)


def _check(folder: Path, model: str, version: int) -> None:
    numbers = versions(folder, model)
    if version not in numbers:
        raise VersionError(f"{model} has no version {version} in {folder}: it has {', '.join(map(str, numbers))}")


def _config(folder: Path, model: str) -> ModelConfig:
    return read_overrides(folder).get(model, ModelConfig(name=model))


def _write(folder: Path, model: str, loaded: set[int], chosen: Mapping[str, int]) -> None:
    config = ModelConfig(name=model, version_labels=chosen)
    config.model_version_policy.specific.versions.extend(sorted(loaded))
    _save(folder, dict(read_overrides(folder)) | {model: config})


def _save(folder: Path, configs: Mapping[str, ModelConfig]) -> None:
    """Replace the file in one step, since a server may read it at any moment."""
    listed = ModelServerConfig()
    listed.model_config_list.config.extend(configs[name] for name in sorted(configs))
    new = folder / f"{OVERRIDES}.new"
    new.write_text(text_format.MessageToString(listed))
    new.replace(folder / OVERRIDES)
