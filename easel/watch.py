"""`easel run --watch`: a run whenever the data change."""

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from easel.console import FAILED, WRONG_USE


def watch_data(data: Path, every: float, files: Iterable[Path] = ()) -> int:
    """Run the given command, without `--watch`, whenever the data or `files` change, and again after it has failed.

    Each run is a process of its own, so that what one leaks or breaks does not reach the next.

    Returns:
        The exit code, once Ctrl-C or a command that cannot be run ends the watch.
    """
    command = [sys.executable, *(word for word in sys.argv if word != "--watch")]
    typer.echo(f"Watching {data}: a run begins as soon as something is new there. Stop with Ctrl-C.")
    seen, code = None, 0
    with suppress(KeyboardInterrupt):
        while code != WRONG_USE:
            now = stamp(data), [state(file) for file in files]
            if now != seen or code == FAILED or code < 0:
                seen, code = now, subprocess.run(command, check=False).returncode
            time.sleep(every)
    return code if code == WRONG_USE else 0


def stamp(data: Path) -> dict[str, tuple[int, ...]]:
    """The state of every file by its name, and the spans there are: it changes with any picture, caption or table."""
    from tfx_pipeline.datasets.files import files_below

    files = {name: stat for name in files_below(data).names if (stat := state(data / name))}
    return files | {path.name: () for path in data.glob("span-*")}


def state(file: Path) -> tuple[int, ...]:
    """The time, size and inode of a file, which change with its contents; empty where there is none."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino
