"""Checks before a run starts, and a backup of the metadata store after it has succeeded."""

import errno
import fcntl
import os
import re
import shlex
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from serving import faults
from tfx_pipeline.runs.root import Root


class RunError(Exception):
    """A run did not start or finish; the message is one sentence that says what to do."""


@contextmanager
def only_run(root: Root) -> Iterator[None]:
    """Lock the root for one run at a time.

    Raises:
        RunError: Another run holds the lock.
    """
    with (root.path / ".lock").open("a+", encoding="utf-8") as lock:
        try:
            _take(lock, fcntl.LOCK_EX)
        except BlockingIOError:
            lock.seek(0)
            raise RunError(
                f"Another run has been active in {root.path} since {lock.read().strip() or 'a moment ago'}: wait "
                "for it, or choose another --root."
            ) from None
        lock.truncate(0)
        lock.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} (process {os.getpid()})")
        lock.flush()
        yield


def is_under_way(root: Root) -> bool:
    """Whether another process is running in a root."""
    try:
        with (root.path / ".lock").open(encoding="utf-8") as lock:
            _take(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return f"(process {os.getpid()})" not in (root.path / ".lock").read_text(encoding="utf-8")
    return False


def _take(lock: IO[str], kind: int) -> None:
    """Take a lock. Some network file systems have no locks; a second run is not detected there.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def check_serving_folder(root: Root) -> None:
    """Refuse to train if the serving folder is not writable.

    Raises:
        RunError: The folder cannot be created or written.
    """
    standing = root.pushed if root.pushed.exists() else root.path
    try:
        for folder in (standing, *(path for path in root.pushed.glob("*") if path.is_dir())):
            with tempfile.TemporaryDirectory(prefix=".writable-", dir=folder):
                pass
    except OSError as error:
        raise RunError(f"Cannot push to {root.pushed}: {error.strerror}; {cure(error, root)}.") from error


def check_path(root: Root) -> None:
    """Refuse a root whose absolute path Beam would read as a pattern, or TFX could not decode as ASCII.

    Raises:
        RunError: The path contains such characters.
    """
    path = str(root.path.resolve())
    if re.search(r"[^ -~]|[*?\[\]\\]", path):
        raise RunError(
            f"Beam cannot use the root {path}: choose a --root whose path is plain ASCII without *?[]\\. On Linux, "
            "any path works without --beam-runner."
        )


def check_metadata(root: Root) -> None:
    """Refuse to run on a damaged MLMD store.

    Raises:
        RunError: SQLite reports damage, or cannot read the store.
        OSError: The store cannot be opened.
    """
    try:
        problem = damage(root.metadata)
    except sqlite3.OperationalError as error:
        raise RunError(f"The metadata store {root.metadata} cannot be read: {error}; {cure(error, root)}.") from error
    if problem:
        raise RunError(damaged_metadata(root, problem))


def damaged_metadata(root: Root, problem: str) -> str:
    """What is wrong with the MLMD store, and how to restore it."""
    store, kept = shlex.quote(str(root.metadata)), shlex.quote(str(root.kept_metadata))
    aside = f"mv {store} {store}.damaged"
    if root.kept_metadata.is_file():
        way = f"`{aside} && cp {kept} {store}` restores the copy made after the last completed run"
    else:
        way = f"`{aside}` starts a new one and keeps the pushed models"
    return f"The metadata store {root.metadata} is damaged ({problem}): {way}."


def damage(store: Path) -> str:
    """What is wrong with an SQLite file; empty if it is intact or does not exist.

    Raises:
        OSError: It cannot be opened.
        sqlite3.OperationalError: It cannot be read, which says nothing about its contents.
    """
    if not store.is_file() or not store.stat().st_size:
        return ""
    try:
        # SQLite would not say why it cannot open a file.
        store.open("rb").close()
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=rw", uri=True)) as database:
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == "ok" else str(answer).splitlines()[-1]


def keep_metadata(root: Root) -> None:
    """Write a backup copy of the MLMD store beside it.

    Raises:
        OSError, sqlite3.Error: It cannot be written; the last copy stays.
    """
    new = root.kept_metadata.with_suffix(".new")
    new.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(root.metadata)) as store, closing(sqlite3.connect(new)) as copy:
            store.backup(copy)
        new.replace(root.kept_metadata)
    finally:
        new.unlink(missing_ok=True)


# What else helps with the disk of a root.
_FURTHER = {
    errno.ENOSPC: ", for example with `easel runs clean --keep 3`",
    errno.EDQUOT: ", for example with `easel runs clean --keep 3`",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR), ", or choose another --root"
    ),
}


def cure(error: BaseException, root: Root) -> str:
    """What to do about an error of the disk that a root is on; libraries that do not know why leave it to the disk."""
    if not faults.number_of(error):
        try:
            with tempfile.TemporaryFile(dir=root.path):
                pass
        except OSError as reason:
            error = reason
    return faults.cure(error, root.path) + _FURTHER.get(faults.number_of(error), "") or "fix the cause"
