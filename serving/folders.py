"""Folders that are written atomically."""

import errno
import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class FolderError(Exception):
    """A folder that cannot be made; the message is one sentence."""


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `out` if the block succeeds, and removed if it fails.

    The next call for the same `out` removes what a killed process has left behind.

    Raises:
        FolderError: `out` is a file or lies in one, or it is a folder that is not empty.
    """
    refuse_full(out)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}.unfinished-"
    _clear_stale(out.parent, prefix)
    made = out.parent / (prefix + secrets.token_hex(4))
    with _lock_of(made).open("w") as lock:
        _take(lock)
        try:
            made.mkdir()
            yield made
            if out.exists():
                out.rmdir()
            made.rename(out)
        finally:
            shutil.rmtree(made, ignore_errors=True)
            _lock_of(made).unlink(missing_ok=True)


def flush(folder: Path) -> None:
    """Have a folder and everything below it written to the disk, so that a power cut leaves none of it empty.

    Raises:
        OSError: The disk does not accept it.
    """
    for path in (*folder.rglob("*"), folder):
        flush_one(path)


def flush_one(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk.

    Raises:
        OSError: The disk does not accept it.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def refuse_full(out: Path) -> None:
    """Raise an error if `out` cannot be created.

    Raises:
        FolderError: `out` is a file or lies in one, or it is a folder that is not empty.
    """
    if out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file: choose a folder.")
    if files := [parent for parent in out.parents if parent.is_file()]:
        raise FolderError(f"{files[0]} is a file, not a folder: choose another path.")
    if out.exists() and any(out.iterdir()):
        raise FolderError(f"{out} is not empty: choose a new folder, or remove it first.")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _take(lock: IO[str]) -> bool:
    """Take a lock, which the system releases when the process ends; False if another process holds it.

    The file must be open for writing, which NFS requires for a lock. Some file systems have no locks.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    return True


def _clear_stale(parent: Path, prefix: str) -> None:
    for folder in {path.with_name(path.name.removesuffix(".lock")) for path in parent.glob(f"{glob.escape(prefix)}*")}:
        with _lock_of(folder).open("w") as lock:
            if _take(lock):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.exists():
                continue
            _lock_of(folder).unlink(missing_ok=True)
