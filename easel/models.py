"""`easel models`: list, label and roll back model versions."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing

app = typer.Typer(help="List the served versions, and choose them.", no_args_is_help=True)

Root = Annotated[Path, typer.Option(help="The folder that `easel run` pushed to.")]
Models = Annotated[
    str | None, typer.Option(help="A folder of <model>/<version>/ to use instead, or an address such as s3://...")
]
Model = Annotated[str, typer.Argument(help="The model, such as text_to_image.")]
Version = Annotated[int, typer.Argument(help="The version, as `easel models list` shows it.")]


@app.command("list")
def list_models(
    root: Root = Path("work"),
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the models and their versions; the newest served version answers requests that name none."""
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
    """Assign a label to a version; a running server picks it up within a second."""
    with failing("serving"):
        from serving import versions

        place = versions.place(models or root / "pushed")
        versions.label(place, model, name, version)
        now = versions.served(place, model)
    typer.echo(
        f"{model}: {name} is {version}; served: {_listed(now)}. "
        f"To serve new versions again: `easel models follow {model}`."
    )


@app.command()
def rollback(
    model: Model,
    to: Annotated[int | None, typer.Option(help="The version to return to; by default, the previous one.")] = None,
    root: Root = Path("work"),
    models: Models = None,
) -> None:
    """Serve the previous version; a running server switches within a second, without a failed request."""
    with failing("serving"):
        from serving import versions

        target = versions.rollback(versions.place(models or root / "pushed"), model, to)
    typer.echo(f"{model}: {target} is served. To serve new versions again: `easel models follow {model}`.")


@app.command()
def follow(model: Model, root: Root = Path("work"), models: Models = None) -> None:
    """Serve the newest version, now and after every push."""
    with failing("serving"):
        from serving import versions

        place = versions.place(models or root / "pushed")
        versions.follow(place, model)
        newest = versions.served(place, model)[-1]
    typer.echo(f"{model}: {newest} is served, and newer versions as soon as they are pushed.")


def _listed(numbers: list[int]) -> str:
    return " ".join(map(str, numbers))
