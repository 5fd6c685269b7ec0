"""The versions of a model on disk, and which of them its policy asks for."""

from pathlib import Path
from typing import TypeAlias

from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

_LARGEST_VERSION = 2**63 - 1

Stamp: TypeAlias = tuple[int, ...]


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Return the folders that are named by a number, by that number; of 1, 01 and 001 the last in order counts.

    Raises:
        OSError: the base path cannot be read.

    """
    found = {}
    for path in sorted(base_path.iterdir()):
        if path.name.isdecimal() and path.name.isascii() and int(path.name) <= _LARGEST_VERSION and path.is_dir():
            found[int(path.name)] = path
    return found


def wanted_versions(config: ModelConfig, *, fall_back: bool = False) -> tuple[dict[int, Path], int]:
    """Return the candidates of a policy, newest first, and how many of them to load.

    Args:
        config: the model, whose policy is the newest version where it states none.
        fall_back: offer older versions too, for when the newest ones do not load.

    Raises:
        OSError: the base path cannot be read.

    """
    found = versions_on_disk(Path(config.base_path))
    newest_first = {version: found[version] for version in sorted(found, reverse=True)}
    policy = config.model_version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "all":
        return newest_first, len(newest_first)
    if chosen == "specific":
        named = {version: path for version, path in newest_first.items() if version in policy.specific.versions}
        return named, len(named)
    count = max(policy.latest.num_versions, 1)
    return newest_first if fall_back else dict(list(newest_first.items())[:count]), count


def stamp(folder: Path) -> Stamp:
    """Return what changes when a half-written version is completed, so that it is tried again."""
    parts = (folder, folder / "saved_model.pb", folder / "variables", folder / "assets.extra")
    return tuple(part.stat().st_mtime_ns if part.exists() else 0 for part in parts)
