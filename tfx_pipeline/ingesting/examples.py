"""Conversion of captioned pictures to tf.train.Examples, with a reason for each picture that cannot be used."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from PIL.Image import Image, Resampling

from serving.faults import is_of_the_machine
from serving.images import rendered
from tfx_pipeline.datasets.entries import (
    Entry,
    Kind,
    Quarantined,
    ReadLimits,
    RefusedError,
)
from tfx_pipeline.datasets.folder import refusing
from tfx_pipeline.ingesting.annotations import encoded
from tfx_pipeline.ingesting.slices import LANGUAGE, by_split, size_class, slices_of

SPLITS = ("train", "eval")
# Pictures per element of a Beam collection, because the overhead of an element equals the work for several pictures.
CHUNK = 64
MOST_WORDS = 32

Rows = list[tuple[int, Entry]]


class Checked(NamedTuple):
    """A checked picture: its digest, and an example or the reason why it cannot be used."""

    number: int
    digest: bytes
    refusal: Quarantined | None
    is_eval: bool
    example: bytes


def trained_caption(entries: Sequence[Entry]) -> str:
    """The shortest training caption, in its first language, as an example prompt."""
    train, _ = by_split(entries)
    return min((entry.text or entry.text_zh for entry in train), key=len, default="")


def chunks(entries: Sequence[Entry]) -> Iterator[Rows]:
    """The entries with their indices, in chunks."""
    numbered = list(enumerate(entries))
    yield from (numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK))


class Reader:
    """Reads chunks of entries in Beam's workers."""

    def __init__(self, folder: str, attributes: frozenset[str] = frozenset()) -> None:
        self.folder = folder
        self.attributes = attributes

    def __call__(self, rows: Rows) -> list[Checked]:
        """Check each picture."""
        # Pillow warns about unusual but harmless tags.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [self.look(number, entry) for number, entry in rows]

    def look(self, number: int, entry: Entry) -> Checked:
        """Digest, check and serialize one picture."""
        data = b""
        try:
            with open(f"{self.folder}/{entry.file_name}", "rb") as file:  # noqa: PTH123 - once a picture
                data = file.read()
            with refusing():
                picture, portable = rendered(data, max_pixels=ReadLimits().max_pixels)
            record, refusal = serialized(entry, portable, picture, self.attributes), None
        except (RefusedError, OSError) as error:
            if is_of_the_machine(error):
                raise
            kind = error.kind if isinstance(error, RefusedError) else Kind.UNREADABLE
            record, refusal = b"", Quarantined(entry.file_name, str(error), kind)
        return Checked(number, hashlib.sha256(data).digest(), refusal, entry.withheld, record)


def records_of(rows: list[Checked], is_eval: bool) -> Iterator[bytes]:
    """The examples of one split."""
    yield from (row.example for row in rows if row.refusal is None and row.is_eval == is_eval)


def as_json(rows: list[Checked]) -> str:
    """Everything except the examples, as one line."""
    return json.dumps(
        [(row.number, row.digest.hex(), None if row.refusal is None else astuple(row.refusal)) for row in rows]
    )


def from_json(prefix: Path) -> list[Any]:
    """Read the lines of `as_json` in the order of the folder, and remove the files."""
    rows = []
    for shard in prefix.parent.glob(f"{prefix.name}-*"):
        rows += [row for line in shard.read_text(encoding="utf-8").splitlines() for row in json.loads(line)]
        shard.unlink()
    return sorted(rows, key=lambda row: row[0])


def serialized(entry: Entry, portable: bytes, picture: Image, attributes: frozenset[str] = frozenset()) -> bytes:
    """One entry, with its picture encoded and decoded by `serving.images.rendered`, as a serialized tf.train.Example.

    Besides the training data (`image`, `text`, `text_zh`, `more` for further captions, and `annotations` for objects
    and tags), it contains the features for the check for drift and for slicing: language, size, the mean colour on a
    scale of 0 to 255, the length of the captions in characters, their words, and attributes.
    """
    annotations = encoded(entry, *picture.size)
    known = {name: value for name, value in slices_of(entry) if name in attributes or name == LANGUAGE}
    return example(
        file_name=entry.file_name,
        image=portable,
        text=entry.text,
        text_zh=entry.text_zh,
        **({"more": list(entry.more)} if entry.more else {}),
        **({"annotations": annotations} if annotations else {}),
        size=size_class(*picture.size),
        width=picture.width,
        height=picture.height,
        caption_length=len(entry.text) + len(entry.text_zh),
        words=words(entry),
        **mean_colour(picture),
        **known,
    )


def words(entry: Entry) -> list[str]:
    """The first distinct words of the English caption and characters of the Chinese one."""
    return list(dict.fromkeys([*entry.text.lower().split(), *entry.text_zh]))[:MOST_WORDS]


def mean_colour(picture: Image) -> dict[str, float]:
    """`red`, `green`, `blue` and `brightness`, their mean, from 0 to 255."""
    pixel = picture.resize((1, 1), Resampling.BOX).tobytes()
    return {**dict(zip(("red", "green", "blue"), map(float, pixel), strict=True)), "brightness": sum(pixel) / 3}


def example(**features: bytes | str | int | float | list[str]) -> bytes:
    """A serialized tf.train.Example."""
    made = tf.train.Features(feature={name: feature(value) for name, value in features.items()})
    return tf.train.Example(features=made).SerializeToString(deterministic=True)


def feature(value: bytes | str | int | float | list[str]) -> tf.train.Feature:
    """A feature with one value, or with several strings."""
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    values = value if isinstance(value, list) else [value]
    raw = [item.encode(errors="surrogateescape") if isinstance(item, str) else item for item in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=raw))
