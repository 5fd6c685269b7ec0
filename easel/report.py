"""`easel report`: open the report of a run."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing, quiet, say
from easel.runs import AsJson, Root, RootOption


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, the beginning of its id, or latest.")] = "latest",
    root: RootOption = Path("work"),
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in a browser.")] = True,
    anew: Annotated[bool, typer.Option("--anew", help="Write the report again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open the report of a run, an HTML file with the verdict, pictures, metrics and curves."""
    with failing("pipeline"):
        from tfx_pipeline.runs.history import History

        place = Root(root)
        traced = History(place).run(run)
        file = place.report(traced.id)
        if anew or not file.is_file():
            say(f"Writing the report of run {traced.id}: about half a minute.", as_json=as_json)
            with quiet():
                from tfx_pipeline.report import write_report

                write_report(place, traced)
    if as_json:
        answer({"run": traced.id, "report": file})
    else:
        typer.echo(file)
    if open_it and not as_json:
        webbrowser.open(file.resolve().as_uri())
