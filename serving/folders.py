"""Folders that appear whole or not at all."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderError(Exception):
    """A folder that cannot be made; the message is one sentence."""


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` when the block ends well and vanishes when it does not.

    What a killed process has left behind is cleared away by the next call for the same `out`.

    Raises:
        FolderError: `out` is a file or lies in one, or it is a folder that is not empty.
    """
    refuse_full(out)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{out.name}.unfinished-"
    _clear_stale(out.parent, prefix)
    made = out.parent / (prefix + secrets.token_hex(4))
    made.mkdir()
    try:
        with _locked(made):
            yield made
            if out.exists():
                out.rmdir()
            made.rename(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def refuse_full(out: Path) -> None:
    """Refuse to write where something is already.

    Raises:
        FolderError: `out` is a file or lies in one, or it is a folder that is not empty.
    """
    if out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file; name a folder to make.")
    if files := [parent for parent in out.parents if parent.is_file()]:
        raise FolderError(f"{files[0]} is a file, and no folder can be made in it; name another.")
    if out.exists() and any(out.iterdir()):
        raise FolderError(f"{out} is not empty; name a new folder, or remove this one first.")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system drops with the process however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _clear_stale(parent: Path, prefix: str) -> None:
    for folder in parent.iterdir():
        if folder.name.startswith(prefix) and folder.is_dir():
            try:
                with _locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                continue
