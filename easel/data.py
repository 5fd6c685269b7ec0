"""`easel data`: generate a dataset, or import your own."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from easel.console import FAILED, answer, progress, say, say_next

OUR_LICENCE = "Apache-2.0"
"""The licence of generated datasets, which come from the project's own code and art."""

app = typer.Typer(help="Generate a dataset of captioned pictures, or import your own.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="The folder to write; it must not exist or must be empty.")]
Count = Annotated[int, typer.Option("--count", min=1, help="How many pictures to draw.")]
Size = Annotated[int, typer.Option("--size", min=16, max=512, help="Side of the square pictures in pixels.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed; the same seed draws the same pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


@app.command()
def shapes(out: Out, count: Count = 20_000, size: Size = 32, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Draw coloured shapes and simple landscapes with captions in English and Chinese."""
    from tfx_pipeline.datasets.shapes import write_shapes

    _draw(write_shapes, "shapes", out, count, size, seed, count * _seconds(size), as_json)


@app.command()
def storybook(
    out: Out,
    count: Count = 20_000,
    size: Size = 64,
    seed: Seed = 0,
    things: Annotated[
        Path | None,
        typer.Option(help="A folder with more things (SVG and TOML); half of the scenes show one of them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw scenes of animals, plants, people, houses and vehicles with captions in English and Chinese."""
    from tfx_pipeline.datasets.storybook.samples import write_storybook

    seconds = count * _storybook_seconds(size) / (os.cpu_count() or 1)
    write = partial(write_storybook, things=things)
    command = "storybook" if things is None else f"storybook --things {things.name}"
    _draw(write, command, out, count, size, seed, seconds, as_json)


@app.command()
def leaves(out: Out, count: Count = 2_000, size: Size = 256, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Draw dead leaves, overlapping shapes with the statistics of photographs, to train a restorer."""
    from tfx_pipeline.datasets.leaves import write_leaves

    _draw(write_leaves, "leaves", out, count, size, seed, count * _leaves_seconds(size), as_json)


@app.command()
def emoji(out: Out, size: Size = 64, as_json: AsJson = False) -> None:
    """Draw the emoji of Noto Color Emoji with their English and Chinese names as captions."""
    from tfx_pipeline.datasets.emoji import write_emoji

    say(f"Drawing about 1,900 emoji of {size} x {size} pixels into {out}: {_about(8)}.", as_json=as_json)
    with _plain_errors(), progress() as report:
        summary = write_emoji(out, size=size, progress=report)
    _finish(out, asdict(summary), as_json)


@app.command("import")
def import_(
    src: Annotated[Path, typer.Argument(metavar="SRC", help="A folder of captioned pictures, or a tar of one.")],
    out: Out,
    max_quarantine: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the pictures that may be quarantined.")
    ] = 0.05,
    max_megapixels: Annotated[
        float, typer.Option(min=0.001, max=89.0, help="Largest picture in megapixels; larger ones are quarantined.")
    ] = 64.0,
    licence: Annotated[
        str,
        typer.Option("--licence", "--license", help="Licence of the dataset for its data card, such as CC-BY-4.0."),
    ] = "not stated",
    as_json: AsJson = False,
) -> None:
    """Check captioned pictures and copy them into the layout that `easel run` reads.

    SRC has a metadata.jsonl or metadata.csv with the columns file_name and text, or a picture.txt beside each
    picture.png. Several rows for one picture, or several lines in its file, are several captions. Pictures that cannot
    be used are listed in OUT/quarantine.jsonl with the reason.
    OUT/README.md is the data card, in the format of Hugging Face's data cards.
    """
    from tfx_pipeline.datasets.entries import ReadLimits
    from tfx_pipeline.datasets.importing import import_data

    limits = ReadLimits(max_share=max_quarantine, max_pixels=round(max_megapixels * 1e6))
    say(f"Checking the pictures of {src} and copying them into {out}: {_import_time(src)}.", as_json=as_json)
    with _plain_errors(), progress() as report:
        summary = import_data(src, out, limits=limits, licence=licence, progress=report)
    _say_passed_over(summary.passed_over, as_json)
    _say_quarantine(out, summary.quarantined, summary.kinds, as_json)
    _finish(out, asdict(summary), as_json)


def _draw(
    write: Callable[..., Any], command: str, out: Path, count: int, size: int, seed: int, seconds: float, as_json: bool
) -> None:
    """Fill a new folder with drawings by `write`, which takes about `seconds`, and write its data card."""
    from serving.folders import fresh_folder
    from tfx_pipeline.datasets.cards import NOT_STATED, describe

    say(f"Drawing {count:,} pictures of {size} x {size} pixels into {out}: {_about(seconds)}.", as_json=as_json)
    with _plain_errors(), progress() as report, fresh_folder(out) as made:
        summary = write(
            made, count=count, size=size, seed=seed, progress=lambda done: report("drawing pictures", done, count)
        )
        origin = f"Drawn with `easel data {command} --count {count} --size {size} --seed {seed}`."
        describe(made, out.name, origin, NOT_STATED if "--things" in command else OUR_LICENCE)
    _finish(out, asdict(summary), as_json)


def _seconds(size: int) -> float:
    # Measured on one core of a small server.
    return 4.5e-4 + 1.1e-7 * size * size


def _storybook_seconds(size: int) -> float:
    # Measured on one core of a small server.
    return 3e-3 + 1.5e-7 * size * size


def _leaves_seconds(size: int) -> float:
    # Measured on one core of a small server.
    return 3e-2 + 2e-6 * size * size


def _import_time(src: Path) -> str:
    if not src.is_dir():
        return "half a minute to a minute for every 50,000 small pictures"
    return _about(sum(len(files) for _, _, files in os.walk(src)) * 5e-4)


def _about(seconds: float) -> str:
    if seconds < 5:
        return "a few seconds"
    if seconds < 100:
        return f"about {round(seconds)} seconds"
    return f"about {round(seconds / 60)} minutes"


def _say_quarantine(out: Path, count: int, kinds: dict[str, int], as_json: bool) -> None:
    from tfx_pipeline.datasets.entries import counted

    if count:
        say(f"Quarantined {count:,}: {counted(kinds)}. They are listed in {out / 'quarantine.jsonl'}.", as_json=as_json)


def _say_passed_over(counts: dict[str, int], as_json: bool) -> None:
    from tfx_pipeline.datasets.entries import counted

    if counts:
        say(f"Ignored, not part of the dataset: {counted(counts)}.", as_json=as_json)


def _finish(out: Path, summary: dict[str, Any], as_json: bool) -> None:
    following = f"easel run --data {shlex.quote(str(out))}"
    if as_json:
        answer({**summary, "out": str(out), "next": following})
        return
    withheld = f", {summary['withheld']:,} of them withheld" if summary["withheld"] else ""
    typer.echo(f"Done: {summary['count']:,} captioned pictures in {out}{withheld}.")
    say_next(following)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Report errors that a user can fix as one sentence and exit code 1."""
    from serving.faults import explained
    from serving.folders import FolderError
    from tfx_pipeline.datasets.entries import DataSetError

    try:
        yield
    except (DataSetError, FolderError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from error
    except OSError as error:
        typer.echo(f"{explained(error)}.", err=True)
        raise typer.Exit(FAILED) from error
