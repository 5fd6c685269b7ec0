"""`easel inspect`: what a picture tells about itself, and whether it is true."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from easel.console import answer, fail, failing, say
from easel.pictures import AsJson, Local, Root, Server, connect, side_by_side

if TYPE_CHECKING:
    from serving.client import Client, Picture
    from serving.provenance import Provenance

_OTHERS = "other models bear the same version number"
_BIT_FOR_BIT = "The same, bit for bit."
ROUNDED = 1e-3
"""Share of the pixels that may be a grey level off in a drawing that is called the same: numbers are added up in
another order in a batch than alone, and now and then a value lies where that decides how it is rounded."""


def inspect(
    picture: Annotated[Path, typer.Argument(help="A PNG that Easel wrote.")],
    again: Annotated[bool, typer.Option("--again", help="Draw it again, and compare every pixel.")] = False,
    server: Server = "localhost:8500",
    local: Local = False,
    root: Root = Path("work"),
    as_json: AsJson = False,
) -> None:
    """Show what a picture was made from; with --again, draw it once more and tell whether it is the same.

    Exit code 1 where it is not. A grey level in a thousandth of the pixels is rounding, and is told.
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
    """What a picture tells, in lines for a person."""
    models = ", ".join(f"{name} {version}" for name, version in record.models.items())
    lines = [f"{record.made} with {record.software}: {models}"]
    for drawing in record.drawings:
        switches = [name for name in ("expand", "refine") if not getattr(drawing, name)]
        off = "".join(f", without {name}" for name in switches)
        of = "" if drawing.candidates == 1 else f", of {drawing.candidates} candidates"
        size = "" if drawing.scale == 1 else f", {drawing.scale} times finer"
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
    """Draw what a picture tells again, by the same version: whether it is the same, and a sentence that says so."""
    from PIL import Image, ImageChops

    if record.restoring or not record.drawings:
        return False, "A restored picture cannot be made again from itself: restore the one that it came from."
    drawn: list[Picture] = []
    for drawing in record.drawings:
        how = drawing.model_dump(exclude={"expanded_prompt"})
        drawn += client.generate(**how, version=record.models.get("text_to_image"))
    for ours, drawing in zip(drawn, record.drawings, strict=True):
        if ours.expanded_prompt != drawing.expanded_prompt:
            return (
                False,
                f"Different: drawn was {drawing.expanded_prompt!r}, and now {ours.expanded_prompt!r}: {_OTHERS}.",
            )
    image, _ = side_by_side(drawn)
    with Image.open(picture) as opened:
        before = opened.convert("RGB")
    if before.size != image.size:
        return False, f"Different: {before.width}x{before.height} pixels, and now {image.width}x{image.height}."
    difference = ImageChops.difference(before, image)
    if difference.getbbox() is None:
        return True, _BIT_FOR_BIT
    changed = sum(map(any, zip(*(band.tobytes() for band in difference.split()), strict=True)))
    most, all_of_them = max(difference.tobytes()), image.width * image.height
    if most == 1 and changed <= ROUNDED * all_of_them:
        return True, f"The same but for rounding: {changed} of {all_of_them} pixels, by 1 of 255 grey levels."
    return False, (
        f"Different: {changed} of {all_of_them} pixels, by {most} of 255 grey levels at most: the file was edited, "
        f"{_OTHERS}, or other hardware drew it."
    )
