"""`easel inspect`: show the provenance of a picture, and verify it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easel.console import answer, fail, failing, say
from easel.pictures import AsJson, Local, Root, Server, connect, side_by_side

if TYPE_CHECKING:
    from serving.client import Client, Picture
    from serving.provenance import Provenance

_OTHERS = "the server has other models with the same version number"
_BIT_FOR_BIT = "The same, bit for bit."
ROUNDED = 1e-3
"""Share of the pixels that may differ by one grey level in a drawing that counts as the same: a batch adds numbers in
another order than a single picture does, which can change how a value is rounded."""


def inspect(
    picture: Annotated[Path, typer.Argument(help="A PNG that Easel wrote.")],
    again: Annotated[bool, typer.Option("--again", help="Draw it again and compare every pixel.")] = False,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    as_json: AsJson = False,
) -> None:
    """Show how a picture was made; with --again, draw it again and check that it is the same.

    The exit code is 1 if it differs. A difference of one grey level in at most 0.1% of the pixels counts as rounding.
    """
    with failing("serving"):
        from serving import provenance, signing

        record = provenance.read(picture)
        credentials = signing.read(picture)
        if not as_json:
            typer.echo("\n".join(described(record, credentials)))
        same, verdict = True, ""
        if again:
            say("Drawing it again.", as_json=as_json)
            with connect(server, local, root) as client:
                same, verdict = compared(picture, record, client)
    if as_json:
        drawn = {"again": "the same" if verdict == _BIT_FOR_BIT else verdict} if again else {}
        answer({**record.model_dump(mode="json", exclude_none=True), "credentials": credentials, **drawn})
    elif again and same:
        typer.echo(verdict)
    if not same:
        fail(verdict)


def described(record: "Provenance", credentials: "dict[str, str]") -> list[str]:
    """The provenance of a picture as lines of text."""
    models = ", ".join(f"{name} {version}" for name, version in record.models.items())
    lines = [f"{record.made} with {record.software}: {models}"]
    for drawing in record.drawings:
        switches = [name for name in ("expand", "refine") if not getattr(drawing, name)]
        off = "".join(f", without {name}" for name in switches)
        of = "" if drawing.candidates == 1 else f", of {drawing.candidates} candidates"
        size = "" if drawing.scale == 1 else f", upscaled {drawing.scale} times"
        warmth = "" if drawing.temperature is None else f", temperature {drawing.temperature:g}"
        lines += [
            f"  prompt: {drawing.prompt}",
            f"  drawn: {drawing.expanded_prompt}",
            f"  seed {drawing.seed}{warmth}{off}{of}{size}",
        ]
        if drawing.share:
            goal = drawing.to_prompt if drawing.to_prompt is not None else drawing.prompt
            seed = drawing.to_seed if drawing.to_seed is not None else drawing.seed
            lines.append(f"  interpolated {drawing.share:.0%} of the way to: {goal}, seed {seed}")
    if record.restoring:
        done = record.restoring.model_dump(exclude_defaults=True)
        lines.append(f"  restored: {', '.join(f'{name} {value}' for name, value in done.items()) or 'noise estimated'}")
    return lines + [f"  {name}: {value}" for name, value in credentials.items()]


def compared(picture: Path, record: "Provenance", client: "Client") -> tuple[bool, str]:
    """Draw a picture again with the same version; returns whether it is the same, and a sentence that says so."""
    from PIL import Image, ImageChops

    if record.restoring or not record.drawings:
        return False, "A restored picture cannot be reproduced from the file: restore the original picture again."
    drawn: list[Picture] = []
    for drawing in record.drawings:
        how = drawing.model_dump(exclude={"expanded_prompt"})
        drawn += client.generate(**how, version=record.models.get("text_to_image"))
    for ours, drawing in zip(drawn, record.drawings, strict=True):
        if ours.expanded_prompt != drawing.expanded_prompt:
            return (
                False,
                f"Different: the caption was {drawing.expanded_prompt!r}, now {ours.expanded_prompt!r}: {_OTHERS}.",
            )
    image, _ = side_by_side(drawn)
    with Image.open(picture) as opened:
        before = opened.convert("RGB")
    if before.size != image.size:
        return (
            False,
            f"Different: {before.width}x{before.height} pixels, now {image.width}x{image.height}.",
        )
    difference = ImageChops.difference(before, image)
    if difference.getbbox() is None:
        return True, _BIT_FOR_BIT
    changed = sum(map(any, zip(*(band.tobytes() for band in difference.split()), strict=True)))
    most, all_of_them = max(difference.tobytes()), image.width * image.height
    if most == 1 and changed <= ROUNDED * all_of_them:
        return True, f"The same except for rounding: {changed} of {all_of_them} pixels differ by 1 of 255 grey levels."
    return False, (
        f"Different: {changed} of {all_of_them} pixels differ, by up to {most} of 255 grey levels. "
        f"The file was edited, {_OTHERS}, or it was drawn on other hardware."
    )
