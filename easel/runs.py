"""`easel run` and `easel runs`: train, and look back."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from easel.console import NOT_BLESSED, WRONG_USE, answer, failing, quiet, say

if TYPE_CHECKING:
    from tfx_pipeline.history import Run
    from tfx_pipeline.local_run import Outcome

app = typer.Typer(help="Look back at runs and at what they pushed.", invoke_without_command=True)

RootOption = Annotated[Path, typer.Option("--root", help="The folder that keeps the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
MINUTES = {"quick": "about ten minutes", "standard": "an hour at most, by its number of steps,"}


def run(
    data: Annotated[Path, typer.Option("--data", help="A folder of captioned pictures.")],
    root: RootOption = Path("work"),
    profile: Annotated[str, typer.Option(help="quick (minutes) or standard.")] = "quick",
    config: Annotated[Path | None, typer.Option(help="A TOML file that overrides the profile.")] = None,
    text: Annotated[Path | None, typer.Option(help="More text for the language model, a line each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train on captioned pictures, judge the models and push what is blessed.

    Exit codes: 0 pushed, 1 failed, 2 wrong use, 3 a model was not blessed.
    """
    with failing("pipeline"):
        from tfx_pipeline.config import ConfigError, load_config

        try:
            settings = load_config(profile, config)
        except ConfigError as error:
            say(str(error), as_json=True)
            raise typer.Exit(WRONG_USE) from None
        time = MINUTES[profile] if config is None else f"{MINUTES[profile]} without {config}"
        plan = f"Training on {data} with the {profile} profile: {time} on two cores; results go to {root}."
        say(plan, as_json=as_json)
        with quiet():
            from tfx_pipeline.local_run import run_local

        outcome = run_local(Root(root), data, settings, text=text, say=lambda line: say(line, as_json=as_json))
    if as_json:
        answer(as_dict(outcome))
        if not outcome.blessed:
            say(outcome.refusal, as_json=True)
    else:
        sum_up(outcome, root)
    if not outcome.blessed:
        raise typer.Exit(NOT_BLESSED)


def Root(path: Path) -> Any:
    """The root at a path."""
    from tfx_pipeline.root import Root

    return Root(path)


def as_dict(outcome: "Outcome") -> dict[str, Any]:
    """What a script wants to know of a run."""
    return {
        "run": outcome.run.id,
        "seconds": round(outcome.seconds, 1),
        "trained": outcome.run.trained,
        "pushed": outcome.run.pushed,
        "blessed": outcome.blessed,
        "refusal": outcome.refusal,
        "report": outcome.report,
        "metrics": {verdict.model: verdict.metrics for verdict in outcome.verdicts},
    }


def sum_up(outcome: "Outcome", root: Path) -> None:
    """Tell what came of a run and what to do next."""
    minutes, seconds = divmod(round(outcome.seconds), 60)
    trained = outcome.run.trained
    what = f"trained {', '.join(trained)}" if trained else "trained nothing: all models came from the cache"
    typer.echo(f"Run {outcome.run.id}: {what}; {minutes} min {seconds} s.")
    for verdict in outcome.verdicts:
        if verdict.blessed:
            typer.echo(f"  {verdict}")
    if not outcome.blessed:
        typer.echo(outcome.refusal, err=True)
        typer.echo("Nothing was pushed. Train longer, or lower the threshold in a --config file.", err=True)
        return
    pushed = ", ".join(f"{name} {version}" for name, version in outcome.run.pushed.items())
    typer.echo(f"Pushed to {root / 'pushed'}: {pushed}.")
    typer.echo(f"Next: easel serve --root {root}, then: easel generate 'a red circle' -o out.png")


@app.callback()
def runs(context: typer.Context, root: RootOption = Path("work"), as_json: AsJson = False) -> None:
    """List runs, newest first, with what they trained and pushed."""
    context.obj = root
    if context.invoked_subcommand is not None:
        return
    with failing("pipeline"):
        from tfx_pipeline.history import History

        found = History(Root(root)).runs()
    if as_json:
        typer.echo(json.dumps([brief(item) for item in found]))
        return
    table = Table(Column("run", no_wrap=True), "state", "pictures", "trained", Column("pushed", no_wrap=True), box=None)
    for item in found:
        row = brief(item)
        pushed = " ".join(sorted(set(row["pushed"].values())))
        table.add_row(item.id[:19], item.state, str(row["pictures"]), f"{len(row['trained'])} models", pushed or "-")
    Console().print(table)
    typer.echo("Next: easel runs show ID, where ID may be the beginning of one, or latest")


def brief(item: "Run") -> dict[str, Any]:
    """One run in a line."""
    pictures = item.data.get("pictures", "?")
    return {
        "run": item.id,
        "state": item.state,
        "pictures": pictures,
        "trained": item.trained,
        "pushed": item.pushed,
    }


@app.command()
def show(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run, the beginning of one, or latest.")] = "latest",
    root: Annotated[Path | None, typer.Option("--root", help="The folder that keeps the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Trace what a run pushed back to the data that it was trained on."""
    with failing("pipeline"):
        from tfx_pipeline.history import History

        found = History(Root(root or context.obj)).run(run_id)
    steps = [{"step": s.name, "state": s.state, "seconds": round(s.seconds, 1)} for s in found.steps]
    if as_json:
        answer({**brief(found), "data": found.data, "steps": steps})
        return
    typer.echo(f"Run {found.id}: {found.state}")
    typer.echo("Data:")
    for name, value in found.data.items():
        typer.echo(f"  {name}: {value}")
    typer.echo("Pushed:")
    for name, version in found.pushed.items():
        typer.echo(f"  {name} {version}")
    table = Table("step", "state", "seconds", box=None)
    for row in steps:
        table.add_row(*map(str, row.values()))
    Console().print(table)
