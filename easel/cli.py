"""The command line: thin over the three rooms, which it imports only where a command needs them."""

import asyncio
import importlib.metadata
import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

# Before TensorFlow is imported anywhere: its notes on its own build would bury what the commands say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from easel import bench, compiling, data, demo, doctor, export, inspecting, models, pictures, report, runs, worker
from easel.console import called, fail, failing, quiet

AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        "--allowed_host",
        help="A name that the studio may be asked by, such as a proxy's; * for any. May be given several times.",
    ),
]

WHERE_TO_BEGIN = """Easel turns a prompt into a picture, with models that you train on your own captioned pictures.

Draw with the pretrained models, on a page:
  {easel} serve --pretrained
or into a file:
  {easel} generate "a cat under a tree" --local -o cat.png
Train on a folder of your own:
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
app.command()(pictures.restore)
app.command()(inspecting.inspect)


def show_version(asked: bool) -> None:
    """Print the version and end."""
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
    """Captioned pictures in, a served text-to-image model out.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a model was not blessed, 4 the data have drifted.
    """
    if context.invoked_subcommand is None:
        typer.echo(WHERE_TO_BEGIN.format(easel=called()))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    root: Annotated[Path, typer.Option(help="Serve what `easel run` pushed in this folder.")] = Path("work"),
    models: Annotated[
        str | None, typer.Option(help="Or serve this folder of <model>/<version>/, or an address, such as s3://...")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=-1, max=65535, help="Port of gRPC; -1 takes a free one.")] = 8500,
    rest_api_port: Annotated[
        int,
        typer.Option(
            "--rest-api-port", "--rest_api_port", min=-1, max=65535, help="Port of REST; -1 takes a free one."
        ),
    ] = 8501,
    studio_port: Annotated[
        int,
        typer.Option(
            "--studio-port",
            "--studio_port",
            min=-1,
            max=65535,
            help="Port of the studio; 0 for none, -1 for a free one.",
        ),
    ] = 8080,
    allowed_host: AllowedHost = None,
    pretrained: Annotated[
        bool, typer.Option(help="Serve the models that come along; nothing need be trained.")
    ] = False,
) -> None:
    """Serve the pushed models over gRPC and REST, as TensorFlow Serving does, and the studio, a page to draw on.

    Takes about ten seconds to be ready.

    Takes every flag of TensorFlow Serving that the server knows, such as --model_config_file or --enable_batching;
    `python -m serving.server --help` lists them. Health checks, metrics and the request log are on.
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
        typer.echo(f"Serving {what}: loading TensorFlow and the models takes about ten seconds. Stop with Ctrl-C.")
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
    server: Annotated[str, typer.Option(help="host:port of a server's gRPC port.")] = "localhost:8500",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=-1, max=65535, help="Port of the page; -1 takes a free one.")] = 8080,
    authority: Annotated[
        Path | None, typer.Option(help="Speak TLS with the server, whose certificate this authority (PEM) signed.")
    ] = None,
    allowed_host: AllowedHost = None,
    provenance: Annotated[bool, typer.Option(help="Let pictures tell what they were made from.")] = True,
) -> None:
    """Serve the studio alone, a page to draw on, before a server that runs elsewhere, such as TensorFlow Serving."""
    with failing("studio"):
        from serving.client import Credentials
        from serving.studio.site import serve as serve_studio

        typer.echo(f"A studio for the server at {server}. Stop with Ctrl-C.")
        credentials = Credentials(authority=authority.read_bytes() if authority else None)
        where: dict[str, Any] = {"host": host, "port": max(port, 0), "allowed_hosts": allowed_host or ()}
        asyncio.run(serve_studio(server, credentials, **where, provenance=provenance))


def main() -> None:
    """Run the command that was typed."""
    # Pillow warns of odd but harmless tags in pictures.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    app()
