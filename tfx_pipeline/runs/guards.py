"""What is made sure of before a run starts, and kept safe once it has ended well."""

import errno
import fcntl
import os
import re
import shlex
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from tfx_pipeline.runs.root import Root


class RunError(Exception):
    """A run that did not start or finish; the message is one sentence with the cure."""


@contextmanager
def only_run(root: Root) -> Iterator[None]:
    """Hold the root for one run at a time.

    Raises:
        RunError: If another run holds it.
    """
    with (root.path / ".lock").open("a+", encoding="utf-8") as lock:
        try:
            _take(lock, fcntl.LOCK_EX)
        except BlockingIOError:
            lock.seek(0)
            raise RunError(
                f"Another run has been under way in {root.path} since {lock.read().strip() or 'a moment ago'}: wait "
                "for it, or choose another --root."
            ) from None
        lock.truncate(0)
        lock.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} (process {os.getpid()})")
        lock.flush()
        yield


def is_under_way(root: Root) -> bool:
    """Whether another process runs in a root."""
    try:
        with (root.path / ".lock").open(encoding="utf-8") as lock:
            _take(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return f"(process {os.getpid()})" not in (root.path / ".lock").read_text(encoding="utf-8")
    return False


def _take(lock: IO[str], kind: int) -> None:
    """Take a lock. Some network disks have none: nothing is held there, and a second run is not noticed.

    Raises:
        BlockingIOError: If another process has it.
    """
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise


def check_serving_folder(root: Root) -> None:
    """Refuse to train for a serving folder that nothing can be pushed to.

    Raises:
        RunError: If it cannot be made or written.
    """
    standing = root.pushed if root.pushed.exists() else root.path
    try:
        for folder in (standing, *(path for path in root.pushed.glob("*") if path.is_dir())):
            with tempfile.TemporaryDirectory(prefix=".writable-", dir=folder):
                pass
    except OSError as error:
        raise RunError(f"Nothing can be pushed to {root.pushed}: {error.strerror}; {cure(error, root)}.") from error


def check_path(root: Root) -> None:
    """Refuse a root whose absolute path Beam would read as a pattern, or TFX could not decode as ASCII.

    Raises:
        RunError: If the path has such characters in it.
    """
    path = str(root.path.resolve())
    if re.search(r"[^ -~]|[*?\[\]\\]", path):
        raise RunError(
            f"Beam cannot read the root {path} here: choose a --root whose path is plain ASCII without *?[]\\. On "
            "Linux, without --beam-runner, any path will do."
        )


def check_metadata(root: Root) -> None:
    """Refuse to run on a damaged MLMD store.

    Raises:
        RunError: If SQLite finds it damaged.
    """
    problem = damage(root.metadata)
    if problem:
        raise RunError(damaged_metadata(root, problem))


def damaged_metadata(root: Root, problem: str) -> str:
    """What is wrong with the MLMD store, and what brings it back."""
    store, kept = shlex.quote(str(root.metadata)), shlex.quote(str(root.kept_metadata))
    aside = f"mv {store} {store}.damaged"
    if root.kept_metadata.is_file():
        way = f"`{aside} && cp {kept} {store}` brings back what was known after the last run that ended"
    else:
        way = f"`{aside}` starts a new one, and what is pushed stays"
    return f"The record of all runs, {root.metadata}, is damaged ({problem}): {way}."


def damage(store: Path) -> str:
    """What is wrong with an SQLite file, empty where nothing is or there is none."""
    if not store.is_file() or not store.stat().st_size:
        return ""
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=rw", uri=True)) as database:
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == "ok" else str(answer).splitlines()[-1]


def keep_metadata(root: Root) -> None:
    """Copy the MLMD store beside itself, for the day that it is damaged."""
    new = root.kept_metadata.with_suffix(".new")
    with closing(sqlite3.connect(root.metadata)) as store, closing(sqlite3.connect(new)) as copy:
        store.backup(copy)
    new.replace(root.kept_metadata)


CURES = {
    errno.ENOSPC: "free some of its disk, of which {free} MB are left; `easel runs clean --keep 3` may help",
    errno.EDQUOT: "free some of its quota; `easel runs clean --keep 3` may help",
    errno.EFBIG: "raise the limit on the size of files, `ulimit -f`",
    errno.EACCES: "let this user write there, or choose another --root",
    errno.EPERM: "let this user write there, or choose another --root",
    errno.EROFS: "mount it for writing, or choose another --root",
    errno.EEXIST: "move the file away that stands there, or choose another --root",
    errno.ENOTDIR: "move the file away that stands there, or choose another --root",
}
# SQLite's words for a full disk, which come without the number.
FULL_STORE = "database or disk is full"


def cure(error: BaseException, root: Root) -> str:
    """What to do about an error, as far as it is the disk's; the libraries wrap theirs, so the words count."""
    message = str(error)
    numbers = [number for number in CURES if os.strerror(number) in message or getattr(error, "errno", 0) == number]
    if FULL_STORE in message:
        numbers.append(errno.ENOSPC)
    free = shutil.disk_usage(root.path).free // 10**6
    return CURES[numbers[0]].format(free=free) if numbers else "mend the cause"
