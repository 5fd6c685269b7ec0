"""`easel export`: export models to run without TensorFlow."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing, quiet, say, say_next

app = typer.Typer(help="Export models to run without TensorFlow.", no_args_is_help=True)


@app.callback()
def exporting() -> None:
    """Export models to run without TensorFlow."""


@app.command()
def litert(
    out: Annotated[Path, typer.Argument(help="The folder to write; it must not exist or must be empty.")],
    weights: Annotated[
        Path | None,
        typer.Option(help="A folder with generator.keras and restorer.keras; by default, the pretrained models."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Write a bundle that draws and restores with LiteRT; takes half a minute."""
    with failing("models"):
        from serving.folders import fresh_folder, refuse_full

        refuse_full(out)
        say(f"Writing a bundle to {out}: about half a minute.", as_json=as_json)
        with quiet():
            from models.bundle import export_bundle
            from models.pretrained import HERE, load_restorer
            from models.text_to_image import TextToImage

            with fresh_folder(out) as folder:
                restorer = None if weights else load_restorer()
                export_bundle(TextToImage.load(weights or HERE), folder, restorer=restorer)
        size = sum(file.stat().st_size for file in out.iterdir())
    if as_json:
        answer({"bundle": out, "bytes": size})
        return
    typer.echo(f"Wrote {out}, {size / 1e6:.0f} MB.")
    say_next(f"easel generate 'a cat under a tree' --local --root {out}")
