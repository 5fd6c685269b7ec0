"""`easel generate` and `easel restore`: pictures from a server, or from models in this process."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easel.console import answer, failing, quiet, say

if TYPE_CHECKING:
    from PIL import Image

    from serving.client import Client

Server = Annotated[str, typer.Option(help="host:port of a server's gRPC port.")]
Local = Annotated[bool, typer.Option("--local", help="Draw in this process instead of asking a server.")]
Root = Annotated[Path, typer.Option(help="With --local, the folder that `easel run` pushed to.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The PNG to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw, in English or Chinese.")],
    out: Out = Path("out.png"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=256, help="How many pictures.")] = 1,
    seed: Annotated[int, typer.Option(help="The first picture's seed; the next ones count up from it.")] = 0,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, max=10, help="How freely to continue; 0 takes the likeliest words."),
    ] = None,
    expand: Annotated[bool, typer.Option(help="Continue the prompt to a full caption first.")] = True,
    refine: Annotated[bool, typer.Option(help="Let the restorer have the last word.")] = True,
    candidates: Annotated[
        int, typer.Option(min=1, max=16, help="Draw each so many times, and take the one most like the others.")
    ] = 1,
    scale: Annotated[int, typer.Option(min=1, max=32, help="Enlarge each pixel to a block of this side.")] = 1,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    as_json: AsJson = False,
) -> None:
    """Draw a prompt in milliseconds, with --local in ten seconds; several pictures lie side by side in one PNG.

    With --local and nothing trained yet, the pretrained models draw.
    """
    with failing("serving"):
        say(f"Drawing {prompt!r} {'in this process' if local else f'at {server}'}.", as_json=as_json)
        with connect(server, local, root) as client:
            drawn = client.generate(
                [prompt] * count,
                seed=list(range(seed, seed + count)),
                temperature=temperature,
                expand=expand,
                refine=refine,
                candidates=candidates,
            )
        save(sheet([picture.image for picture in drawn], columns=min(count, 8), scale=scale), out)
    if as_json:
        captions = [{"seed": picture.seed, "expanded_prompt": picture.expanded_prompt} for picture in drawn]
        answer({"out": str(out), "prompt": prompt, "pictures": captions})
        return
    for picture in drawn:
        typer.echo(f"  seed {picture.seed}: {picture.expanded_prompt}")
    typer.echo(f"Wrote {out}. Another seed draws another picture: --seed {seed + count}")


def restore(
    picture: Annotated[Path, typer.Argument(help="The damaged picture: PNG, JPEG, BMP or GIF, of any size.")],
    out: Out = Path("restored.png"),
    mask: Annotated[Path | None, typer.Option(help="A picture of the same size, white where holes are.")] = None,
    noise: Annotated[
        float | None, typer.Option(min=0, max=255, help="Noise in grey levels; estimated if left out.")
    ] = None,
    blur: Annotated[float, typer.Option(min=0, max=2, help="Blur in pixels, to be sharpened; not with --mask.")] = 0.0,
    enlarge: Annotated[bool, typer.Option("--enlarge", help="Then draw the result at twice its size.")] = False,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    as_json: AsJson = False,
) -> None:
    """Take noise, blur and holes out of a picture, and enlarge it."""
    if mask is not None and blur:
        raise typer.BadParameter("--mask and --blur exclude each other: fill the holes first, then sharpen the result.")
    with failing("serving"):
        say(f"Restoring {picture} {'in this process' if local else f'at {server}'}.", as_json=as_json)
        with connect(server, local, root) as client:
            restored = client.restore(picture, mask=mask, noise_sigma=noise, blur_sigma=blur)
            restored = client.enlarge(restored) if enlarge else restored
        save(restored, out)
    if as_json:
        answer({"out": str(out), "width": restored.width, "height": restored.height})
        return
    typer.echo(f"Wrote {out}.")


def connect(server: str, local: bool, root: Path) -> "Client":
    """The client for a server, or for the models in this process."""
    if local:
        with quiet():
            from serving.local import LocalClient

        return LocalClient(models_here(root))
    from serving.client import Client

    return Client(server)


def models_here(root: Path) -> Path:
    """What was pushed in this root, or else the pretrained models, which are unpacked beside it once."""
    pushed, pretrained = root / "pushed", root / "pretrained"
    if pushed.is_dir():
        return pushed
    if not pretrained.is_dir():
        typer.echo(f"Nothing was trained in {root}: unpacking the pretrained models into {pretrained}.", err=True)
        with quiet():
            from models.pretrained import export_pretrained
            from tfx_pipeline.datasets.importing import fresh_folder

        with fresh_folder(pretrained) as folder:
            export_pretrained(folder)
    return pretrained


def sheet(images: "list[Image.Image]", *, columns: int, scale: int = 1, gap: int = 2) -> "Image.Image":
    """Pictures of one size in rows on white; a single one is left as it is, but for the scale."""
    from PIL import Image

    width, height = images[0].width * scale, images[0].height * scale
    gap = gap if len(images) > 1 else 0
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        enlarged = image.resize((width, height), Image.Resampling.NEAREST)
        canvas.paste(enlarged, (column * (width + gap), row * (height + gap)))
    return canvas


def save(image: "Image.Image", out: Path) -> None:
    """Write a PNG, and the folder it goes to."""
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out, "PNG")
