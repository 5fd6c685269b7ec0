"""Output and errors of the commands: one sentence for people, an exit code or JSON for scripts."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from easel import IMPORT_NAMES

FAILED, WRONG_USE, NOT_BLESSED, DRIFTED = 1, 2, 3, 4
GROUPS = ("pipeline", "kubeflow", "bench")
"""The optional parts that uv alone can install, from the lock; the others are extras."""
INSTALLED_IN = Path(__file__).parents[1]
"""A checkout, or the `site-packages` that a wheel was installed into."""


@contextmanager
def failing(extra: str) -> Iterator[None]:
    """Report errors that a user can fix as one sentence and an exit code, usually 1.

    Args:
        extra: The extra that the command needs; the message names it if a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if error.name == "benchmarks":
            fail("The benchmarks are not part of the installed package: run `easel bench` in a checkout.")
        if missing in IMPORT_NAMES:
            raise
        fail(f"This needs {missing}, which is not installed: {adding(extra)}.")
    except OSError as error:
        from serving.faults import explained

        fail(f"{explained(error)}.")
    except Exception as error:
        if type(error).__name__ not in USER_ERRORS:
            raise
        fail(str(error), USER_ERRORS[type(error).__name__])


# By name: importing the classes would import packages that a command may not need, or that are not installed.
USER_ERRORS = {
    "ConfigError": WRONG_USE,
    "RowError": WRONG_USE,
    "DataSetError": FAILED,
    "RefusedError": FAILED,
    "BundleError": FAILED,
    "FolderError": FAILED,
    "HistoryError": FAILED,
    "ProvenanceError": FAILED,
    "RunError": FAILED,
    "ServingError": FAILED,
    "SpeedError": FAILED,
    "VersionError": FAILED,
    "DriftError": DRIFTED,
}


def adding(part: str) -> str:
    """How to install an optional part, in a checkout or from a wheel."""
    is_group = part in GROUPS
    if (INSTALLED_IN / "pyproject.toml").is_file():
        return f"install it with `.uv/bin/uv sync --frozen --inexact --{'group' if is_group else 'extra'} {part}`"
    return "run `make install` in a checkout" if is_group else f"install the wheel with the extra `easel[{part}]`"


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what C++ libraries write to standard error while they are imported."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each kind of work on standard error if it is a terminal, also inside `quiet`.

    The yielded function takes the kind of work, the amount done and the total (0 if unknown).
    """
    from rich.console import Console
    from rich.progress import Progress, TaskID

    tasks = dict[str, TaskID]()
    with os.fdopen(os.dup(2), "w") as stream:
        console = Console(file=stream)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:

            def report(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(what.capitalize(), total=total or None)
                bars.update(tasks[what], completed=done, total=total or None)

            yield report


def fail(sentence: str, code: int = FAILED) -> None:
    """Print an error to standard error and exit."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def say(text: str, *, as_json: bool = False) -> None:
    """Print a message; with --json it goes to standard error, because standard output holds the JSON."""
    typer.echo(text, err=as_json)


def say_next(*commands: str) -> None:
    """Print the next commands, spelled as this one was called.

    Args:
        commands: Each begins with `easel`.
    """
    typer.echo("Next: " + ", then: ".join(called() + command.removeprefix("easel") for command in commands))


def called() -> str:
    """How this program was called: by its name if it is on PATH, otherwise by its path."""
    is_known = shutil.which("easel") or Path(sys.argv[0]).name != "easel"
    return "easel" if is_known else os.path.relpath(sys.argv[0])


def short(text: str, most: int = 300) -> str:
    """A text, truncated for display."""
    return text if len(text) <= most else f"{text[:most]}…"


def answer(result: dict[str, Any]) -> None:
    """Print a result as one line of JSON."""
    typer.echo(json.dumps(result, ensure_ascii=False, default=str))
