"""The configured models, their loaded versions, and the choice of a version for a request.

A newer version is loaded and warmed up beside the old one and replaces it in one step; only then is the old one
released, so a model is always available. Requests read tables that are replaced as a whole and never changed, so they
need no lock.
"""

import ctypes
import gc
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from threading import Lock

from grpc import StatusCode
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from serving.faults import cure, explained, is_of_the_machine
from serving.server.errors import StatusError, invalid
from serving.server.model_config import Configs, check_platforms, check_same_platforms
from serving.server.servable import Servable
from serving.server.storage import Stamp, graph_bytes, stamp, wanted_versions

Load = Callable[[str, int, Path], Servable]

DRAIN_SECONDS = 30.0
# The stamp of a missing folder.
_AGAIN: Stamp = ()


class State(IntEnum):
    """The state of a version, with TensorFlow Serving's numbers."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """The state of one version, and the error that ended it, if any."""

    version: int
    state: State
    error: StatusError | None = None


@dataclass(frozen=True)
class _Model:
    config: ModelConfig | None
    active: Mapping[int, Servable] = field(default_factory=dict)
    states: Mapping[int, VersionState] = field(default_factory=dict)
    failed: Mapping[int, Stamp] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)


class Repository:
    """Loads the configured versions, and finds the one for a request.

    `configure` and `poll` belong to one thread; all other methods may be called from any. Models load in parallel.

    Args:
        load: loads a servable from a name, a version and its folder.
        announce: called with a line for each version that becomes ready, fails or is unloaded.
        fall_back: serve an older version if the newest does not load and none is in memory, unlike TensorFlow Serving.
        any_labels: allow labels for versions that are not loaded.
        new_labels: allow this for new labels.
        loaders: the threads that load; None loads one model after the other.

    Attributes:
        troubles: read errors at the last check of the disk, as sentences.

    """

    def __init__(
        self,
        load: Load,
        announce: Callable[[str], None] = print,
        *,
        fall_back: bool = False,
        any_labels: bool = False,
        new_labels: bool = False,
        loaders: Executor | None = None,
    ) -> None:
        self._load_servable = load
        self._announce = announce
        self._fall_back = fall_back
        self._any_labels = any_labels
        self._new_labels = new_labels
        self._each = loaders.map if loaders else map
        self._models: Mapping[str, _Model] = {}
        self._changing = Lock()
        self._is_configured = False
        self.troubles: list[str] = []

    # ---- for requests -----------------------------------------------------------------------------------------------

    def get(self, name: str, version: int | None = None, label: str | None = None) -> Servable:
        """Return the servable for a request: a version, the one with a label, or the newest.

        Raises:
            StatusError: NOT_FOUND, the model or version is not served; INVALID_ARGUMENT, the label is unknown.

        """
        model = self._models.get(name, _Model(None))
        if label is not None:
            version = model.labels.get(label)
            if version is None:
                raise invalid(f"Unrecognized servable version label: {label}")
        servable = model.active.get(max(model.active, default=0) if version is None else version)
        if servable is None:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {asked}")
        return servable

    def states(self, name: str, version: int | None = None) -> list[VersionState]:
        """Return the states of all versions, newest first, or of one of them.

        Raises:
            StatusError: NOT_FOUND, the model or version has never existed.

        """
        states = self._models.get(name, _Model(None)).states
        if version is not None and version not in states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        if not states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        return [states[each] for each in sorted(states, reverse=True) if version in (None, each)]

    def labels(self, name: str) -> dict[str, int]:
        """Return the version of each label of a model."""
        return dict(self._models.get(name, _Model(None)).labels)

    def errors(self, name: str) -> list[StatusError]:
        """Return the reasons why versions of a model did not load."""
        return [state.error for state in self._models[name].states.values() if state.error]

    def names(self) -> list[str]:
        """Return the models that are or were configured."""
        return sorted(self._models)

    def base_paths(self) -> list[Path]:
        """Return the base paths of the configured models."""
        return [Path(model.config.base_path) for model in self._models.values() if model.config]

    def ready(self) -> list[str]:
        """Return the models that are ready."""
        return [name for name, model in sorted(self._models.items()) if model.active]

    def waiting(self) -> list[str]:
        """Return the configured models that are not ready."""
        return [name for name, model in sorted(self._models.items()) if model.config and not model.active]

    def is_ready(self) -> bool:
        """Whether there is a configuration, and all its models are ready."""
        return self._is_configured and not self.waiting()

    # ---- for the loading thread -------------------------------------------------------------------------------------

    def configure(self, configs: Configs) -> set[str]:
        """Serve these models from now on; return the new ones when their versions are loaded or have failed.

        Raises:
            StatusError: the configuration is rejected, and nothing has changed.

        """
        served = {name: model.config for name, model in self._models.items() if model.config}
        check_same_platforms(served, configs)
        check_platforms(configs)
        self._check_labels(configs)
        new = set(configs) - set(served)
        for name in set(configs) | set(served):
            self._change(name, config=configs.get(name), **({"failed": {}} if name in new else {}))
        self._is_configured = True
        self.poll()
        return new

    def check_available(self, names: Iterable[str]) -> None:
        """Raise UNKNOWN with the reason if one of these models is not ready."""
        unavailable = sorted(set(names) & set(self.waiting()))
        if unavailable:
            raise StatusError(StatusCode.UNKNOWN, self._why_unavailable(unavailable))

    def poll(self) -> None:
        """Check the disk once, load and release versions accordingly, and record read errors in `troubles`."""
        self.troubles = [trouble for trouble in self._each(self._looked_at, self._largest_first()) if trouble]

    def _largest_first(self) -> list[str]:
        """Return the models in the order of loading: the slowest first, so that all loaders stay busy."""
        sizes = {
            name: graph_bytes(Path(model.config.base_path)) for name, model in self._models.items() if model.config
        }
        return sorted(self.names(), key=lambda name: -sizes.get(name, 0))

    def _looked_at(self, name: str) -> str:
        """Update one model, and return read errors."""
        try:
            self._update(name)
        except OSError as error:
            return f"{name} cannot be looked for, and the loaded versions are still served: {explained(error)}"
        return ""

    def _check_labels(self, configs: Configs) -> None:
        for name, config in configs.items():
            model = self._models.get(name, _Model(None))
            for label, version in config.version_labels.items():
                is_new = model.labels.get(label, version) == version
                if version not in model.active and not self._any_labels and not (self._new_labels and is_new):
                    raise StatusError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {name}, which is not currently "
                        "available for inference",
                    )

    def _why_unavailable(self, names: list[str]) -> str:
        reasons = []
        for name in names:
            states = self._models[name].states
            newest = states[max(states)] if states else None
            error = f" due to error: {newest.error.status}" if newest and newest.error else ""
            reasons.append(f"{{{{name: {name} version: {newest.version if newest else 'none'}}}{error}}}, ")
        return f"{len(names)} model(s) did not become available: {{{''.join(reasons)}}}"

    def _update(self, name: str) -> None:
        # No local variable may refer to a servable here, or unloaded ones would never be freed.
        config = self._models[name].config
        wanted, count = wanted_versions(config, fall_back=self._fall_back) if config else ({}, 0)
        kept: list[int] = []
        for version, folder in wanted.items():
            if len(kept) < count and (version in self._models[name].active or self._load(name, version, folder)):
                kept.append(version)
        stays = self._move_labels(name, config.version_labels if config else {})
        if kept or not wanted:
            for version in sorted(set(self._models[name].active) - set(kept) - stays):
                self._unload(name, version)

    def _move_labels(self, name: str, wanted: Mapping[str, int]) -> set[int]:
        """Move labels to versions that are now loaded; return the versions that must stay because of a label.

        A label whose new version did not load is not moved, so it keeps working.
        """
        active, before = self._models[name].active, self._models[name].labels
        stuck = {label for label, version in wanted.items() if version not in active and before.get(label) in active}
        self._change(name, labels={label: before[label] if label in stuck else wanted[label] for label in wanted})
        return {before[label] for label in stuck}

    def _load(self, name: str, version: int, folder: Path) -> bool:
        found, start = stamp(folder), time.monotonic()
        if self._models[name].failed.get(version) == found:
            return False
        self._mark(name, version, State.LOADING)
        try:
            servable = self._load_servable(name, version, folder)
        except StatusError as error:
            # A copy, because the traceback of the original refers to the partially loaded model.
            self._fail(name, version, folder, found, StatusError(error.code, error.message))
            return False
        self._change(name, active={**self._models[name].active, version: servable})
        self._mark(name, version, State.AVAILABLE)
        took = f"{time.monotonic() - start:.1f} s, {servable.warmups} warm-up requests"
        self._announce(f"{name} version {version} is ready ({took})")
        _trim()
        return True

    def _fail(self, name: str, version: int, folder: Path, found: Stamp, error: StatusError) -> None:
        """Record that a version does not load, so that it is tried again when its files change.

        If the cause is the machine and not the files, it is tried again at every check, but announced only once.
        """
        self._mark(name, version, State.END, error)
        model, is_of_machine = self._models[name], is_of_the_machine(error)
        again = is_of_machine or stamp(folder) != found
        self._change(name, failed={**model.failed, version: _AGAIN if again else found})
        if not (is_of_machine and model.failed.get(version) == _AGAIN):
            way = f"; {cure(error, folder)}, and the server will then load it" if is_of_machine else ""
            stays = f"; version {max(model.active)} stays" if model.active else ""
            self._announce(f"{name} version {version} failed to load: {error.message}{way}{stays}")

    def _unload(self, name: str, version: int) -> None:
        """Use the version for no further requests, wait for those in flight, and free its memory."""
        active = dict(self._models[name].active)
        gone = weakref.ref(active.pop(version))
        self._mark(name, version, State.UNLOADING)
        self._change(name, active=active)
        deadline = time.monotonic() + DRAIN_SECONDS
        held = True
        while held and time.monotonic() < deadline:
            _wait_for(gone, 1.0)
            # A failed request leaves a reference cycle through its traceback, which keeps the version alive too. A
            # collection stops all requests for a tenth of a second, so they are a second apart.
            give_memory_back()
            held = gone() is not None
        self._mark(name, version, State.END)
        self._announce(f"{name} version {version} is unloaded")

    def _mark(self, name: str, version: int, state: State, error: StatusError | None = None) -> None:
        states = {**self._models[name].states, version: VersionState(version, state, error)}
        self._change(name, states=states)

    def _change(self, name: str, **changes: object) -> None:
        with self._changing:
            model = replace(self._models.get(name, _Model(None)), **changes)  # type: ignore[arg-type]
            self._models = {**self._models, name: model}


def _wait_for(gone: weakref.ref[Servable], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.01)


def give_memory_back() -> None:
    """Free the reference cycles of a SavedModel, and return the memory to the system."""
    gc.collect()
    _trim()


def _trim() -> None:
    """Return free memory to the system: TensorFlow needs several times the size of a model to optimize its graph."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
