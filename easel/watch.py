"""`easel run --watch`: train again whenever the data change."""

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from easel.console import FAILED, WRONG_USE
from serving.faults import explained


def watch_data(data: Path, every: float, files: Iterable[Path] = ()) -> int:
    """Run this command without `--watch` whenever the data or `files` change, and retry after a failure.

    Each run is a separate process, so that a leak or crash does not affect the next one.

    Returns:
        The exit code, after Ctrl-C or an invalid command line.
    """
    command = [sys.executable, *(word for word in sys.argv if word != "--watch")]
    typer.echo(f"Watching {data}: a run starts as soon as it changes. Press Ctrl-C to stop.")
    seen, code = None, 0
    with suppress(KeyboardInterrupt):
        while code != WRONG_USE:
            try:
                now = stamp(data), [state(file) for file in files]
                if now != seen or code == FAILED or code < 0:
                    seen, code = now, subprocess.run(command, check=False).returncode
            except OSError as error:
                typer.echo(f"{explained(error, data)}. The next check is in {every:g} seconds.", err=True)
            time.sleep(every)
    return code if code == WRONG_USE else 0


def stamp(data: Path) -> dict[str, tuple[int, ...]]:
    """The state of every file and span; it changes with any picture, caption or table."""
    from tfx_pipeline.datasets.files import files_below

    files = {name: stat for name in files_below(data).names if (stat := state(data / name))}
    return files | {path.name: () for path in data.glob("span-*")}


def state(file: Path) -> tuple[int, ...]:
    """The modification time, size and inode of a file, which change with its contents; empty if it does not exist."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino
