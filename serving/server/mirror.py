"""A folder of models on this machine that is kept like a store, so that the rest of the server knows folders alone."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.folders import FolderError
from serving.greeting import say
from serving.server.model_config import OVERRIDES, parse_overrides
from serving.server.settings import Settings
from serving.server.storage import models_on_disk, versions_on_disk
from serving.store import Store, StoreError

# The one before the newest is there to fall back on.
KEPT = 2


class Mirror:
    """Downloads what a server may be asked to load, and forgets what it may not.

    A version appears in the folder in one step, after every file has been held against the manifest. `models.config`
    follows once the versions that it names are there, so that what is loaded stays until then.

    Args:
        store: Where the models are.
        folder: Where they are kept; servers of one machine may share it.

    Attributes:
        troubles: What could not be downloaded at the last look, a sentence each.

    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.troubles: list[str] = []

    def update(self) -> None:
        """Look at the store once; what cannot be downloaded leaves the folder as it is.

        Raises:
            StoreError: the store cannot be looked at, or is empty.
            ValueError: its `models.config` makes no sense.

        """
        config = self.store.read_config()
        named = _named(config, f"{self.store}/{OVERRIDES}")
        there = {model: set(self.store.versions(model)) for model in self.store.models()}
        if not there:
            raise StoreError(f"{self.store} has no models: push some with `easel run --push-to {self.store}`.")
        chosen = {model: named.get(model, set()) & versions for model, versions in there.items()}
        self.troubles = []
        with self._alone():
            for model in models_on_disk(self.folder).keys() - there.keys():
                shutil.rmtree(self.folder / model)
            for model, versions in there.items():
                self._follow(model, chosen[model] | set(sorted(versions)[-KEPT:]))
            if all(chosen[model] <= set(self._kept(model)) for model in chosen):
                self._write(config)

    def _follow(self, model: str, wanted: set[int]) -> None:
        """Download what is missing of a model, newest first; only then remove what is no longer wanted."""
        for version in sorted(wanted - set(self._kept(model)), reverse=True):
            try:
                self.store.fetch(model, version, self.folder / model / str(version))
            except (OSError, FolderError) as error:
                self.troubles.append(f"{model} version {version} cannot be downloaded: {error}")
        kept = self._kept(model)
        if wanted <= set(kept):
            for version in set(kept) - wanted:
                shutil.rmtree(kept[version])

    def _kept(self, model: str) -> dict[int, Path]:
        place = self.folder / model
        return versions_on_disk(place) if place.is_dir() else {}

    def _write(self, config: bytes) -> None:
        new = self.folder / f"{OVERRIDES}.new"
        new.write_bytes(config)
        new.replace(self.folder / OVERRIDES)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other server changes the folder."""
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _named(config: bytes, where: str) -> dict[str, set[int]]:
    """The versions that a `models.config` names, by model."""
    return {
        name: {*each.model_version_policy.specific.versions, *each.version_labels.values()}
        for name, each in parse_overrides(config, where).items()
    }


def first_mirror(settings: Settings) -> Mirror | None:
    """Return what keeps the folder of models like an address, after a first look; None where they lie in a folder.

    Without the store, what an earlier server has left in the folder is served.

    Raises:
        StoreError: the store cannot be looked at, or holds no model, and neither does the folder.
        ValueError: its `models.config` makes no sense.

    """
    folder = settings.folder
    if folder is None or not settings.is_mirrored:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(Store(str(settings.models)), folder)
    say(f"reading {settings.models}; models are cached in {folder}")
    try:
        mirror.update()
    except StoreError as error:
        if not models_on_disk(folder):
            raise
        say(f"{error} Serving the models downloaded earlier.")
    if mirror.troubles and not models_on_disk(folder):
        raise StoreError("; ".join(mirror.troubles))
    return mirror
