"""Errors of the operating system: which are a fault of the machine and not of a file, and what to do about them."""

import errno
import os
import shutil
from pathlib import Path

CURES = {
    errno.ENOSPC: "free disk space ({free} MB are left)",
    errno.EDQUOT: "free some of the quota",
    errno.EFBIG: "raise the file size limit, `ulimit -f`",
    errno.EACCES: "give this user access to it",
    errno.EPERM: "give this user access to it",
    errno.EROFS: "mount it writable",
    errno.EEXIST: "move the file that is in the way",
    errno.ENOTDIR: "move the file that is in the way",
    errno.EIO: "check the disk and its connection",
    errno.ESTALE: "mount the network disk again",
    errno.EMFILE: "raise the limit on open files, `ulimit -n 4096`",
    errno.ENFILE: "close other programs, which have too many files open",
    errno.ENOMEM: "free memory",
}
OF_THE_MACHINE = {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# SQLite has messages of its own, without error numbers.
_SQLITE = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
}


def number_of(error: BaseException) -> int:
    """The error number behind an error, 0 if none is known; libraries wrap these errors, so the message is searched."""
    number, message = getattr(error, "errno", None), str(error)
    if number in CURES:
        return int(number)
    messages = {os.strerror(number): number for number in CURES} | _SQLITE
    return next((number for text, number in messages.items() if text in message), 0)


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error says nothing about the file, which may be sound, so that it must not be left out."""
    return number_of(error) in OF_THE_MACHINE


def cure(error: BaseException, place: Path) -> str:
    """What to do about an error, as a clause; empty if nothing is known. The free space is that at `place`."""
    return CURES.get(number_of(error), "").format(free=_free(place))


def explained(error: OSError, place: Path = Path()) -> str:
    """The file, the reason and the cure of an error, as far as they are known, without a full stop."""
    reason = error.strerror or str(error).rstrip(".")
    file = error.filename if isinstance(error.filename, str) and error.strerror else ""
    return "; ".join(
        filter(None, (f"{file}: {reason}" if file else reason, cure(error, Path(file) if file else place)))
    )


def _free(place: Path) -> int:
    """Free space in MB on the disk of a path, of which the last parts need not exist; 0 if the disk does not answer."""
    for folder in (place, *place.absolute().parents):
        try:
            return shutil.disk_usage(folder).free // 10**6
        except OSError:
            continue
    return 0
