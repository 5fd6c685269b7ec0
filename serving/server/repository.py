"""The models that are configured, their versions in memory, and which of these answers a request.

A newer version is loaded and warmed beside the old one and takes over in one step; only then is the old one let go,
so no request is ever without a model. Requests read tables that are replaced as a whole and never changed, so they
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
# The stamp of no folder.
_AGAIN: Stamp = ()


class State(IntEnum):
    """Where a version is in its life, with the numbers of TensorFlow Serving."""

    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """The state of one version, and the error that ended it where one did."""

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
    """Loads what the configuration asks for, and finds what a request asks for.

    `configure` and `poll` belong to one thread; the rest may be called from any. Models load side by side.

    Args:
        load: makes a servable of a name, a version and its folder.
        announce: told one line for each version that becomes ready, fails or goes.
        fall_back: serve an older version where the newest does not load and none is in memory, which TensorFlow
            Serving does not.
        any_labels: let labels name versions that are not loaded.
        new_labels: let labels that are new do so.
        loaders: the threads that load; None loads one model after the other.

    Attributes:
        troubles: what could not be read at the last look at the disk, a sentence each.

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

    # ---- what requests ask ------------------------------------------------------------------------------------------

    def get(self, name: str, version: int | None = None, label: str | None = None) -> Servable:
        """Return the servable that answers a request: a version, the one that a label names, or the newest.

        Raises:
            StatusError: NOT_FOUND, a model or version that is not served; INVALID_ARGUMENT, an unknown label.

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
        """Return the states of all versions, newest first, or of the one asked for.

        Raises:
            StatusError: NOT_FOUND, a model or version that was never seen.

        """
        states = self._models.get(name, _Model(None)).states
        if version is not None and version not in states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        if not states:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        return [states[each] for each in sorted(states, reverse=True) if version in (None, each)]

    def labels(self, name: str) -> dict[str, int]:
        """Return which version each label of a model names."""
        return dict(self._models.get(name, _Model(None)).labels)

    def errors(self, name: str) -> list[StatusError]:
        """Return why versions of a model did not load."""
        return [state.error for state in self._models[name].states.values() if state.error]

    def names(self) -> list[str]:
        """Return the models that are configured or were."""
        return sorted(self._models)

    def base_paths(self) -> list[Path]:
        """Return where the versions of the configured models are looked for."""
        return [Path(model.config.base_path) for model in self._models.values() if model.config]

    def ready(self) -> list[str]:
        """Return the models that answer now."""
        return [name for name, model in sorted(self._models.items()) if model.active]

    def waiting(self) -> list[str]:
        """Return the models that are configured and do not answer."""
        return [name for name, model in sorted(self._models.items()) if model.config and not model.active]

    def is_ready(self) -> bool:
        """Whether it is known what to serve, and all of it answers."""
        return self._is_configured and not self.waiting()

    # ---- what the loading thread does -------------------------------------------------------------------------------

    def configure(self, configs: Configs) -> set[str]:
        """Serve these models from now on; return those that are new, once their versions are loaded or have failed.

        Raises:
            StatusError: a configuration that is refused, and then nothing has changed.

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
        """Raise UNKNOWN where one of these models does not answer, with the reason."""
        unavailable = sorted(set(names) & set(self.waiting()))
        if unavailable:
            raise StatusError(StatusCode.UNKNOWN, self._why_unavailable(unavailable))

    def poll(self) -> None:
        """Look at the disk once, load and let go what it asks for, and note in `troubles` what cannot be read."""
        self.troubles = [trouble for trouble in self._each(self._looked_at, self._largest_first()) if trouble]

    def _largest_first(self) -> list[str]:
        """Return the models in an order that leaves no loader idle while the one that takes longest still loads."""
        sizes = {
            name: graph_bytes(Path(model.config.base_path)) for name, model in self._models.items() if model.config
        }
        return sorted(self.names(), key=lambda name: -sizes.get(name, 0))

    def _looked_at(self, name: str) -> str:
        """Bring one model up to date, and say what could not be read."""
        try:
            self._update(name)
        except OSError as error:
            return f"{name} cannot be looked for, and what is loaded stays: {explained(error)}"
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
        # No local name may hold on to a servable here, else none that is unloaded would ever be freed.
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
        """Let labels name other versions, now that these are loaded; return the versions that must stay for one.

        A label whose version did not load stays where it is, so that it goes on answering.
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
            # A copy: the original holds on to the half-loaded model through its traceback.
            self._fail(name, version, folder, found, StatusError(error.code, error.message))
            return False
        self._change(name, active={**self._models[name].active, version: servable})
        self._mark(name, version, State.AVAILABLE)
        took = f"{time.monotonic() - start:.1f} s, {servable.warmups} warm-up requests"
        self._announce(f"{name} version {version} is ready ({took})")
        _trim()
        return True

    def _fail(self, name: str, version: int, folder: Path, found: Stamp, error: StatusError) -> None:
        """Note that a version does not load, so that it is tried again once its files change.

        Where the machine is at fault rather than the files, it is tried again at every look, and told only once.
        """
        self._mark(name, version, State.END, error)
        model, is_of_machine = self._models[name], is_of_the_machine(error)
        again = is_of_machine or stamp(folder) != found
        self._change(name, failed={**model.failed, version: _AGAIN if again else found})
        if not (is_of_machine and model.failed.get(version) == _AGAIN):
            way = f"; {cure(error, folder)}, and it will be loaded" if is_of_machine else ""
            stays = f"; version {max(model.active)} stays" if model.active else ""
            self._announce(f"{name} version {version} failed to load: {error.message}{way}{stays}")

    def _unload(self, name: str, version: int) -> None:
        """Hand the version to no more requests, wait for those that hold it, and give its memory back."""
        active = dict(self._models[name].active)
        gone = weakref.ref(active.pop(version))
        self._mark(name, version, State.UNLOADING)
        self._change(name, active=active)
        deadline = time.monotonic() + DRAIN_SECONDS
        held = True
        while held and time.monotonic() < deadline:
            _wait_for(gone, 1.0)
            # A request that failed leaves a cycle behind, through its traceback, which holds on as well. To look for it
            # stops all requests for a tenth of a second, so it is not done more often than that.
            give_memory_back()
            held = gone() is not None
        self._mark(name, version, State.END)
        self._announce(f"{name} version {version} is let go")

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
    """Free the cycles that a SavedModel consists of, and return the pages to the system."""
    gc.collect()
    _trim()


def _trim() -> None:
    """Return free pages to the system; what TensorFlow needs to optimize a graph is several times the model."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
