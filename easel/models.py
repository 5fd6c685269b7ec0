"""`easel models`: which versions are served, and under which labels."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing

app = typer.Typer(help="See and choose the versions that are served.", no_args_is_help=True)

Root = Annotated[Path, typer.Option(help="The folder that `easel run` pushed to.")]
Models = Annotated[
    str | None, typer.Option(help="Or this folder of <model>/<version>/, or an address, such as s3://...")
]
Model = Annotated[str, typer.Argument(help="The model, such as text_to_image.")]
Version = Annotated[int, typer.Argument(help="The version, as `easel models list` shows it.")]


@app.command("list")
def list_models(
    root: Root = Path("work"),
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the models with their versions; the last one that is served answers whoever names none."""
    with failing("serving"):
        from serving import versions

        place = versions.place(models or root / "pushed")
        names = place.models()
        pushed = {name: versions.versions(place, name) for name in names}
        served = {name: versions.served(place, name) for name in names}
        labels = {name: versions.labels(place, name) for name in names}
    if as_json:
        answer({n: {"versions": pushed[n], "served": served[n], "labels": labels[n]} for n in names})
        return
    for name in names:
        pairs = "".join(f"; {label}={version}" for label, version in sorted(labels[name].items()))
        typer.echo(f"{name}: {_listed(pushed[name])}; served: {_listed(served[name])}{pairs}")


@app.command()
def label(
    model: Model,
    name: Annotated[str, typer.Argument(help="The label, such as stable or canary.")],
    version: Version,
    root: Root = Path("work"),
    models: Models = None,
) -> None:
    """Let a label name a version; a running server follows within a second."""
    with failing("serving"):
        from serving import versions

        place = versions.place(models or root / "pushed")
        versions.label(place, model, name, version)
        now = versions.served(place, model)
    typer.echo(
        f"{model}: {name} is {version}; served: {_listed(now)}. New ones wait for `easel models follow {model}`."
    )


@app.command()
def rollback(
    model: Model,
    to: Annotated[int | None, typer.Option(help="The version to go back to; the one before if left out.")] = None,
    root: Root = Path("work"),
    models: Models = None,
) -> None:
    """Serve the version before; a running server follows within a second and fails no request."""
    with failing("serving"):
        from serving import versions

        target = versions.rollback(versions.place(models or root / "pushed"), model, to)
    typer.echo(f"{model}: {target} is served. New ones wait for `easel models follow {model}`.")


@app.command()
def follow(model: Model, root: Root = Path("work"), models: Models = None) -> None:
    """Serve the newest version again, and every newer one that is pushed."""
    with failing("serving"):
        from serving import versions

        place = versions.place(models or root / "pushed")
        versions.follow(place, model)
        newest = versions.served(place, model)[-1]
    typer.echo(f"{model}: {newest} is served, and newer ones as they are pushed.")


def _listed(numbers: list[int]) -> str:
    return " ".join(map(str, numbers))
