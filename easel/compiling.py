"""`easel compile`: compile the pipeline for an orchestrator."""

from pathlib import Path
from typing import Annotated

import typer

from easel.console import answer, failing, quiet, say

app = typer.Typer(help="Compile the pipeline for an orchestrator.", no_args_is_help=True)


@app.callback()
def compiling() -> None:
    """Compile the pipeline for an orchestrator."""


@app.command()
def kubeflow(
    data: Annotated[Path, typer.Option(help="The folder of captioned pictures, at its path in the containers.")],
    root: Annotated[
        Path, typer.Option(help="The containers' folder for checkpoints and pushed models, such as /gcs/mine.")
    ],
    image: Annotated[str, typer.Option(help="The container image with Easel, used by every task.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The YAML to write.")] = Path("pipeline.yaml"),
    claim: Annotated[str, typer.Option(help="A PersistentVolumeClaim with both folders; all tasks mount it.")] = "",
    mount: Annotated[str, typer.Option(help="With --claim, the mount path.")] = "/mnt/easel",
    profile: Annotated[
        str, typer.Option(help="brief (warm start), quick (minutes), standard (an hour) or photo.")
    ] = "quick",
    config: Annotated[Path | None, typer.Option(help="A TOML file that overrides the profile.")] = None,
    beam_runner: Annotated[str, typer.Option(help="The Beam runner for the data steps.")] = "DirectRunner",
    beam_option: Annotated[list[str] | None, typer.Option(help="A Beam option, NAME=VALUE; can be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compile the pipeline for Kubeflow Pipelines 2 or Vertex AI; takes a few seconds.

    The data are read for their fingerprint and slices; nothing is trained. docs/how-to/kubeflow.md explains how to
    build the image and start the run.
    """
    with failing("kubeflow"):
        from tfx_pipeline.config import load_config
        from tfx_pipeline.engines import beam_args

        say(f"Compiling the pipeline for Kubeflow: reading {data} takes a few seconds.", as_json=as_json)
        settings, beam = load_config(profile, config), beam_args(beam_runner, beam_option or ())
        with quiet():
            from tfx_pipeline.kubeflow import compile_pipeline
            from tfx_pipeline.local_run import source_of
            from tfx_pipeline.pipeline import FROM_SCRATCH, create_pipeline, pretrained_start
            from tfx_pipeline.runs.commit import code_commit
            from tfx_pipeline.runs.root import Root

            source = source_of(data, settings)
            start = pretrained_start() if settings.retraining.start == "pretrained" else FROM_SCRATCH
            made = create_pipeline(
                Root(root), source, settings, start=start, commit=code_commit(), beam=beam, history=False
            )
            tasks = compile_pipeline(made, image, out, claim=claim, mount=mount)
    if as_json:
        answer({"file": out, "tasks": tasks, "image": image})
        return
    typer.echo(f"Wrote {out}: {tasks} tasks with the image {image}.")
    typer.echo(f"Next: kfp run create -e easel -r easel -f {out}; for Vertex AI see docs/how-to/kubeflow.md.")
