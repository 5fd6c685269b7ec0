"""Captioned scenes, in memory or as a dataset on disk."""

import functools
import multiprocessing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfx_pipeline.datasets.entries import JSONL, DataSetError, Entry, Objects, write_metadata
from tfx_pipeline.datasets.importing import IMAGES
from tfx_pipeline.datasets.storybook.captions import Captions, captions
from tfx_pipeline.datasets.storybook.layout import random_scene
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import SHARES
from tfx_pipeline.datasets.storybook.things import add_things, read_new_things

MIN_SIZE, MAX_SIZE = 16, 512
_BATCH = 256


@dataclass(frozen=True)
class Sample:
    """A scene and its captions; `render(sample.scene, size)` draws it."""

    scene: Scene
    captions: Captions


@dataclass(frozen=True)
class StorybookSummary:
    """The number of pictures that were written, and how many of them are withheld from training."""

    count: int
    withheld: int


def sample(
    count: int,
    seed: int,
    *,
    withheld: bool | None = False,
    shares: Mapping[str, float] = SHARES,
    start: int = 0,
    about: Collection[str] = (),
) -> Iterator[Sample]:
    """Captioned scenes; each depends only on the seed and its number.

    Args:
        count: Number of scenes.
        seed: Seed of the whole sequence.
        withheld: True yields only withheld scenes, False only training scenes, None both.
        shares: Weight of each kind of scene, at least 0; `{"pair": 1}` yields only pairs.
        start: The number of the first scene.
        about: Nouns, one of which is in every second scene.
    """
    for number in range(start, start + count):
        rng = np.random.default_rng([seed, number])
        scene = random_scene(rng, shares=shares, withheld=withheld, about=() if number % 2 else about)
        yield Sample(scene, captions(scene, rng))


def write_storybook(
    out: Path,
    *,
    count: int,
    size: int,
    seed: int,
    things: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> StorybookSummary:
    """Draw a dataset in the ImageFolder layout: `images/000000.png` and `metadata.jsonl`.

    Args:
        out: An empty folder.
        count: Number of pictures, at least 1.
        size: Side of the pictures in pixels, 16 to 512.
        seed: Seed; the same seed gives the same bytes, with any number of workers.
        things: A folder of further things, one of which is in every second scene.
        workers: Number of processes; by default one per core.
        progress: Called with the number of pictures written so far.

    Raises:
        DataSetError: `count` or `size` is out of range, or the further things are invalid.
    """
    if count < 1 or not MIN_SIZE <= size <= MAX_SIZE:
        raise DataSetError(f"count {count} and size {size}: count must be at least 1 and size 16 to 512 pixels.")
    new = read_new_things(things) if things else {}
    (out / IMAGES).mkdir()
    entries: list[Entry] = []
    batches = [(number, min(_BATCH, count - number)) for number in range(0, count, _BATCH)]
    with multiprocessing.get_context("spawn").Pool(workers, add_things, (new,)) as pool:
        for batch in pool.imap(functools.partial(write_batch, out, size, seed, tuple(new)), batches):
            entries += batch
            if progress is not None:
                progress(len(entries))
    write_metadata(out / JSONL, entries)
    return StorybookSummary(count, sum(entry.withheld for entry in entries))


def write_batch(out: Path, size: int, seed: int, about: Collection[str], batch: tuple[int, int]) -> list[Entry]:
    """Draw the pictures of a range of numbers, and describe them."""
    start, count = batch
    drawn = sample(count, seed, withheld=None, start=start, about=about)
    return [write_sample(out, f"{IMAGES}/{number:06}.png", each, size) for number, each in enumerate(drawn, start)]


def write_sample(out: Path, file_name: str, drawn: Sample, size: int) -> Entry:
    """Draw one picture and describe it."""
    # Level 1: these pictures are flat, and stronger compression takes three times as long.
    Image.fromarray(render(drawn.scene, size)).save(out / file_name, compress_level=1)
    pair = drawn.captions
    attributes = drawn.scene.attributes | {"open": list(pair.open)}
    return Entry(
        file_name,
        pair.english,
        pair.chinese,
        attributes,
        drawn.scene.withheld,
        objects=objects_of(drawn.scene, size),
        tags=tuple(drawn.scene.scenery),
    )


def objects_of(scene: Scene, size: int) -> Objects:
    """The boxes of a scene's figures in a picture of `size` pixels, in the order of its story."""
    corners = [(x - width / 2, y - height / 2, width, height) for x, y, width, height, _ in scene.boxes]
    return Objects(
        bbox=tuple(
            (round(size * x, 2), round(size * y, 2), round(size * w, 2), round(size * h, 2)) for x, y, w, h in corners
        ),
        categories=tuple(map(tuple, scene.tags)),
        nearness=tuple(box[-1] for box in scene.boxes),
    )
