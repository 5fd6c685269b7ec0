"""Anonymous memory of a process: without mapped files, whose pages the system can drop when memory is short."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.01
"""Seconds between two samples."""


class Peak:
    """The peak of anonymous memory so far, in MiB."""

    def __init__(self) -> None:
        self.mib = 0.0

    def look(self) -> None:
        """Take a sample."""
        self.mib = max(self.mib, anonymous_mib())


def anonymous_mib() -> float:
    """Anonymous memory of this process in MiB, as reported by Linux (RssAnon)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:"))


@contextmanager
def peak_held() -> Iterator[Peak]:
    """Sample the anonymous memory of this process in a thread until the context ends."""
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY):
            peak.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        peak.look()
        ended.set()
        thread.join()
