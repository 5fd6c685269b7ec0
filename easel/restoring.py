"""`easel restore`: a picture of any size without its noise, blur and holes."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from easel.console import answer, fail, failing, progress, quiet, say
from easel.pictures import AsJson, Certificate, Local, Marked, Out, PrivateKey, Root, Server, connect, folder_of, writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from serving.client import Client
    from serving.tiles import Advance


class Levels(NamedTuple):
    """The noise of a picture in its own grey levels, up to `white`; None lets the model estimate it."""

    sigma: float | None
    white: int
    estimated: bool

    def __str__(self) -> str:
        """The noise as text."""
        if self.sigma is None:
            return "noise as the model estimated it"
        how = ", estimated" if self.estimated else ""
        return f"noise (standard deviation {self.sigma:.4g} of {self.white:,} grey levels{how})"


class Restored(NamedTuple):
    """A picture, and the version of the model that restored it."""

    image: "Image.Image"
    version: int


def restore(
    picture: Annotated[Path, typer.Argument(help="The damaged picture, of any size and in any common format.")],
    out: Out = Path("restored.png"),
    mask: Annotated[
        Path | None, typer.Option(help="A mask of the same size: the transparent or white parts are filled.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(min=0, max=255, help="Standard deviation of the noise in grey levels; estimated by default."),
    ] = None,
    blur: Annotated[float, typer.Option(min=0, max=2, help="Blur to remove, in pixels; not with --mask.")] = 0.0,
    enlarge: Annotated[bool, typer.Option("--enlarge", help="Also double the width and height.")] = False,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    provenance: Marked = True,
    certificate: Certificate = None,
    private_key: PrivateKey = None,
    as_json: AsJson = False,
) -> None:
    """Denoise, sharpen or inpaint a picture; with --enlarge, also upscale it to twice its size.

    Large pictures are processed in tiles, so memory does not grow with them. With --local, 16-bit greyscale pictures
    stay 16-bit.
    """
    if mask is not None and blur:
        raise typer.BadParameter("--mask and --blur cannot be combined: fill the holes first, then sharpen the result.")
    writing = writer(provenance, certificate, private_key)
    with failing("serving"):
        from serving.provenance import Restoring, of_restored

        say(f"Restoring {picture} {'in this process' if local else f'at {server}'}.", as_json=as_json)
        pixels = read(picture)
        is_deep = pixels.ndim == 2
        if is_deep and (not local or mask or enlarge):
            fail(f"{picture} has greys of 16 bits, which are restored with --local, without --mask and --enlarge.")
        levels = measured(pixels, mask, noise)
        with progress() as report:

            def advance(done: int, total: int) -> None:
                report("restoring", done, total)

            if is_deep:
                restored = deep_restored(root, pixels, levels, blur, advance)
            else:
                with connect(server, local, root) as client, quiet() if local else nullcontext():
                    restored = client_restored(client, pixels, picture, mask, levels, blur, enlarge, advance)
        done = Restoring(noise_sigma=noise, blur_sigma=blur, filled=mask is not None, enlarged=enlarge)
        writing(restored.image, of_restored(picture.read_bytes(), done, restored.version), out)
    width, height = restored.image.size
    if as_json:
        found = {"noise_sigma": levels.sigma, "noise_estimated": levels.estimated}
        answer({"out": str(out), "width": width, "height": height, **found})
        return
    typer.echo(f"Wrote {out}, {width:,} x {height:,} pixels: {deeds(levels, blur, mask is not None, enlarge)}.")


def deeds(levels: Levels, blur: float, filled: bool, enlarged: bool) -> str:
    """What was done to a picture, in words."""
    parts = ["filled the holes"] if filled else []
    parts += [about_noise(levels)]
    parts += [f"sharpened a blur of {blur:g} pixels"] if blur else []
    return ", ".join([*parts, *(["doubled the size"] if enlarged else [])])


def about_noise(levels: Levels) -> str:
    """What was done to the noise. The levels of 16-bit pictures are stretched first, so weak noise counts there."""
    from serving.noise import CLEAN

    if levels.sigma == 0:
        return "found no noise"
    invisible = levels.sigma is not None and levels.sigma < CLEAN and levels.white == 255
    return f"left {levels}, which is too weak to see" if invisible else f"reduced {levels}"


def read(picture: Path) -> "NDArray[Any]":
    """A picture: uint16[h, w] if it is grey with 16 bits, else uint8[h, w, 3], upright and in sRGB."""
    import numpy as np

    from serving import images
    from serving.client import ServingError

    try:
        stored = images.decoded(picture.read_bytes())
        deep = images.deep_grey(stored)
        if deep is not None:
            return np.asarray(deep).astype(np.uint16)
        return np.asarray(images.on_white(images.standard(stored)))
    except images.PictureError as error:
        raise ServingError(f"image {picture}: {error}", "INVALID_ARGUMENT") from error


def measured(pixels: "NDArray[Any]", mask: Path | None, noise: float | None) -> Levels:
    """The noise of a picture, as given or else as estimated."""
    from serving.noise import SMALLEST, noise_sigma

    white = 2 ** (8 * pixels.itemsize) - 1
    if noise is not None:
        return Levels(noise * white / 255, white, estimated=False)
    if mask is not None or min(pixels.shape[:2]) < SMALLEST:
        return Levels(None, white, estimated=True)
    return Levels(noise_sigma(pixels), white, estimated=True)


def client_restored(
    client: "Client",
    pixels: "NDArray[np.uint8]",
    picture: Path,
    mask: Path | None,
    levels: Levels,
    blur: float,
    enlarge: bool,
    advance: "Advance",
) -> Restored:
    """A picture, restored tile by tile; with a mask in one piece, because holes are filled from distant pixels too."""
    import numpy as np
    from PIL import Image

    from serving.tiles import tiled

    versions = set[int]()

    def by(call: "Callable[..., Image.Image]", **how: Any) -> "Callable[[NDArray[Any]], NDArray[Any]]":
        def restored(part: "NDArray[Any]") -> "NDArray[Any]":
            image = call(Image.fromarray(part), **how)
            versions.add(image.info["model_version"])
            return np.asarray(image)

        return restored

    if mask is not None:
        image = client.restore(picture, mask=mask, noise_sigma=levels.sigma)
        versions.add(image.info["model_version"])
        pixels = np.asarray(image)
    else:
        pixels = tiled(by(client.restore, noise_sigma=levels.sigma, blur_sigma=blur), pixels, advance=advance)
    if enlarge:
        pixels = tiled(by(client.enlarge), pixels, scale=2, advance=advance)
    return Restored(Image.fromarray(pixels), max(versions))


def deep_restored(
    root: Path, pixels: "NDArray[np.uint16]", levels: Levels, blur: float, advance: "Advance"
) -> Restored:
    """A grey picture of 16 bits, restored by a bundle."""
    from PIL import Image

    from serving.bundle.deep import restore_deep
    from serving.bundle.drawing import Artist
    from serving.bundle.facts import is_bundle

    folder = folder_of(root)
    if not is_bundle(folder):
        fail(
            f"{folder} holds SavedModels, which take 8 bits: give a bundle by --root; `easel export litert` writes one."
        )
    with quiet():
        artist = Artist(folder)
        restored = restore_deep(artist.restorer, pixels, levels.sigma or 0.0, blur, advance)
    return Restored(Image.fromarray(restored), artist.facts.version)
