"""Disks of a few megabytes that fill up, fail, turn read-only or stall, and a process that may open no more files."""

import fcntl
import gc
import os
import resource
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SHUT_DOWN = 0x8004587D
"""ext4's ioctl after which every access is an I/O error."""


def fill(ballast: Path, *, leaving: int) -> None:
    """Write zeros until so many bytes are left on the disk."""
    with ballast.open("wb") as out:
        out.write(bytes(max(0, shutil.disk_usage(ballast.parent).free - leaving)))


class Disk:
    """An ext4 file system in a file, mounted where this user may.

    Args:
        image: The file.
        path: Where it is mounted.
    """

    def __init__(self, image: Path, path: Path) -> None:
        self.image, self.path = image, path

    def mount(self) -> bool:
        """Mount it; whether that is possible here."""
        mount = ["mount", "-o", "loop", str(self.image), str(self.path)]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        """Unmount it, whatever it has been through, once the last file on it is closed."""
        gc.collect()
        for _ in range(50):
            if not subprocess.run(["umount", self.path], capture_output=True, check=False).returncode:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.path} is still in use")

    def fill(self) -> None:
        """Leave no space: ENOSPC."""
        with (self.path / "ballast").open("wb", buffering=0) as out:
            for size in (2**20, 2**10):
                try:
                    while out.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def turn_read_only(self) -> None:
        """Accept no more writes, as after an error, even to open files: EROFS."""
        subprocess.run(["mount", "-o", "remount,abort", self.path], capture_output=True, check=False)

    def fail(self) -> None:
        """Answer every access with an I/O error: EIO."""
        folder = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(folder, _SHUT_DOWN, struct.pack("I", 1))
        os.close(folder)

    @contextmanager
    def stalled(self, seconds: int = 2) -> Iterator[None]:
        """Let every write wait for so long, from the beginning of the block."""
        subprocess.run(["fsfreeze", "--freeze", self.path], check=True)
        # A process of its own, since one that writes to a frozen disk can do nothing else, not even die.
        with subprocess.Popen(["sh", "-c", 'sleep "$0"; fsfreeze --unfreeze "$1"', str(seconds), self.path]):
            yield

    def repair(self) -> None:
        """Give it its space back, and mount it again."""
        self.unmount()
        assert self.mount()
        (self.path / "ballast").unlink(missing_ok=True)


@contextmanager
def new_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of its own while the block lasts; skips the test where this user cannot mount one."""
    disk = Disk(folder / "disk.img", folder / "disk")
    disk.path.mkdir()
    with disk.image.open("wb") as image:
        image.truncate(megabytes * 2**20)
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m0", disk.image], check=True)
    if not disk.mount():
        pytest.skip("this user cannot mount a disk")
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def few_files(more: int) -> Iterator[None]:
    """Let this process open so many more files at once: EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def fault(name: str, disk: Disk) -> Iterator[None]:
    """Let something fail while the block lasts: a disk, or `EMFILE 2`, after which two more files can be opened."""
    if name.startswith("EMFILE"):
        with few_files(int(name.split()[1])):
            yield
        return
    {"ENOSPC": disk.fill, "EROFS": disk.turn_read_only, "EIO": disk.fail}[name]()
    yield
    disk.repair()
