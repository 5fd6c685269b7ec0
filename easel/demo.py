"""`easel demo`: from nothing to six pictures."""

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
    from serving.client import Client
    from serving.requests import Picture

PROMPTS = (
    "a red circle",
    "a large yellow star on a black background",
    "it is snowing today",
    "今天的天气很好",
    "一个蓝色的心形",
    "黑色背景上的绿色三角形",
)
PICTURES = 12_000
SEED, SCALE = 7, 6


def demo(
    root: Annotated[Path, typer.Option(help="The folder to work in.")] = Path("work/demo"),
    config: Annotated[Path | None, typer.Option(help="A TOML file that overrides the quick profile.")] = None,
    count: Annotated[int, typer.Option(min=100, help="How many pictures to draw for training.")] = PICTURES,
) -> None:
    """Draw a data set, train on it, serve the models and ask them for six pictures, in about ten minutes."""
    typer.echo("Four steps: data (10 s), training (about 9 min on two recent cores), a server (10 s), six pictures.")
    started = time.monotonic()
    with failing("pipeline"):
        from serving.folders import fresh_folder
        from tfx_pipeline.config import load_config
        from tfx_pipeline.datasets.shapes import write_shapes

        with quiet():
            from tfx_pipeline.local_run import run_local
        from tfx_pipeline.runs.root import Root

        data = root / "shapes"
        if not data.exists():
            typer.echo(f"Drawing {count:,} captioned pictures into {data}.")
            with fresh_folder(data) as made:
                write_shapes(made, count=count, size=32, seed=0)
        outcome = run_local(Root(root), data, load_config("quick", config), say=typer.echo)
        sum_up(outcome, root)
        if not outcome.blessed:
            raise typer.Exit(NOT_BLESSED)
        draw(root, started)


def draw(root: Path, started: float) -> None:
    """Ask a server of the pushed models for the six pictures, and say how to go on."""
    from serving.client import Client
    from serving.process import ServerProcess

    typer.echo("Starting a server on what was pushed.")
    with ServerProcess(root / "pushed") as server, Client(server.grpc_address) as client:
        (took, _), (longer, drawn) = (timed_drawing(client, scale) for scale in (1, SCALE))
        for picture in drawn:
            typer.echo(f"  {picture.prompt}  ->  {picture.expanded_prompt}")
    out = root / "contact-sheet.png"
    save(sheet([picture.image for picture in drawn], columns=3, gap=8), out)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    typer.echo(f"Six pictures in {took:.0f} ms, {SCALE} times finer in {longer:.0f} ms.")
    typer.echo(f"The demo took {minutes} min {seconds} s.")
    typer.echo(f"Contact sheet: {out}")
    typer.echo(next_steps(root))


def timed_drawing(client: "Client", scale: int) -> "tuple[float, list[Picture]]":
    """The six pictures, and how many milliseconds they took."""
    began = time.monotonic()
    drawn = client.generate(list(PROMPTS), seed=SEED, scale=scale)
    return (time.monotonic() - began) * 1000, drawn


def next_steps(root: Path) -> str:
    """Lines to copy: a server, curl and Python."""
    body = json.dumps({"instances": [{"prompt": PROMPTS[3], "seed": SEED}]}, ensure_ascii=False)
    return "\n".join(
        [
            "",
            "Go on with a server of your own, and a page to draw on at http://127.0.0.1:8080:",
            f"  .venv/bin/easel serve --root {shlex.quote(str(root))}",
            "and in another terminal:",
            f"  curl -s localhost:8501/v1/models/text_to_image:predict -d '{body}'",
            f"  .venv/bin/easel generate '{PROMPTS[3]}' --seed 1 -n 4 --scale 4 -o out.png",
            "or in .venv/bin/python:",
            "  from serving.client import Client",
            f'  Client("localhost:8500").generate("{PROMPTS[3]}", seed=1)[0].save("out.png")',
        ]
    )
