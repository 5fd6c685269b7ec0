"""The versions of a model on disk, the choice by its policy, and misplaced files."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from serving.faults import is_of_the_machine

_LARGEST_VERSION = 2**63 - 1
_LAYOUT = "a model lies in <model>/<version>/saved_model.pb, and its version is a number"

Stamp: TypeAlias = tuple[int, ...]


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Return the folders whose name is a number, by that number; of 1, 01 and 001, the last one counts.

    Raises:
        OSError: the base path cannot be read.

    """
    return {int(path.name): path for path in sorted(base_path.iterdir()) if _is_version(path)}


def models_on_disk(folder: Path) -> dict[str, Path]:
    """Return the subfolders that contain a version, by name, without those that this user may not read.

    Raises:
        OSError: the folder itself cannot be read, or the disk fails.

    """
    return {path.name: path for path in sorted(folder.iterdir()) if any(map(_is_version, _inside(path)))}


def passed_over(folder: Path) -> Iterator[str]:
    """Return a sentence for everything in a folder of models that looks like a misplaced model, with the right layout.

    Raises:
        OSError: the folder itself cannot be read.

    """
    children = sorted(folder.iterdir())
    if numbers := [path.name for path in children if _is_version(path) and _is_saved_model(path)]:
        what = f"{folder} is one model, of version {', '.join(numbers)}"
        yield f"{what}: serve {folder.parent}, or give --model_base_path={folder}"
    for path in children:
        if is_folder(path) and not path.name.startswith((".", "@")) and path.name not in numbers:
            yield from _passed_over_in(path)


def no_versions(base_path: Path) -> Iterator[str]:
    """Return a sentence for everything in the folder of one model that looks like a misplaced version."""
    if _is_saved_model(base_path):
        yield f"{base_path} is ignored because it has no version: move its contents to {base_path / '1'}"
    for path in _inside(base_path):
        if _is_saved_model(path) and not _is_version(path):
            yield f"{path} is ignored because a version must be a number: rename it to {base_path / '1'}"


def wanted_versions(config: ModelConfig, *, fall_back: bool = False) -> tuple[dict[int, Path], int]:
    """Return the candidates of a policy, newest first, and how many of them to load.

    Args:
        config: the model; without a policy, the newest version is served.
        fall_back: also return older versions, in case the newest ones do not load.

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


def graph_bytes(base_path: Path) -> int:
    """Return the size of the graph of a model's newest version; 0 if it cannot be read."""
    try:
        found = versions_on_disk(base_path)
        return (found[max(found)] / "saved_model.pb").stat().st_size
    except (OSError, ValueError):
        return 0


def stamp(folder: Path) -> Stamp:
    """Return a stamp that changes when an incomplete version is completed, so that it is tried again."""
    parts = (folder, folder / "saved_model.pb", folder / "variables", folder / "assets.extra")
    return tuple(_mode_and_time(part)[1] for part in parts)


def is_folder(path: Path) -> bool:
    """Whether a folder exists and this user can read it."""
    return stat.S_ISDIR(_mode_and_time(path)[0])


def _mode_and_time(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        if is_of_the_machine(error):
            raise
        return 0, 0
    return found.st_mode, found.st_mtime_ns


def _passed_over_in(path: Path) -> Iterator[str]:
    try:
        inside = list(path.iterdir())
    except OSError as error:
        if is_of_the_machine(error):
            raise
        yield f"{path} is ignored: {error.strerror}; make it readable for this user, or move it away"
        return
    told = list(no_versions(path))
    yield from told
    # An empty folder waits for its first version, and temporary names of a push begin with a dot.
    if not told and not any(map(_is_version, inside)) and any(not each.name.startswith(".") for each in inside):
        yield f"{path} is ignored because it has no version: {_LAYOUT}"


def _inside(path: Path) -> list[Path]:
    """The contents of a folder; empty if it is not a folder, or if this user may not read it."""
    try:
        return sorted(path.iterdir())
    except OSError as error:
        if is_of_the_machine(error):
            raise
        return []


def _is_version(path: Path) -> bool:
    name = path.name
    return name.isdecimal() and name.isascii() and int(name) <= _LARGEST_VERSION and is_folder(path)


def _is_saved_model(path: Path) -> bool:
    return stat.S_ISREG(_mode_and_time(path / "saved_model.pb")[0])
