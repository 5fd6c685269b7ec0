"""`easel bench`: measurements that anybody can repeat."""

import json
from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, fail, failing, quiet, say

app = typer.Typer(help="Measure speed and quality on this machine.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure speed and quality on this machine."""


@app.command()
def serving(
    root: Annotated[Path, typer.Option(help="Measure what `easel run` pushed in this folder.")] = Path("work"),
    models: Annotated[Path | None, typer.Option(help="Or this folder of <model>/<version>/.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Or the pretrained models.")] = False,
    soak_minutes: Annotated[float, typer.Option(min=0, help="Hold 70% of the largest load for so long.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure the server beside the same model in process, in about five minutes on idle cores."""
    with failing("serving"):
        with quiet():
            from benchmarks.serving import measure

        from easel.pictures import unpacked

        folder = unpacked(root) if pretrained else models or root / "pushed"
        say(f"Measuring the server on {folder}; about five minutes, and the soak.", as_json=as_json)
        figures = measure(folder, soak_minutes=soak_minutes, say=lambda line: say(f"  {line}", as_json=as_json))
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:24} {value}")


@app.command()
def quality(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of emoji/, cifar10/, photos/ and tinyshakespeare.txt, as far as there are."),
    ] = None,
    budget_minutes: Annotated[float, typer.Option(min=0.001, help="Training time of each row on two idle cores.")] = 10,
    rows: Annotated[str, typer.Option(help="Rows to run, with commas between them; all if left out.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the data, the weights and the noise.")] = 0,
    programs: Annotated[
        Path | None,
        typer.Option(
            help="Write the trainings here as programs for a GPU that has JAX; read what it learned from here."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Measure the generator.keras and restorer.keras of this folder, not the pretrained ones, in the rows "
            "that train nothing.",
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Real pictures that the row storybook_judge reads.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure what models draw, read and restore, most of them trained for a while on public data.

    All rows take up to two and a half hours; `storybook` and `storybook_judge` a quarter of an hour each.
    """
    with failing("pipeline"):
        with quiet():
            from benchmarks.quality.effort import Effort
            from benchmarks.quality.rows import ROWS, measure

        chosen = rows.split(",") if rows else list(ROWS)
        say(f"Measuring {', '.join(chosen)}.", as_json=as_json)
        figures = measure(
            data,
            effort=Effort(budget_minutes, seed, programs, weights, pictures),
            rows=chosen,
            say=lambda line: say(f"  {line}", as_json=as_json),
        )
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:24} {'not run' if value is None else f'{value:.4g}'}")


@app.command()
def pipeline(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of captioned pictures, such as 50,000 photographs; shapes without one."),
    ] = None,
    counts: Annotated[str, typer.Option(help="Numbers of pictures, growing.")] = "1000,10000,50000,100000",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure every step before the Trainers as the data grow, in about five minutes on two idle cores."""
    with failing("pipeline"):
        from benchmarks.pipeline import measure

        try:
            sizes = [int(word) for word in counts.split(",")]
        except ValueError:
            raise typer.BadParameter(f"--counts is {counts!r}: give numbers with commas between them.") from None
        say(f"Measuring the data steps on {counts} pictures.", as_json=as_json)
        figures = measure(data, counts=sizes, say=lambda line: say(f"  {line}", as_json=as_json))
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:28} {value}")


@app.command()
def speed(
    rows: Annotated[str, typer.Option(help="Rows to run, with commas between them; all if left out.")] = "",
    docs: Annotated[Path | None, typer.Option(help="Write speed.md, speed.json and a plot into this folder.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page as one HTML file.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Fail when a ratio is more than a fifth below that of this JSON file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure from a prompt to a picture beside other ways to run the models, in about ten minutes on idle cores."""
    with failing("pipeline"):
        with quiet():
            from benchmarks.speed.check import compared, lost
            from benchmarks.speed.page import html as as_html
            from benchmarks.speed.page import rounded, write_docs
            from benchmarks.speed.rows import KEYS, ROWS, measure

        recorded = json.loads(check.read_text(encoding="utf-8")) if check else {}
        chosen = rows.split(",") if rows else list(ROWS)
        say(f"Measuring {', '.join(chosen)}; about ten minutes for all.", as_json=as_json)
        figures = rounded(measure(rows=chosen, say=lambda line: say(f"  {line}", as_json=as_json)))
    if docs is not None:
        say(f"Wrote {write_docs(figures, docs)}.", as_json=as_json)
    if html is not None:
        html.write_text(as_html(figures), encoding="utf-8")
        say(f"Wrote {html}.", as_json=as_json)
    if as_json:
        answer(figures)
    else:
        for name in KEYS:
            typer.echo(f"{name:28} {'not measured' if figures[name] is None else figures[name]}")
    if check is not None:
        say(f"Held against {check}: {', '.join(compared(recorded, figures)) or 'nothing'}.", as_json=as_json)
        losses = list(lost(recorded, figures))
        if losses:
            fail("\n".join(losses))
