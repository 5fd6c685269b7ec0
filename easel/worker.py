"""`easel worker`: take part in the training of a run on another machine."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import failing


def worker(
    root: Annotated[Path, typer.Option(help="The --root of the run, at its path on this machine.")] = Path("work"),
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The address of this machine in --workers; by default, from TF_CONFIG."),
    ] = None,
) -> None:
    """Take part in `easel run --workers` on another machine; start it on every machine except the first.

    The worker waits until training starts in the root, which all machines must see, takes part in it, and waits for
    the next run. It writes nothing to the root.
    """
    with failing("pipeline"):
        from tfx_pipeline.engines import worker_address
        from tfx_pipeline.together import join

        own = address or worker_address()
        typer.echo(f"Worker {own} waits for trainings in {root}. Press Ctrl-C to stop.")
        join(root, own, typer.echo)
