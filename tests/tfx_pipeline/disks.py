"""Disks of a few megabytes, to be filled."""

import shutil
from pathlib import Path


def fill(ballast: Path, *, leaving: int) -> None:
    """Write zeros until so many bytes are left on the disk."""
    with ballast.open("wb") as out:
        out.write(bytes(max(0, shutil.disk_usage(ballast.parent).free - leaving)))
