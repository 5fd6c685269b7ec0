"""`easel run --watch`: a run whenever the data change."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import typer

from easel.console import FAILED, WRONG_USE


def watch_data(data: Path, every: float) -> None:
    """Run the command that was given, without `--watch`, whenever the data change; a run that failed, once more.

    Each run is a process of its own, so that what one leaks or breaks does not reach the next.
    """
    command = [sys.executable, *(word for word in sys.argv if word != "--watch")]
    typer.echo(f"Watching {data}: a run begins as soon as something is new there. Stop with Ctrl-C.")
    seen, code = None, 0
    with suppress(KeyboardInterrupt):
        while code != WRONG_USE:
            now = stamp(data)
            if now != seen or code == FAILED:
                seen, code = now, subprocess.run(command, check=False).returncode
            time.sleep(every)
    raise typer.Exit(code if code == WRONG_USE else 0)


def stamp(data: Path) -> dict[str, int]:
    """When the folder, its spans and their tables were last written, by path; empty where there is no folder."""
    found = [data, *data.glob("span-*"), *data.glob("metadata.*"), *data.glob("span-*/metadata.*")]
    return {str(path): path.stat().st_mtime_ns for path in found if path.exists()}
