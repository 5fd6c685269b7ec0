"""Pushed models at an fsspec address, such as `s3://bucket/models`, from which servers on any machine read.

    <address>/<model>/<version>/...        the files of a SavedModel
    <address>/<model>/<version>.json       its manifest: every file with its size and SHA-256
    <address>/models.config                which versions are served, and under which labels

An object store cannot rename, so a version exists once its manifest does, and the manifest is written last. Credentials
come from the environment alone, as the library of the file system reads them.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from serving.folders import flush, fresh_folder

CONFIG = "models.config"
MARK = "easel-store"


class StoreError(OSError):
    """A store that cannot be read or written; the message is one sentence."""


def is_address(place: str | Path) -> bool:
    """Whether a place is an address, not a path on this machine."""
    return "://" in str(place)


class Store:
    """Models and their versions at an address.

    Args:
        address: `scheme://...` of any file system that fsspec knows.

    Raises:
        StoreError: The address has a user or a password in it, or no installed package serves its scheme.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._files, self._root = _opened(self.address)

    def __str__(self) -> str:
        return self.address

    def models(self) -> list[str]:
        """The names of the models, in order."""
        return sorted(name for name, kind in self._listed("") if kind == "directory")

    def versions(self, model: str) -> list[int]:
        """The versions of a model that are there as a whole, oldest first."""
        names = (PurePosixPath(name) for name, kind in self._listed(model) if kind == "file")
        return sorted(int(name.stem) for name in names if name.suffix == ".json" and name.stem.isdecimal())

    def check_writable(self) -> None:
        """Check that the address is writable, by writing a small object.

        Raises:
            StoreError: It cannot be written.
        """
        with self._reached("write to"):
            self._files.pipe_file(self._path(MARK), b"Models that easel run --push-to pushed.\n")

    def publish(self, saved_model: Path, model: str, version: int) -> bool:
        """Upload a version; its manifest, which makes it exist, comes last.

        Returns:
            Whether there was anything to upload.

        Raises:
            StoreError: It cannot be uploaded, or there is a newer version, so that this one would not be served.
        """
        found = self.versions(model)
        if version in found:
            return False
        if found and found[-1] > version:
            raise StoreError(
                f"{self.address} has {model} {found[-1]}, which is newer than {version}: use a separate address for "
                "each root."
            )
        names = sorted(str(path.relative_to(saved_model)) for path in saved_model.rglob("*") if path.is_file())
        files = {name: _described((saved_model / name).read_bytes()) for name in names}
        with self._reached("write to"):
            self._files.put([str(saved_model / name) for name in names], self._paths(model, version, names))
            self._files.pipe_file(self._path(model, f"{version}.json"), json.dumps({"files": files}).encode())
        return True

    def fetch(self, model: str, version: int, saved_model: Path) -> None:
        """Download a version into a folder, which appears once every file is what the manifest says.

        Raises:
            StoreError: It cannot be downloaded, or a file has other bytes than were pushed.
        """
        with self._reached("read"):
            files = json.loads(self._files.cat_file(self._path(model, f"{version}.json")))["files"]
        if astray := [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]:
            raise StoreError(f"{self.address}/{model}/{version}.json names a file outside its folder: {astray[0]}.")
        with fresh_folder(saved_model) as made:
            with self._reached("read"):
                self._files.get(self._paths(model, version, files), [str(made / name) for name in files])
            for name, described in files.items():
                if _described((made / name).read_bytes()) != described:
                    raise StoreError(f"{self.address}/{model}/{version}/{name} differs from what was pushed.")
            flush(made)

    def read_config(self) -> bytes:
        """What `models.config` holds; nothing where there is none."""
        if (CONFIG, "file") not in self._listed(""):
            return b""
        with self._reached("read"):
            return bytes(self._files.cat_file(self._path(CONFIG)))

    def write_config(self, content: bytes) -> None:
        """Replace `models.config`."""
        with self._reached("write to"):
            self._files.pipe_file(self._path(CONFIG), content)

    def _path(self, *parts: object) -> str:
        return "/".join([self._root, *map(str, filter(None, parts))])

    def _paths(self, model: str, version: int, names: Any) -> list[str]:
        return [self._path(model, version, name) for name in names]

    def _listed(self, folder: str) -> list[tuple[str, str]]:
        """Pairs of a name and a kind, `file` or `directory`; none where there is no such folder."""
        with self._reached("read"):
            try:
                found = self._files.ls(self._path(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return []
        return [(item["name"].rstrip("/").rpartition("/")[2], item["type"]) for item in found]

    @contextmanager
    def _reached(self, doing: str) -> Iterator[None]:
        try:
            yield
        # Each library has errors of its own for a missing bucket, a wrong key or a dead network.
        except Exception as error:
            told = str(error).strip().rstrip(".") or type(error).__name__
            raise StoreError(f"Cannot {doing} {self.address}: {told}.") from error


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path of the address in it."""
    scheme, _, rest = address.partition("://")
    if "@" in rest.partition("/")[0]:
        raise StoreError(
            f"{scheme}://...@... contains credentials: put them into the environment, such as AWS_PROFILE."
        )
    try:
        import fsspec

        options = {"auto_mkdir": True} if scheme in ("file", "local") else {}
        files, root = fsspec.url_to_fs(address, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        raise StoreError(f"{address} needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise StoreError(f"fsspec does not know the address {address}: {error}.") from error
    return files, root.rstrip("/")


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
