"""`easel bench`: measurements that anybody can repeat."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing, quiet, say

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure speed on this machine."""


@app.command()
def serving(
    root: Annotated[Path, typer.Option(help="Measure what `easel run` pushed in this folder.")] = Path("work"),
    models: Annotated[Path | None, typer.Option(help="Or this folder of <model>/<version>/.")] = None,
    soak_minutes: Annotated[float, typer.Option(min=0, help="Hold 70% of the largest load for so long.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure the server beside the same model in process, in about five minutes on idle cores."""
    with failing("serving"):
        with quiet():
            from serving.bench import measure

        folder = models or root / "pushed"
        say(f"Measuring the server on {folder}; about five minutes, and the soak.", as_json=as_json)
        figures = measure(folder, soak_minutes=soak_minutes, say=lambda line: say(f"  {line}", as_json=as_json))
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:24} {value}")
