"""The models on disk and the one version of each that answers.

A folder `<models>/<name>/<version>/saved_model.pb` is a version. The newest that loads is served; a newer one is
loaded and warmed beside it, takes over in one step, and only then is the old one let go, so no request is ever without
a model.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from grpc import StatusCode

from serving.server.errors import StatusError
from serving.server.servable import Servable


class State(IntEnum):
    """Where a version is in its life, with the numbers of TensorFlow Serving."""

    LOADING = 20
    AVAILABLE = 30
    END = 50


@dataclass(frozen=True)
class VersionState:
    """The state of one version, and the error that ended it where one did."""

    version: int
    state: State
    error: StatusError | None = None


@dataclass
class _Model:
    active: Servable | None = None
    states: dict[int, VersionState] = field(default_factory=dict)
    failed: dict[int, tuple[int, int]] = field(default_factory=dict)

    def mark(self, version: int, state: State, error: StatusError | None = None) -> None:
        self.states = self.states | {version: VersionState(version, state, error)}


class Repository:
    """Finds, loads and hands out models.

    `poll` may run in one thread while others call the rest: each of its steps is a single assignment.

    Args:
        root: the folder of models.
        announce: told one line for each version that becomes ready, fails or goes.

    """

    def __init__(self, root: Path, announce: Callable[[str], None] = print) -> None:
        self.root = root
        self._announce = announce
        self._models: dict[str, _Model] = {}

    def poll(self) -> None:
        """Look at the disk once, and load and let go what it asks for."""
        on_disk = {folder.name: dict(_versions(folder)) for folder in _subfolders(self.root)}
        for name in sorted(on_disk | self._models):
            versions = on_disk.get(name, {})
            if versions or name in self._models:
                self._update(name, versions)

    def ready(self) -> list[Servable]:
        """Return the models that answer now, by name."""
        return [model.active for _, model in sorted(self._models.items()) if model.active]

    def get(self, name: str, version: int | None = None) -> Servable:
        """Return the servable that answers a request.

        Raises:
            StatusError: NOT_FOUND, a model or version that is not served.

        """
        active = self._models[name].active if name in self._models else None
        if active is None or version not in (None, active.version):
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
        return active

    def states(self, name: str, version: int | None = None) -> list[VersionState]:
        """Return the states of all versions, newest first, or of the one asked for.

        Raises:
            StatusError: NOT_FOUND, a model or version that was never seen.

        """
        states = self._models[name].states if name in self._models else {}
        if not states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        if version is None:
            return [states[each] for each in sorted(states, reverse=True)]
        if version not in states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        return [states[version]]

    def _update(self, name: str, versions: dict[int, Path]) -> None:
        model = self._models.setdefault(name, _Model())
        for version in sorted(versions, reverse=True):
            if model.active and model.active.version == version:
                return
            if model.failed.get(version) != _stamp(versions[version]) and self._load(name, version, versions[version]):
                return
        if model.active and model.active.version not in versions:
            self._replace(name, None)

    def _load(self, name: str, version: int, folder: Path) -> bool:
        model = self._models[name]
        model.mark(version, State.LOADING)
        stamp, start = _stamp(folder), time.monotonic()
        try:
            servable = Servable(name, version, folder)
        except StatusError as error:
            model.failed[version] = stamp
            # A copy: the original holds on to the half-loaded model through its traceback.
            model.mark(version, State.END, StatusError(error.code, error.message))
            self._announce(f"{name} version {version} failed to load: {error.message}{_staying(model.active)}")
            return False
        self._replace(name, servable)
        took = f"{time.monotonic() - start:.1f} s, {servable.warmups} warm-up requests"
        self._announce(f"{name} version {version} is ready ({took})")
        return True

    def _replace(self, name: str, servable: Servable | None) -> None:
        model = self._models[name]
        old, model.active = model.active, servable
        if servable:
            model.failed.pop(servable.version, None)
            model.mark(servable.version, State.AVAILABLE)
        if old:
            model.mark(old.version, State.END)
            self._announce(f"{name} version {old.version} is let go")


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _versions(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in _subfolders(folder):
        if path.name.isdecimal() and (path / "saved_model.pb").is_file():
            yield int(path.name), path


def _stamp(folder: Path) -> tuple[int, int]:
    """Return what changes when a half-written version is completed, so that it is tried again."""
    stat = (folder / "saved_model.pb").stat()
    return stat.st_mtime_ns, stat.st_size


def _staying(active: Servable | None) -> str:
    return f"; version {active.version} stays" if active else ""
