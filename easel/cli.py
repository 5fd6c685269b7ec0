"""The command line: a thin layer over the other packages, which it imports only when a command needs them."""

import asyncio
import importlib.metadata
import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

# Must be set before TensorFlow is imported: its build information would bury the output of the commands.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from easel import (
    bench,
    compiling,
    data,
    demo,
    doctor,
    export,
    inspecting,
    models,
    pictures,
    report,
    restoring,
    runs,
    worker,
)
from easel.console import called, fail, failing, quiet

AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        "--allowed_host",
        help="Host name that the studio accepts, such as a proxy's; * accepts any. Can be repeated.",
    ),
]

WHERE_TO_BEGIN = """Easel turns a prompt into a picture, with models that you train on your own captioned pictures.

Draw with the pretrained models, in a browser:
  {easel} serve --pretrained
Or write a picture to a file:
  {easel} generate "a cat under a tree" --local -o cat.png
Train on your own pictures:
  {easel} data import my-pictures --out data/mine
  {easel} run --data data/mine
Check the installation:
  {easel} doctor

`{easel} --help` lists all commands."""

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.add_typer(compiling.app, name="compile")
app.add_typer(export.app, name="export")
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(runs.run)
app.command()(worker.worker)
app.command()(report.report)
app.command()(pictures.generate)
app.command()(restoring.restore)
app.command()(inspecting.inspect)


def show_version(asked: bool) -> None:
    """Print the version and exit."""
    if asked:
        typer.echo(f"easel {importlib.metadata.version('easel')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def easel(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train a text-to-image model on captioned pictures, and serve it.

    Exit codes: 0 done, 1 failed, 2 invalid command line or setting, 3 a model was not blessed, 4 the data drifted.
    """
    if context.invoked_subcommand is None:
        typer.echo(WHERE_TO_BEGIN.format(easel=called()))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="The folder of the run whose pushed models are served.")] = Path("work"),
    models: Annotated[
        str | None,
        typer.Option(help="A folder of <model>/<version>/ to serve instead, or an address such as s3://..."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts connections from the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=-1, max=65535, help="Port for gRPC; -1 picks a free one.")] = 8500,
    rest_api_port: Annotated[
        int,
        typer.Option(
            "--rest-api-port", "--rest_api_port", min=-1, max=65535, help="Port for REST; -1 picks a free one."
        ),
    ] = 8501,
    studio_port: Annotated[
        int,
        typer.Option(
            "--studio-port",
            "--studio_port",
            min=-1,
            max=65535,
            help="Port for the studio; 0 turns it off, -1 picks a free one.",
        ),
    ] = 8080,
    allowed_host: AllowedHost = None,
    pretrained: Annotated[bool, typer.Option(help="Serve the pretrained models; no training is needed.")] = False,
) -> None:
    """Serve the pushed models with TensorFlow Serving's gRPC and REST APIs, and the studio, a web page to draw with.

    The server is ready after about ten seconds.

    It accepts many flags of TensorFlow Serving, such as --model_config_file or --enable_batching;
    `python -m serving.server --help` lists them. Health checks, metrics and the request log are on by default.
    """
    with failing("serving"):
        from serving.server import check_ports, leave_keras_out
        from serving.server import serve as serve_models
        from serving.server.settings import settings_from

        named = any(flag.startswith(("--model_config_file", "--model_base_path")) for flag in context.args)
        pushed = pictures.unpacked(root) if pretrained else root / "pushed"
        served = None if named else models or pushed
        on = {"enable_grpc_healthcheck_service": True, "enable_metrics": True, "enable_request_log": True}
        given: dict[str, Any] = {"models": served, "host": host, "studio_port": studio_port}
        given |= {
            "port": port or -1,
            "rest_api_port": rest_api_port or -1,
            "allowed_host": ",".join(allowed_host or ()),
        }
        settings = settings_from(context.args, "easel serve", None, **on, **given)
        check_ports(settings)
        what = served or settings.model_config_file or settings.model_base_path
        typer.echo(f"Serving {what}: TensorFlow and the models load in about ten seconds. Press Ctrl-C to stop.")
        if settings.folder is None or settings.folder.is_dir():
            leave_keras_out()
            with quiet():
                import serving.server.app  # noqa: F401
        try:
            serve_models(settings)
        except ValueError as error:
            fail(str(error))


@app.command()
def studio(
    server: Annotated[str, typer.Option(help="host:port of the server's gRPC port.")] = "localhost:8500",
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts connections from the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=-1, max=65535, help="Port for the page; -1 picks a free one.")] = 8080,
    authority: Annotated[
        Path | None, typer.Option(help="Connect with TLS and trust certificates signed by this authority (PEM).")
    ] = None,
    allowed_host: AllowedHost = None,
    provenance: Annotated[bool, typer.Option(help="Write into each PNG how it was made.")] = True,
) -> None:
    """Serve only the studio, for a model server that runs elsewhere, such as TensorFlow Serving."""
    with failing("studio"):
        from serving.client import Credentials
        from serving.studio.site import serve as serve_studio

        typer.echo(f"Starting the studio for the server at {server}. Press Ctrl-C to stop.")
        credentials = Credentials(authority=authority.read_bytes() if authority else None)
        where: dict[str, Any] = {"host": host, "port": max(port, 0), "allowed_hosts": allowed_host or ()}
        asyncio.run(serve_studio(server, credentials, **where, provenance=provenance))


def main() -> None:
    """Run the command line."""
    # Pillow warns about unusual but harmless tags in pictures.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    app()
