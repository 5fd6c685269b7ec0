"""The command line: thin over the three rooms, which it imports only where a command needs them."""

import os
from pathlib import Path
from typing import Annotated

import typer

# Before TensorFlow is imported anywhere: its notes on its own build would bury what the commands say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from easel import data, demo, doctor, pictures, runs
from easel.console import failing, quiet

app = typer.Typer(
    help="Captioned pictures in, a served text-to-image model out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(runs.run)
app.command()(pictures.generate)
app.command()(pictures.restore)


@app.command()
def serve(
    root: Annotated[Path, typer.Option(help="Serve what `easel run` pushed in this folder.")] = Path("work"),
    models: Annotated[Path | None, typer.Option(help="Or serve this folder of <model>/<version>/.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of gRPC; 0 takes a free one.")] = 8500,
    rest_api_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of REST; 0 takes a free one.")] = 8501,
    poll_seconds: Annotated[float, typer.Option(min=0, help="How often to look for new versions; 0 once.")] = 1.0,
) -> None:
    """Serve the pushed models over gRPC and REST, as TensorFlow Serving does; takes about ten seconds to be ready."""
    with failing("serving"):
        from serving.server import serve as serve_models

        folder = models or root / "pushed"
        typer.echo(f"Serving {folder}: loading TensorFlow and the models takes about ten seconds. Stop with Ctrl-C.")
        if folder.is_dir():
            with quiet():
                import serving.server.app  # noqa: F401
        serve_models(folder, host=host, port=port, rest_port=rest_api_port, poll_seconds=poll_seconds)


def main() -> None:
    """Run the command that was typed."""
    app()
