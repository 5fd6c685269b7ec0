"""`easel run` and `easel runs`: train, and list earlier runs."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from easel.console import NOT_BLESSED, answer, failing, quiet, say, say_next
from easel.watch import watch_data

if TYPE_CHECKING:
    from models.learning.cluster import Cluster
    from serving.store import Store
    from tfx_pipeline.local_run import Outcome
    from tfx_pipeline.runs.history import Run

app = typer.Typer(help="List runs and what they pushed.", invoke_without_command=True)

RootOption = Annotated[Path, typer.Option("--root", help="The folder of the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ALL_THE_SAME = """Nothing was pushed. Look at the report, then train longer or lower a threshold in a file for --config:
  [thresholds]
  restorer_psnr = 15  # also generator_psnr, generator_ssim, generator_over_mean, generator_copies, ...
A changed threshold does not train anything again."""


def run(
    data: Annotated[Path, typer.Option("--data", help="A folder of captioned pictures, or of spans (span-0001, ...).")],
    root: RootOption = Path("work"),
    profile: Annotated[
        str, typer.Option(help="brief (warm start), quick (minutes), standard (an hour) or photo.")
    ] = "quick",
    config: Annotated[Path | None, typer.Option(help="A TOML file that overrides the profile.")] = None,
    start: Annotated[
        Literal["last", "pretrained", "none"] | None,
        typer.Option(
            help="Initial weights: those of the last pushed models trained on other data (the default), the pretrained "
            "weights, or none."
        ),
    ] = None,
    text: Annotated[Path | None, typer.Option(help="More text for the language model, one caption per line.")] = None,
    beam_runner: Annotated[
        str,
        typer.Option(help="The Beam runner for the data steps, such as PortableRunner, FlinkRunner or SparkRunner."),
    ] = "DirectRunner",
    beam_option: Annotated[list[str] | None, typer.Option(help="A Beam option, NAME=VALUE; can be repeated.")] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,...",
            help="Train on several machines that run `easel worker`; list this machine first.",
        ),
    ] = None,
    push_to: Annotated[
        str | None,
        typer.Option(help="Also upload the pushed models to an fsspec address, such as s3://bucket/models."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running, and train again whenever the data change.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch, seconds between two checks.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Train on captioned pictures, evaluate the models, and push them if they are blessed.

    The data folder can hold spans, span-0001, span-0002 and so on; the newest ones are used, and nothing runs if there
    is no new one. Exit codes: 0 pushed or nothing new, 1 failed, 2 invalid command line or setting, 3 a model was not
    blessed, 4 the data drifted.
    """
    if watch:
        raise typer.Exit(watch_data(data, every, [file for file in (text, config) if file]))
    with failing("pipeline"):
        from serving.store import Store
        from tfx_pipeline.config import load_config
        from tfx_pipeline.engines import beam_args, check_batches, check_job_server, training_cluster

        settings, beam = load_config(profile, config, start), beam_args(beam_runner, beam_option or ())
        check_job_server(beam)
        cluster = training_cluster(workers)
        check_batches(settings, cluster)
        store = Store(push_to) if push_to else None
        if store:
            store.check_writable()
        if len(cluster.workers) > 1:
            share_trainings(cluster)
        say(plan(data, root, profile, config, settings.retraining.start), as_json=as_json)
        with quiet():
            from tfx_pipeline.local_run import run_local

        outcome = run_local(
            Root(root), data, settings, text=text, beam=beam, say=lambda line: say(line, as_json=as_json)
        )
        if store and outcome.blessed:
            publish(store, Root(root).pushed, outcome.run.pushed, as_json=as_json)
    if as_json:
        answer(as_dict(outcome))
        if outcome.new and not outcome.blessed:
            say(outcome.refusal, as_json=True)
    else:
        sum_up(outcome, root)
    if outcome.new and not outcome.blessed:
        raise typer.Exit(NOT_BLESSED)


def share_trainings(cluster: "Cluster") -> None:
    """Let every Trainer of this process train with the machines of a cluster."""
    os.environ["TF_CONFIG"] = str(cluster)
    # Each training is a process of its own, for which this one has to leave memory on the GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def publish(store: "Store", pushed: Path, versions: dict[str, str], *, as_json: bool = False) -> None:
    """Upload the versions of a run that are not complete at the address yet.

    Raises:
        StoreError: One cannot be uploaded.
    """
    for model, version in versions.items():
        if store.publish(pushed / model / version, model, int(version)):
            say(f"uploaded {model} {version} to {store}", as_json=as_json)


def plan(data: Path, root: Path, profile: str, config: Path | None, start: str = "last") -> str:
    """What a run will do, and about how long it takes."""
    from tfx_pipeline.config import PROFILES

    time = f"{PROFILES[profile].time} on two recent cores"
    how = f"with the {profile} profile" + (" from the pretrained weights" if start == "pretrained" else "")
    if config is None:
        return f"Training on {data} {how}: {time}; the results go to {root}."
    return f"Training on {data} {how} and {config}; the results go to {root}. The profile alone takes {time}."


def Root(path: Path) -> Any:
    """The root at a path."""
    from tfx_pipeline.runs.root import Root

    return Root(path)


def as_dict(outcome: "Outcome") -> dict[str, Any]:
    """The result of a run for --json."""
    return {
        "run": outcome.run.id,
        "new": outcome.new,
        "seconds": round(outcome.seconds, 1),
        "trained": outcome.run.trained,
        "pushed": outcome.run.pushed,
        "blessed": outcome.blessed,
        "refusal": outcome.refusal,
        "warnings": {verdict.model: verdict.warnings for verdict in outcome.verdicts},
        "report": outcome.report,
        "drift": outcome.drift,
        "metrics": {verdict.model: verdict.metrics for verdict in outcome.verdicts},
        "slices": {verdict.model: verdict.slices for verdict in outcome.verdicts},
    }


def sum_up(outcome: "Outcome", root: Path) -> None:
    """Print the result of a run and what to do next."""
    if not outcome.new:
        typer.echo(f"Nothing new: run {outcome.run.id} used {describe_spans(outcome.run)}. Nothing was trained.")
        return
    minutes, seconds = divmod(round(outcome.seconds), 60)
    trained = outcome.run.trained
    what = f"trained {', '.join(trained)}" if trained else "trained nothing: all models came from the cache"
    typer.echo(f"Run {outcome.run.id}: {what}; {minutes} min {seconds} s.")
    if outcome.drift:
        typer.echo(f"The data have drifted: {outcome.drift}. See {root / 'drift.html'}.", err=True)
    for verdict in outcome.verdicts:
        if verdict.blessed:
            typer.echo(f"  {verdict.outcome}")
        for warning in verdict.warnings:
            typer.echo(f"  Warning: {warning}.", err=True)
    if not outcome.blessed:
        typer.echo(outcome.refusal, err=True)
        typer.echo(ALL_THE_SAME, err=True)
        return
    pushed = ", ".join(f"{name} {version}" for name, version in outcome.run.pushed.items())
    typer.echo(f"Pushed to {root / 'pushed'}: {pushed}.")
    say_next(
        f"easel serve --root {shlex.quote(str(root))}", f"easel generate {shlex.quote(outcome.run.caption)} -o out.png"
    )


def describe_spans(run: "Run") -> str:
    """The names of the spans of a run."""
    names = run.data.get("spans", "").split()
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


@app.callback()
def runs(context: typer.Context, root: RootOption = Path("work"), as_json: AsJson = False) -> None:
    """List runs, newest first, with the models they trained and pushed."""
    context.obj = root
    if context.invoked_subcommand is not None:
        return
    with failing("pipeline"):
        from tfx_pipeline.runs.history import History

        listed = History(Root(root)).runs()
    if as_json:
        typer.echo(json.dumps([brief(item) for item in listed]))
        return
    table = Table(Column("run", no_wrap=True), "state", "pictures", "trained", Column("pushed", no_wrap=True), box=None)
    for item in listed:
        row = brief(item)
        pushed = " ".join(sorted(set(row["pushed"].values())))
        table.add_row(item.id[:19], item.state, str(row["pictures"]), f"{len(row['trained'])} models", pushed or "-")
    Console().print(table)
    say_next("easel runs show ID, where ID is latest or the beginning of an id")


def brief(item: "Run") -> dict[str, Any]:
    """A run as one row."""
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
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run id, the beginning of one, or latest.")] = "latest",
    root: Annotated[Path | None, typer.Option("--root", help="The folder of the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run pushed, its metrics, and the data it was trained on."""
    with failing("pipeline"):
        from tfx_pipeline.runs.history import History

        shown = History(Root(root or context.obj)).run(run_id)
        from tfx_pipeline.judging.verdict import verdicts

        verdicts_of_run = verdicts(shown)
    steps = [{"step": s.name, "state": s.state, "seconds": round(s.seconds, 1)} for s in shown.steps]
    if as_json:
        slices = {verdict.model: verdict.slices for verdict in verdicts_of_run}
        answer({**brief(shown), "data": shown.data, "config": shown.config, "metrics": slices, "steps": steps})
        return
    typer.echo(f"Run {shown.id}: {shown.state}")
    typer.echo("Data:")
    for name, value in shown.data.items():
        typer.echo(f"  {name}: {value}")
    for verdict in verdicts_of_run:
        typer.echo(str(verdict))
    typer.echo("Pushed:")
    for name, version in shown.pushed.items():
        typer.echo(f"  {name} {version}")
    table = Table("step", "state", "seconds", box=None)
    for row in steps:
        table.add_row(*map(str, row.values()))
    Console().print(table)


@app.command()
def diff(
    context: typer.Context,
    first: Annotated[str, typer.Argument(metavar="A", help="A run id, or the beginning of one.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another run id, or latest.")] = "latest",
    pictures: Annotated[Path, typer.Option(help="The PNG to write, with the last samples of both runs.")] = Path(
        "diff.png"
    ),
    root: Annotated[Path | None, typer.Option("--root", help="The folder of the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: their data, settings, metrics and pictures."""
    with failing("pipeline"):
        with quiet():
            from tfx_pipeline.report.comparing import compared, side_by_side
            from tfx_pipeline.runs.history import History

        history = History(Root(root or context.obj))
        both = history.run(first), history.run(second)
        differences = compared(*both)
        drawn = str(pictures) if side_by_side(*both, pictures) else None
    if as_json:
        answer({"runs": [run.id for run in both], **differences, "pictures": drawn})
        return
    for part, rows in differences.items():
        table = Table(part, *(run.id[:19] for run in both), box=None)
        for name, values in rows.items():
            table.add_row(name, *(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
        Console().print(table if rows else f"{part}: the same")
    typer.echo(f"Pictures: {drawn or 'neither run drew any'}")


@app.command("clean")
def clean_runs(
    context: typer.Context,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest runs to keep complete.")],
    root: Annotated[Path | None, typer.Option("--root", help="The folder of the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Free disk space: delete the artifacts of old runs, except those that a pushed model came from."""
    with failing("pipeline"):
        with quiet():
            from tfx_pipeline.runs.cleaning import clean
            from tfx_pipeline.runs.guards import only_run

        place = Root(root or context.obj)
        with only_run(place):
            done = clean(place, keep)
    if as_json:
        answer({"kept": done.runs, "artifacts": done.artifacts, "megabytes": done.megabytes})
        return
    typer.echo(
        f"Removed {done.artifacts} artifacts of older runs, {done.megabytes} MB; {len(done.runs)} runs are complete."
    )
