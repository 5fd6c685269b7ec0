"""The files of a dataset: listing them, finding them by name, and checking that they are inside the folder."""

from __future__ import annotations

import os
import posixpath
import shlex
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from serving.faults import is_of_the_machine
from tfx_pipeline.datasets.entries import Kind, Quarantined, RefusedError, plain

EXTENSIONS = frozenset(
    {
        *(".png", ".apng", ".gif", ".webp", ".avif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
        *(".jp2", ".j2k", ".jpf", ".jpx", ".pnm", ".pbm", ".pgm", ".ppm"),
    }
)
# Formats of pictures that cannot be read: such files are quarantined, not ignored.
FOREIGN = frozenset(
    {".arw", ".cr2", ".dng", ".eps", ".heic", ".heif", ".hif", ".ico", ".jxl", ".nef", ".psd", ".svg", ".tga"}
)
# Files of operating systems and tools, besides names that begin with a dot; in lower case.
_SYSTEMS = frozenset(
    {
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),
        *("$recycle.bin", "recycler", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("lost+found", "found.000"),
    }
)
_TRAINED = ("train", "training")
_WITHHELD = frozenset({"test", "testing", "val", "valid", "validation", "eval", "dev"})


class Files(NamedTuple):
    """The contents of a folder.

    Attributes:
      names: relative paths of all files, sorted, including links to files.
      links: links to folders, which are not followed.
      unreadable: folders that cannot be read.
      passed_over: number of ignored system files, by the name of the file or folder.
    """

    names: list[str]
    links: list[str]
    unreadable: list[Quarantined]
    passed_over: Counter[str]


def files_below(root: Path) -> Files:
    """List all files below a folder.

    Raises:
      OSError: the disk fails, or the process may open no more files.
    """
    listing = Files([], [], [], Counter())

    def refused(error: OSError) -> None:
        if is_of_the_machine(error):
            raise error
        name = Path(error.filename).relative_to(root).as_posix()
        reason = f"The folder cannot be read: {plain(error)}."
        listing.unreadable.append(Quarantined(name, reason, Kind.UNREADABLE))

    for folder, folders, files in os.walk(root, onerror=refused):
        for name in filter(of_a_system, (*folders, *files)):
            listing.passed_over["._*" if name.startswith("._") else name] += _count(Path(folder, name))
        folders[:] = [name for name in folders if not of_a_system(name)]
        below = "" if folder == str(root) else f"{Path(folder).relative_to(root).as_posix()}/"
        listing.names.extend(below + name for name in files if not of_a_system(name))
        listing.links.extend(below + name for name in folders if Path(folder, name).is_symlink())
    listing.names.sort()
    return listing


def of_a_system(name: str) -> bool:
    """Whether a file or folder belongs to the system or a tool, according to its name, and not to the dataset."""
    return name.startswith(".") or name.casefold() in _SYSTEMS


def _count(path: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(path)) if path.is_dir() and not path.is_symlink() else 1


def looks_like_picture(name: str) -> bool:
    """Whether a file is a picture according to its name."""
    return ending(name) in EXTENSIONS or ending(name) in FOREIGN


def ending(name: str) -> str:
    """The last ending of a path, such as `.png`, in lower case; empty if there is none."""
    return posixpath.splitext(name)[1].lower()


def stem(name: str) -> str:
    """A path without the last ending."""
    return posixpath.splitext(name)[0]


def escapes(name: str) -> bool:
    """Whether a path is not a plain relative path: absolute, empty, or with `..`, a backslash or a NUL in it."""
    path = PurePosixPath(name)
    return not path.name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


class Names:
    """Finds files by names with a different Unicode normalisation or case than on disk.

    macOS writes accents as separate characters; most editors do not. An ambiguous name finds no file, unless it is
    exactly the name of one.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._exact = frozenset(names)

    @cached_property
    def _alike(self) -> dict[str, list[str]]:
        alike: dict[str, list[str]] = defaultdict(list)
        for name in self._exact:
            alike[folded(name)].append(name)
        return alike

    def find(self, *asked: str) -> str:
        """The file with one of these names; the first name if there is no such file."""
        for name in asked:
            if name in self._exact:
                return name
        alike = [matches[0] for name in asked if len(matches := self._alike.get(folded(name), [])) == 1]
        return (*alike, asked[0])[0]


def folded(name: str) -> str:
    """A name in a normal form, which is the same for all equivalent names."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def withheld_folders(names: Iterable[str]) -> frozenset[str]:
    """The folders with names such as `test` or `validation` beside a folder `train`."""
    parents = {
        str(parent) for folder in {PurePosixPath(name).parent for name in names} for parent in (folder, *folder.parents)
    }
    trained = {PurePosixPath(folder).parent for folder in parents if PurePosixPath(folder).name.lower() in _TRAINED}
    held = (PurePosixPath(folder) for folder in parents if PurePosixPath(folder).name.lower() in _WITHHELD)
    return frozenset(str(folder) for folder in held if folder.parent in trained)


def inside(root: str, name: str, max_bytes: int, kind: Kind, parents: dict[str, str] | None = None) -> str:
    """Return the real path of a plain file below a folder.

    Args:
      root: the folder, a real path itself.
      name: relative to it.
      max_bytes: maximum size of the file.
      kind: kind of the error if it is larger.
      parents: a cache of the real paths of folders, for many names in the same folders.

    Raises:
      RefusedError: the file is missing, not a plain file, too large, or a link that leads out of the folder.
    """
    real = _real(f"{root}/{name}", {} if parents is None else parents)
    if not real.startswith(f"{root}/"):
        raise RefusedError(Kind.ESCAPES, f"The file is a link that leads out of the folder; {without_links(root)}.")
    try:
        status = os.stat(real)  # noqa: PTH116
    except OSError as error:
        if is_of_the_machine(error):
            raise
        raise RefusedError(Kind.MISSING, f"The file {name} is not in the folder.") from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(Kind.FORMAT, f"{name} is a folder or a device, not a file.")
    if status.st_size > max_bytes:
        reason = f"The file takes {status.st_size:,} bytes, and at most {max_bytes:,} are allowed."
        raise RefusedError(kind, reason)
    return real


def without_links(root: str | Path) -> str:
    """A hint how to replace links by files."""
    copy = f"cp -rL {shlex.quote(str(root))} {shlex.quote(f'{root}-copy')}"
    return f"`{copy}` makes a folder of the files themselves"


def leads_out(root: str, name: str) -> bool:
    """Whether a link leads out of a folder, which must be a real path."""
    return not f"{os.path.realpath(f'{root}/{name}')}/".startswith(f"{root}/")


def _real(path: str, parents: dict[str, str]) -> str:
    """The same as `os.path.realpath`, with one system call if the parents are cached."""
    parent, _, name = path.rpartition("/")
    if parent not in parents:
        parents[parent] = os.path.realpath(parent)
    plain_path = f"{parents[parent]}/{name}"
    return os.path.realpath(plain_path) if os.path.islink(plain_path) else plain_path  # noqa: PTH114 - once a picture
