"""Annotations of pictures, boxes and tags, from the columns of a dataset to the arrays for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tfx_pipeline.datasets.entries import Entry, Objects

MOST_TAGS = 512
"""Maximum number of tags, the most common ones; rare tags contribute little, and each costs memory per picture."""

Zeros = Callable[[Sequence[int], type], NDArray[Any]]
"""Makes an array of a shape and a type, such as `np.zeros`."""


class Box(NamedTuple):
    """The box of a thing: centre, width and height in shares of the picture's side, and nearness."""

    x: float
    y: float
    width: float
    height: float
    nearness: float


class Annotations(BaseModel):
    """The annotations of a picture, stored in an Example as JSON.

    Attributes:
        boxes: Boxes of things, relative to the central square that models see; None if unknown.
        categories: Categories of each thing, one or several; empty if unknown.
        tags: Tags of the whole picture.
    """

    model_config = ConfigDict(frozen=True)

    boxes: tuple[Box, ...] | None = None
    categories: tuple[tuple[str, ...], ...] = ()
    tags: tuple[str, ...] = ()


def encoded(entry: Entry, width: int, height: int) -> str:
    """The annotations of an entry with a picture of this size, as JSON; empty if it has none."""
    if entry.objects is None and not entry.tags:
        return ""
    objects = entry.objects
    boxes = None if objects is None else in_square(objects, width, height)
    annotations = Annotations(boxes=boxes, categories=objects.categories if objects else (), tags=entry.tags)
    return annotations.model_dump_json(exclude_defaults=True)


def decoded(annotations: bytes) -> Annotations:
    """Decode the result of `encoded`."""
    return Annotations.model_validate_json(annotations) if annotations else Annotations()


def in_square(objects: Objects, width: int, height: int) -> tuple[Box, ...]:
    """Boxes relative to the central square of a picture, see `models.pictures.square`; they may lie outside of it."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    nearness = objects.nearness or (0.0,) * len(objects.bbox)
    return tuple(
        Box((x + wide / 2 - left) / side, (y + high / 2 - top) / side, wide / side, high / side, near)
        for (x, y, wide, high), near in zip(objects.bbox, nearness, strict=True)
    )


def boxes_of(
    annotations: Collection[Annotations], things: int, *, zeros: Zeros = np.zeros
) -> NDArray[np.float32] | None:
    """The boxes of the first `things` things of each picture, in the format of `models.learning.inputs.Captioned`."""
    if all(annotation.boxes is None for annotation in annotations):
        return None
    boxes = zeros([len(annotations), things, len(Box._fields)], np.float32)
    for row, each in enumerate(annotations):
        if each.boxes is not None:
            boxes[row] = np.nan
            boxes[row, : len(each.boxes)] = in_sight(each.boxes[:things])
    return boxes


def in_sight(boxes: Sequence[Box]) -> NDArray[np.float32]:
    """Boxes as float32[n, 5], NaN if they lie outside the picture; only the order of their nearness matters."""
    rows = np.array(boxes, np.float32).reshape(-1, len(Box._fields))
    nearness = rows[:, -1].copy()
    rows[:, -1] = np.sign(nearness[:, None] - nearness).sum(axis=1) / 2
    rows[(abs(rows[:, :2] - 0.5) >= (1 + rows[:, 2:4]) / 2).any(axis=1)] = np.nan
    return rows


def tags_of(annotations: Collection[Annotations], things: int, *, zeros: Zeros = np.zeros) -> NDArray[np.bool_] | None:
    """The tags of the first `things` things of each picture and, in the last row, of the picture as a whole.

    Returns:
        bool[n, things + 1, tags] for the `MOST_TAGS` most common tags, sorted by name; None if no picture has tags.
    """
    counts = Counter(name for each in annotations for names in tagged(each, things) for name in names)
    places = {name: place for place, name in enumerate(sorted(name for name, _ in counts.most_common(MOST_TAGS)))}
    if not places:
        return None
    tags = zeros([len(annotations), things + 1, len(places)], np.bool_)
    for row, each in enumerate(annotations):
        for part, names in enumerate(tagged(each, things)):
            tags[row, part, [places[name] for name in names if name in places]] = True
    return tags


def tagged(annotation: Annotations, things: int) -> tuple[tuple[str, ...], ...]:
    """The categories of `things` things, and the tags of the picture."""
    return (*padded(annotation.categories, things), annotation.tags)


def padded(categories: Sequence[tuple[str, ...]], things: int) -> tuple[tuple[str, ...], ...]:
    """The categories of `things` things, padded or truncated."""
    return (*categories[:things], *((),) * (things - len(categories)))
