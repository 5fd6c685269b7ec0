"""`easel worker`: take part in the trainings of a run on another machine."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import failing


def worker(
    root: Annotated[Path, typer.Option(help="The --root of the run, as this machine sees it.")] = Path("work"),
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="This machine in the --workers of the run; else TF_CONFIG says it."),
    ] = None,
) -> None:
    """Take part in the trainings of `easel run --workers` on another machine; run this on each machine but the first.

    It waits for a training in the root, which all machines must see, joins it, and waits for the next one. It writes
    nothing there.
    """
    with failing("pipeline"):
        from tfx_pipeline.engines import worker_address
        from tfx_pipeline.together import join

        own = address or worker_address()
        typer.echo(f"Worker {own} waits for trainings in {root}. Stop with Ctrl-C.")
        join(root, own, typer.echo)
