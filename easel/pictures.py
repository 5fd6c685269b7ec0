"""`easel generate`: pictures from a server, or from models loaded in this process."""

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import models
from easel.console import answer, failing, quiet, say, short
from models import options
from models.options import Option

if TYPE_CHECKING:
    from PIL import Image

    from serving.client import Client, Picture
    from serving.local import LocalClient
    from serving.provenance import Provenance

Server = Annotated[str, typer.Option(help="host:port of the server's gRPC port.")]
Local = Annotated[bool, typer.Option("--local", help="Run the models in this process, without a server.")]
Root = Annotated[Path, typer.Option(help="With --local, the folder of a run, or a bundle.")]
OTHER_FORMATS = frozenset({".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2"})


def named_png(out: Path) -> Path:
    """Refuse a file name with the extension of another format.

    Raises:
        typer.BadParameter: The extension belongs to another format.
    """
    if out.suffix.lower() in OTHER_FORMATS:
        raise typer.BadParameter(f"Only PNG can be written, not {out}: use {out.with_suffix('.png')}.")
    return out


Out = Annotated[Path, typer.Option("--out", "-o", callback=named_png, help="The PNG to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Marked = Annotated[bool, typer.Option("--provenance/--no-provenance", help="Write into the PNG how it was made.")]
Certificate = Annotated[
    Path | None, typer.Option(help="Sign the PNG (C2PA) with this certificate chain (PEM); needs --private-key.")
]
PrivateKey = Annotated[Path | None, typer.Option(help="The private key of the certificate (PEM).")]


def option(row: Option[Any]) -> Any:
    """A command-line option with the range and help of a drawing option."""
    return typer.Option(min=row.bounds.get("ge"), max=row.bounds.get("le"), help=row.help)


def generate(
    prompt: Annotated[str, typer.Argument(help="The prompt, in English or Chinese.")],
    out: Out = Path("out.png"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=256, help="How many pictures.")] = 1,
    seed: Annotated[int, typer.Option(help=options.SEED.help)] = options.SEED.default,
    temperature: Annotated[float | None, option(options.TEMPERATURE)] = None,
    expand: Annotated[bool, option(options.EXPAND)] = options.EXPAND.default,
    refine: Annotated[bool, option(options.REFINE)] = options.REFINE.default,
    candidates: Annotated[int, option(options.CANDIDATES)] = options.CANDIDATES.default,
    scale: Annotated[int, option(options.SCALE)] = options.SCALE.default,
    to_prompt: Annotated[str | None, option(options.TO_PROMPT)] = options.TO_PROMPT.default,
    to_seed: Annotated[int | None, option(options.TO_SEED)] = options.TO_SEED.default,
    share: Annotated[float, option(options.SHARE)] = options.SHARE.default,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    provenance: Marked = True,
    certificate: Certificate = None,
    private_key: PrivateKey = None,
    as_json: AsJson = False,
) -> None:
    """Draw a picture from a prompt; several pictures are placed side by side in one PNG.

    With --local, the pretrained models are used if no model has been pushed; with LiteRT this takes a second. Models
    that `easel run` pushed need TensorFlow, which takes ten seconds to start.
    """
    writing = writer(provenance, certificate, private_key)
    with failing("serving"):
        from serving.requests import seeds_from

        *seeds, following = seeds_from(seed, count + 1)
        say(f"Drawing {short(prompt)!r} {'in this process' if local else f'at {server}'}.", as_json=as_json)
        with connect(server, local, root) as client, quiet() if local else nullcontext():
            drawn = client.generate(
                [prompt] * count,
                seed=seeds,
                temperature=temperature,
                expand=expand,
                refine=refine,
                candidates=candidates,
                scale=scale,
                to_prompt=to_prompt,
                to_seed=to_seed,
                share=share,
            )
        image, record = side_by_side(drawn)
        writing(image, record, out)
    if as_json:
        captions = [{"seed": picture.seed, "expanded_prompt": picture.expanded_prompt} for picture in drawn]
        reading = {"unknown_words": list(drawn[0].unknown_words), "read_as": drawn[0].read_as}
        answer({"out": str(out), "prompt": prompt, **reading, "pictures": captions})
        return
    if drawn[0].read_as:
        typer.echo(f"Read as {short(drawn[0].read_as)!r}.")
    if drawn[0].unknown_words:
        typer.echo(f"Unknown words: {', '.join(map(short, drawn[0].unknown_words))}.")
    for picture in drawn:
        typer.echo(f"  seed {picture.seed}: {short(picture.expanded_prompt)}")
    typer.echo(f"Wrote {out}. Another seed draws another picture: --seed {following}")


def side_by_side(drawn: "list[Picture]") -> "tuple[Image.Image, Provenance]":
    """Pictures in rows of eight, and their provenance."""
    from serving.provenance import of_drawings

    images = [picture.image.convert("RGB") for picture in drawn]
    provenance = of_drawings(*(picture.drawing for picture in drawn), version=drawn[0].version)
    return sheet(images, columns=min(len(drawn), 8)), provenance


def connect(server: str, local: bool, root: Path) -> "Client":
    """A client for a server, or for models in this process."""
    if local:
        return client_here(root)
    from serving.client import Client

    return Client(server)


def client_here(root: Path) -> "LocalClient":
    """A client for models in this process: a bundle, the models pushed in this root, or the pretrained ones."""
    from serving.bundle.facts import is_bundle
    from serving.local import LocalClient

    models = folder_of(root)
    if not is_bundle(models):
        with quiet():
            from serving.server.storage import passed_over

        for line in passed_over(models):
            typer.echo(line, err=True)
    return LocalClient(models)


def folder_of(root: Path) -> Path:
    """The folder of a root's models; for a bundle, the bundle itself."""
    from serving.bundle.facts import is_bundle

    return root if is_bundle(root) else models_here(root)


def models_here(root: Path) -> Path:
    """The models pushed in this root, or else the pretrained models, which are converted once."""
    if (root / "pushed").is_dir():
        return root / "pushed"
    typer.echo(f"No run has pushed a model to {root}: using the pretrained models.", err=True)
    return bundled() if find_spec("ai_edge_litert") else unpacked(root)


def bundled() -> Path:
    """The pretrained models as a bundle, written to the user's cache once per version."""
    from models.pretrained import HERE, digest
    from serving.bundle.facts import FORMAT
    from serving.folders import fresh_folder

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "easel"
    bundle = cache / f"litert-{FORMAT}-{digest(*sorted(HERE.glob('*.keras')))}"
    if not bundle.is_dir():
        typer.echo(f"Converting them to LiteRT in {bundle}: half a minute, only once.", err=True)
        with quiet():
            from models.bundle import export_bundle
            from models.pretrained import load_pretrained, load_restorer

            with fresh_folder(bundle) as folder:
                export_bundle(load_pretrained(), folder, restorer=load_restorer())
    return bundle


def unpacked(root: Path) -> Path:
    """The pretrained models as SavedModels, exported into a root once per release."""
    pretrained, made_from = root / "pretrained", root / "pretrained" / "made_from.txt"
    digest = digest_of_models()
    if not made_from.is_file() or made_from.read_text() != digest:
        shutil.rmtree(pretrained, ignore_errors=True)
        typer.echo(f"Exporting the pretrained models to {pretrained}.", err=True)
        with quiet():
            from models.pretrained import export_pretrained
            from serving.folders import fresh_folder
            from serving.warmup import example_requests, write_warmup

        with fresh_folder(pretrained) as folder:
            export_pretrained(folder)
            for version in folder.glob("*/1"):
                write_warmup(version, version.parent.name, example_requests(version))
            (folder / made_from.name).write_text(digest)
    return pretrained


def digest_of_models() -> str:
    """A digest of everything the exported pretrained models depend on: the weights and the code."""
    files = sorted(file for file in Path(models.__file__).parent.rglob("*") if file.suffix in (".py", ".keras"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def sheet(images: "list[Image.Image]", *, columns: int, gap: int = 2) -> "Image.Image":
    """Pictures of the same size in rows on white; a single picture is returned unchanged."""
    from PIL import Image

    width, height = images[0].size
    gap = gap if len(images) > 1 else 0
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        canvas.paste(image, (column * (width + gap), row * (height + gap)))
    return canvas


def writer(
    provenance: bool, certificate: Path | None, private_key: Path | None
) -> "Callable[[Image.Image, Provenance, Path], None]":
    """A function that writes a picture, and creates its folder, with the provenance that the options ask for."""
    if (certificate is None) != (private_key is None):
        raise typer.BadParameter("--certificate and --private-key must be given together.")
    if certificate and not provenance:
        raise typer.BadParameter("--certificate signs the provenance: it cannot be combined with --no-provenance.")

    def write(image: "Image.Image", record: "Provenance", out: Path) -> None:
        from serving import signing
        from serving.provenance import inscribe

        png = inscribe(image, record if provenance else None)
        out.parent.mkdir(parents=True, exist_ok=True)
        if certificate and private_key:
            with failing("c2pa"):
                png = signing.sign(png, record, certificate, private_key)
        out.write_bytes(png)

    return write


def save(image: "Image.Image", out: Path) -> None:
    """Write a PNG, and create its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out, "PNG")
