"""The commit of this code."""

import subprocess
from pathlib import Path


def code_commit() -> str:
    """The commit of this code, with `-dirty` if there are uncommitted changes; empty outside of git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
