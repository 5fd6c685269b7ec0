"""`easel demo`: fine-tune the pretrained models on something that they have never seen."""

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easel.console import NOT_BLESSED, failing, quiet
from easel.pictures import save, sheet
from easel.runs import sum_up

if TYPE_CHECKING:
    from PIL import Image

    from tfx_pipeline.config import RunConfig

PROMPTS = (
    "a green dinosaur in a meadow",
    "a purple dinosaur to the left of a castle",
    "雪地里有一只蓝色的恐龙",
    "夜晚的恐龙",
    "a cat under a tree at night",
    "一只可爱的猫咪",
)
PICTURES, SEED, SIDE = 3000, 0, 256


def demo(
    root: Annotated[Path, typer.Option(help="The folder to work in.")] = Path("work/demo"),
    config: Annotated[Path | None, typer.Option(help="A TOML file that overrides the brief profile.")] = None,
    count: Annotated[int, typer.Option(min=100, help="How many pictures to draw for training.")] = PICTURES,
) -> None:
    """Fine-tune the pretrained models on dinosaurs: dataset, training, server, and pictures before and after."""
    started = time.monotonic()
    with failing("pipeline"):
        from tfx_pipeline.config import PROFILES, load_config

        settings = load_config("brief", config, "pretrained")
        typer.echo(f"The demo draws a dataset (a minute), trains ({PROFILES['brief'].time}) and starts a server.")
        data = drawn_data(root / "dinosaurs", count, settings)
        typer.echo("Drawing the prompts with the pretrained models, which have never seen a dinosaur.")
        with quiet():
            before = drawn_before(SIDE // settings.data.picture_size)
            from tfx_pipeline.local_run import run_local
        from tfx_pipeline.runs.root import Root

        outcome = run_local(Root(root), data, settings, say=typer.echo)
        sum_up(outcome, root)
        if not outcome.blessed:
            raise typer.Exit(NOT_BLESSED)
        after = drawn_after(root, SIDE // settings.data.picture_size)
    out = root / "before-and-after.png"
    save(sheet([*before, *after], columns=len(PROMPTS), gap=8), out)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    typer.echo(f"The demo took {minutes} min {seconds} s.")
    typer.echo(f"Before (above) and after (below): {out}")
    typer.echo(next_steps(root))


def drawn_data(folder: Path, count: int, settings: "RunConfig") -> Path:
    """Storybook pictures, half of them with a dinosaur, at the resolution that the network is trained on."""
    from models.learning.networks import NETWORKS
    from serving.folders import fresh_folder
    from tfx_pipeline.datasets.storybook.samples import write_storybook
    from tfx_pipeline.datasets.storybook.things import ART

    if not folder.exists():
        typer.echo(f"Drawing {count:,} captioned pictures into {folder}, half of them with a dinosaur.")
        size = NETWORKS[settings.drawing.network].fineness * settings.data.picture_size
        with fresh_folder(folder) as made:
            write_storybook(made, count=count, size=size, seed=SEED, things=ART / "demo")
    return folder


def drawn_before(scale: int) -> "list[Image.Image]":
    """Pictures of the prompts from the pretrained models."""
    from PIL import Image

    from models.pretrained import load_pretrained

    return [Image.fromarray(pixels) for pixels in load_pretrained().generate(list(PROMPTS), seed=SEED, scale=scale)]


def drawn_after(root: Path, scale: int) -> "list[Image.Image]":
    """Pictures of the prompts from a server with the pushed models."""
    from serving.client import Client
    from serving.process import ServerProcess

    typer.echo("Starting a server with the pushed models.")
    with ServerProcess(root / "pushed") as server, Client(server.grpc_address) as client:
        began = time.monotonic()
        drawn = client.generate(list(PROMPTS), seed=SEED, scale=scale)
        took = time.monotonic() - began
    for picture in drawn:
        typer.echo(f"  {picture.prompt}  ->  {picture.expanded_prompt}")
    typer.echo(f"{len(drawn)} pictures of {SIDE} x {SIDE} pixels in {took * 1000:.0f} ms.")
    return [picture.image for picture in drawn]


def next_steps(root: Path) -> str:
    """Commands to copy: a server, curl and Python."""
    body = json.dumps({"instances": [{"prompt": PROMPTS[2], "seed": SEED}]}, ensure_ascii=False)
    return "\n".join(
        [
            "",
            "To start a server, with a web page at http://127.0.0.1:8080:",
            f"  .venv/bin/easel serve --root {shlex.quote(str(root))}",
            "In another terminal:",
            f"  curl -s localhost:8501/v1/models/text_to_image:predict -d '{body}'",
            f"  .venv/bin/easel generate '{PROMPTS[2]}' --seed 1 -n 4 --scale 4 -o out.png",
            "Or in .venv/bin/python:",
            "  from serving.client import Client",
            f'  Client("localhost:8500").generate("{PROMPTS[2]}", seed=1)[0].save("out.png")',
        ]
    )
