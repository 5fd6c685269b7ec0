"""A local mirror of a store of models, so that the rest of the server only deals with folders."""

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

# The newest version, and the one before it as a fallback.
KEPT = 2


class Mirror:
    """Downloads the versions that a server may have to load, and removes all others.

    A version appears in the folder in one step, after every file has been verified against the manifest.
    `models.config` is updated after the versions that it names, so that loaded versions stay until then.

    Args:
        store: The store of models.
        folder: The local folder; several servers on one machine may share it.

    Attributes:
        troubles: Failed downloads at the last check, as sentences.

    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.troubles: list[str] = []

    def update(self) -> None:
        """Check the store once; a failed download leaves the folder unchanged.

        Raises:
            StoreError: the store cannot be read, or is empty.
            ValueError: its `models.config` is invalid.

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
        """Download missing versions of a model, newest first; then remove those that are no longer needed."""
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
        """Wait until no other server is changing the folder."""
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
    """Return the mirror for models at an address, after a first check; None if the models are in a local folder.

    If the store is unreachable, models that an earlier server downloaded are served.

    Raises:
        StoreError: the store cannot be read or has no models, and the folder has none either.
        ValueError: its `models.config` is invalid.

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
