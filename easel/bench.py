"""`easel bench`: reproducible measurements of speed and quality."""

import json
import time
from collections.abc import Mapping
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
    root: Annotated[Path, typer.Option(help="The folder whose pushed models are measured.")] = Path("work"),
    models: Annotated[Path | None, typer.Option(help="A folder of <model>/<version>/ to measure instead.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Measure the pretrained models instead.")] = False,
    soak_minutes: Annotated[float, typer.Option(min=0, help="Minutes to hold 70% of the maximum load.")] = 0.0,
    docs: Annotated[Path | None, typer.Option(help="Record the figures in results.json and results.md here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Compare the server with the same model called in process; takes four to five minutes on two idle cores."""
    with failing("serving"):
        with quiet():
            from benchmarks.serving import measure

        from easel.pictures import unpacked

        folder = unpacked(root) if pretrained else models or root / "pushed"
        started = time.monotonic()
        say(f"Measuring the server on {folder}: four to five minutes, plus the soak.", as_json=as_json)
        figures = measure(folder, soak_minutes=soak_minutes, say=lambda line: say(f"  {line}", as_json=as_json))
        if docs is not None:
            from benchmarks.results import record
            from benchmarks.speed.rows import machine

            command = f"easel bench serving --json --soak-minutes {soak_minutes:g}"
            minutes = {"minutes": (time.monotonic() - started) / 60}
            page = record(docs, "serving", figures | minutes, command=command, seed=None, machine=machine())
            say(f"Wrote {page}.", as_json=as_json)
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:24} {value}")


@app.command()
def quality(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder with any of emoji/, cifar10/, photos/ and tinyshakespeare.txt."),
    ] = None,
    budget_minutes: Annotated[float, typer.Option(min=0.001, help="Training time per row, on two idle cores.")] = 10,
    rows: Annotated[str, typer.Option(help="Rows to run, separated by commas; by default, all.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data, the weights and the noise.")] = 0,
    programs: Annotated[
        Path | None,
        typer.Option(
            help="Write the training steps to this folder as programs for a GPU with JAX, and read the results from it."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="In the rows storybook and restorer, measure generator.keras and restorer.keras from this folder, "
            "not the pretrained models; in the row cifar, measure its generator.keras, and do not train one.",
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Number of real pictures for the row storybook_judge.")] = 2000,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep generator.keras and a grid of drawings, cifar.png, of the row cifar in this folder."),
    ] = None,
    docs: Annotated[Path | None, typer.Option(help="Record the figures in results.json and results.md here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure the quality of drawings, captions and restored pictures; most rows train a model on public data first.

    All rows take up to two and a half hours; of these, `storybook` takes about four minutes and `storybook_judge` a
    quarter of an hour.
    """
    with failing("pipeline"):
        with quiet():
            from benchmarks.quality.effort import Effort
            from benchmarks.quality.rows import ROWS, measure, record_row

        chosen = rows.split(",") if rows else list(ROWS)
        say(f"Measuring {', '.join(chosen)}.", as_json=as_json)
        effort = Effort(budget_minutes, seed, programs, weights, pictures, keep)

        def write_down(name: str, measured: Mapping[str, float]) -> None:
            if docs is not None:
                record_row(docs, name, measured, effort)

        figures = measure(
            data, effort=effort, rows=chosen, say=lambda line: say(f"  {line}", as_json=as_json), keep=write_down
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
        typer.Option(help="A folder of captioned pictures, such as 50,000 photographs; by default, generated shapes."),
    ] = None,
    counts: Annotated[
        str, typer.Option(help="Dataset sizes in ascending order, separated by commas.")
    ] = "1000,10000,50000,100000",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Measure how the steps before training scale with the dataset; takes about five minutes on two idle cores."""
    with failing("pipeline"):
        from benchmarks.pipeline import measure

        try:
            sizes = [int(word) for word in counts.split(",")]
        except ValueError:
            raise typer.BadParameter(f"--counts is {counts!r}: give numbers separated by commas.") from None
        say(f"Measuring the data steps with {counts} pictures.", as_json=as_json)
        figures = measure(data, counts=sizes, say=lambda line: say(f"  {line}", as_json=as_json))
    if as_json:
        answer(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:28} {value}")


@app.command()
def speed(
    rows: Annotated[str, typer.Option(help="Rows to run, separated by commas; by default, all.")] = "",
    docs: Annotated[Path | None, typer.Option(help="Write speed.md, speed.json and a plot to this folder.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the results to this HTML file.")] = None,
    check: Annotated[
        Path | None, typer.Option(help="Fail if a ratio is more than 20% below its value in this JSON file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Compare the time from prompt to picture with other ways to run the models; takes five to ten minutes."""
    with failing("pipeline"):
        with quiet():
            from benchmarks.speed.check import compared, lost
            from benchmarks.speed.page import html as as_html
            from benchmarks.speed.page import rounded, write_docs
            from benchmarks.speed.rows import KEYS, ROWS, measure

        recorded = json.loads(check.read_text(encoding="utf-8")) if check else {}
        chosen = rows.split(",") if rows else list(ROWS)
        say(f"Measuring {', '.join(chosen)}; all rows take five to ten minutes.", as_json=as_json)
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
        say(f"Compared with {check}: {', '.join(compared(recorded, figures)) or 'nothing'}.", as_json=as_json)
        losses = list(lost(recorded, figures))
        if losses:
            fail("\n".join(losses))
