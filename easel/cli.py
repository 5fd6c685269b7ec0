"""The command line: thin over the three rooms, which it imports only where a command needs them."""

import os
from pathlib import Path
from typing import Annotated

import typer

# Before TensorFlow is imported anywhere: its notes on its own build would bury what the commands say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from easel import bench, data, demo, doctor, models, pictures, report, runs
from easel.console import fail, failing, quiet

app = typer.Typer(
    help="Captioned pictures in, a served text-to-image model out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(runs.run)
app.command()(report.report)
app.command()(pictures.generate)
app.command()(pictures.restore)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="Serve what `easel run` pushed in this folder.")] = Path("work"),
    models: Annotated[Path | None, typer.Option(help="Or serve this folder of <model>/<version>/.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of gRPC; 0 takes a free one.")] = 8500,
    rest_api_port: Annotated[
        int,
        typer.Option("--rest-api-port", "--rest_api_port", min=0, max=65535, help="Port of REST; 0 takes a free one."),
    ] = 8501,
) -> None:
    """Serve the pushed models over gRPC and REST, as TensorFlow Serving does; takes about ten seconds to be ready.

    Takes every flag of TensorFlow Serving that the server knows, such as --model_config_file or --enable_batching;
    `python -m serving.server --help` lists them. Health checks, metrics and the request log are on.
    """
    with failing("serving"):
        from serving.server import leave_keras_out
        from serving.server import serve as serve_models
        from serving.server.settings import settings_from

        named = any(flag.startswith(("--model_config_file", "--model_base_path")) for flag in context.args)
        folder = None if named else models or root / "pushed"
        on = {"enable_grpc_healthcheck_service": True, "enable_metrics": True, "enable_request_log": True}
        given = {"models": folder, "host": host, "port": port or -1, "rest_api_port": rest_api_port or -1}
        settings = settings_from(context.args, "easel serve", None, **on, **given)
        what = folder or settings.model_config_file or settings.model_base_path
        typer.echo(f"Serving {what}: loading TensorFlow and the models takes about ten seconds. Stop with Ctrl-C.")
        if folder is None or folder.is_dir():
            leave_keras_out()
            with quiet():
                import serving.server.app  # noqa: F401
        try:
            serve_models(settings)
        except ValueError as error:
            fail(str(error))


def main() -> None:
    """Run the command that was typed."""
    app()
