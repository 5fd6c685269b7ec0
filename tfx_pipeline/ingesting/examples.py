"""ExampleGen components: a folder of captioned pictures, or lines of text, become tf.train.Examples."""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from PIL.Image import Image, Resampling
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples
from tfx.v1.dsl.components import BeamComponentParameter, OutputArtifact, Parameter, component

from serving.images import rendered
from tfx_pipeline.datasets.captions import text_lines
from tfx_pipeline.datasets.entries import (
    QUARANTINE,
    DataSetError,
    Entry,
    Kind,
    Quarantined,
    ReadLimits,
    RefusedError,
    combined,
    write_quarantine,
)
from tfx_pipeline.datasets.folder import Reading, check_quarantine, refusing
from tfx_pipeline.datasets.spans import read_spans
from tfx_pipeline.ingesting.slices import ATTRIBUTE, LANGUAGE, by_split, in_tenth, is_eval, size_class, slices_of

SPLITS = ("train", "eval")
ALLOW = "max_quarantine = {share:.2f} under [data] in a --config file"
# Pictures that one element of a Beam collection stands for, since each element costs what several pictures do.
CHUNK = 64
MOST_WORDS = 32
# Of a file that could not be read.
NO_DIGEST = hashlib.sha256(b"").digest()

Rows = list[tuple[int, Entry]]


class Checked(NamedTuple):
    """A picture of the folder, looked at: its digest, and an example or the reason why there is none."""

    number: int
    digest: bytes
    refusal: Quarantined | None
    is_eval: bool
    example: bytes


@component(use_beam=True)
def FolderExampleGen(
    folder: Parameter[str],
    fingerprint: Parameter[str],
    max_quarantine: Parameter[float],
    examples: OutputArtifact[Examples],
    spans: Parameter[str] = "",
    attributes: Parameter[str] = "",
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a data-set folder, or spans in it, into the splits `train` and `eval`.

    Entries marked as withheld are the eval split; where none is marked, a tenth by the hash of the file name is.
    `spans` and `attributes` are names with spaces between them; the attributes are kept, to slice by.

    Raises:
        DataSetError: If too many entries are unusable, none is left, or the contents no longer have the fingerprint.
    """
    root, names = Path(folder), spans.split()
    reading = read_spans(root, names, limits=ReadLimits(max_share=max_quarantine), decode=False)
    check_quarantine(reading, max_share=max_quarantine, allow=ALLOW)
    any_withheld = any(entry.withheld for entry in reading.entries)
    reader = Reader(str(root), any_withheld, frozenset(ATTRIBUTE + name for name in attributes.split()))
    prepare(examples, spans=spans, fingerprint=fingerprint)
    looked = Path(examples.uri) / "looked-at"
    with beam_pipeline as pipeline:
        looked_at = (
            pipeline
            | "Chunks" >> beam.Create(list(chunks(reading.entries)))
            | "Spread" >> beam.Reshuffle()
            | "Look" >> beam.Map(reader)
        )
        _ = looked_at | "Tell" >> beam.Map(as_json) | "Keep" >> beam.io.WriteToText(str(looked))
        for number, name in enumerate(SPLITS):
            records = looked_at | f"Records[{name}]" >> beam.FlatMap(records_of, bool(number))
            write(records, examples, name)
    finish(examples, reading, from_json(looked), fingerprint, max_quarantine)


def finish(examples: Examples, reading: Reading, told: list[Any], fingerprint: str, max_quarantine: float) -> None:
    """Hold what was read against what was expected, and record it.

    Raises:
        DataSetError: If too many pictures were refused, the folder has changed since its fingerprint was taken, or
            Beam's workers do not see it.
    """
    digests = [bytes.fromhex(digest) for _, digest, _ in told]
    if not set(digests) - {NO_DIGEST}:
        raise DataSetError(
            f"Of the {len(reading.entries)} pictures in {reading.root} none came back from Beam's workers: they must "
            "see that folder, and the one that --root names, under the same paths as this machine."
        )
    if combined(reading.entries, digests) != fingerprint:
        raise DataSetError(
            f"{reading.root} has changed while it was read: let whatever writes there finish, then give the same "
            "command again; data that keeps arriving belongs into spans (span-0001, span-0002)."
        )
    refused = tuple(
        Quarantined(name, why, Kind(kind)) for *_, refusal in told if refusal for name, why, kind in [refusal]
    )
    gone = {item.file_name for item in refused}
    left = tuple(entry for entry in reading.entries if entry.file_name not in gone)
    checked = Reading(reading.root, left, (*reading.quarantined, *refused))
    check_quarantine(checked, max_share=max_quarantine, allow=ALLOW)
    write_quarantine(Path(examples.uri) / QUARANTINE, checked.quarantined)
    record(examples, pictures=len(left), quarantined=len(checked.quarantined), caption=trained_caption(left))


def trained_caption(entries: Sequence[Entry]) -> str:
    """The shortest caption that is trained on, in the first language that it has, to ask a model for."""
    train, _ = by_split(entries)
    return min((entry.text or entry.text_zh for entry in train), key=len, default="")


def chunks(entries: Sequence[Entry]) -> Iterator[Rows]:
    """The entries with their numbers, some at a time."""
    numbered = list(enumerate(entries))
    yield from (numbered[start : start + CHUNK] for start in range(0, len(numbered), CHUNK))


class Reader:
    """Reads chunks of entries, wherever Beam's workers are."""

    def __init__(self, folder: str, any_withheld: bool, attributes: frozenset[str]) -> None:
        self.folder = folder
        self.any_withheld = any_withheld
        self.attributes = attributes

    def __call__(self, rows: Rows) -> list[Checked]:
        """Look at each picture once."""
        # Pillow warns of odd but harmless tags.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [self.look(number, entry) for number, entry in rows]

    def look(self, number: int, entry: Entry) -> Checked:
        """Digest, check and serialize one picture."""
        kept, data = is_eval(entry, self.any_withheld), b""
        try:
            with open(f"{self.folder}/{entry.file_name}", "rb") as file:  # noqa: PTH123 - once a picture
                data = file.read()
            with refusing():
                picture, portable = rendered(data, max_pixels=ReadLimits().max_pixels)
            record, refusal = serialized(entry, portable, picture, self.attributes), None
        except (RefusedError, OSError) as error:
            kind = error.kind if isinstance(error, RefusedError) else Kind.UNREADABLE
            record, refusal = b"", Quarantined(entry.file_name, str(error), kind)
        return Checked(number, hashlib.sha256(data).digest(), refusal, kept, record)


def records_of(rows: list[Checked], is_eval: bool) -> Iterator[bytes]:
    """The examples of one split."""
    yield from (row.example for row in rows if row.refusal is None and row.is_eval == is_eval)


def as_json(rows: list[Checked]) -> str:
    """All but the examples, on a line."""
    return json.dumps(
        [(row.number, row.digest.hex(), None if row.refusal is None else astuple(row.refusal)) for row in rows]
    )


def from_json(prefix: Path) -> list[Any]:
    """What `as_json` told, in the order of the folder; the files go."""
    rows = []
    for shard in prefix.parent.glob(f"{prefix.name}-*"):
        rows += [row for line in shard.read_text(encoding="utf-8").splitlines() for row in json.loads(line)]
        shard.unlink()
    return sorted(rows, key=lambda row: row[0])


@component(use_beam=True)
def TextExampleGen(
    file: Parameter[str],
    fingerprint: Parameter[str],
    examples: OutputArtifact[Examples],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a file, one text a line, into the splits `train` and `eval`; blank lines are left out."""
    prepare(examples, fingerprint=fingerprint)
    with beam_pipeline as pipeline:
        lines = pipeline | "File" >> beam.Create([file]) | "Lines" >> beam.FlatMap(text_lines)
        parts = lines | "Split" >> beam.Partition(lambda line, _: int(in_tenth(line)), len(SPLITS))
        for name, part in zip(SPLITS, parts, strict=True):
            records = part | f"Example[{name}]" >> beam.Map(lambda line: example(line=line.encode()))
            write(records, examples, name, ".gz")


def prepare(examples: Examples, **properties: int | str) -> None:
    """Make the folder, name the splits and record what went in, where `easel runs show` finds it."""
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    Path(examples.uri).mkdir(parents=True, exist_ok=True)
    record(examples, **properties)


def record(examples: Examples, **properties: int | str) -> None:
    """Set custom properties."""
    for name, value in properties.items():
        setter = examples.set_int_custom_property if isinstance(value, int) else examples.set_string_custom_property
        setter(name, value)


def write(records: beam.PCollection, examples: Examples, split: str, suffix: str = "") -> None:
    """Write serialized examples as TFX lays a split out; the pictures in them are compressed already."""
    prefix = Path(artifact_utils.get_split_uri([examples], split)) / "data_tfrecord"
    _ = records | f"Write[{split}]" >> beam.io.WriteToTFRecord(str(prefix), file_name_suffix=suffix)


def serialized(entry: Entry, portable: bytes, picture: Image, attributes: frozenset[str] = frozenset()) -> bytes:
    """One entry, with its picture encoded and decoded by `serving.images.rendered`, as a serialized tf.train.Example.

    Beside what is learned from (`image`, `text`, `text_zh`, and `more` where there are more captions) it holds what
    the data are watched and sliced by: language, size, the mean colour on a scale of 0 to 255, the length of the
    captions in characters, their words, and attributes.
    """
    known = {name: value for name, value in slices_of(entry) if name in attributes or name == LANGUAGE}
    return example(
        file_name=entry.file_name,
        image=portable,
        text=entry.text,
        text_zh=entry.text_zh,
        **({"more": list(entry.more)} if entry.more else {}),
        size=size_class(*picture.size),
        width=picture.width,
        height=picture.height,
        caption_length=len(entry.text) + len(entry.text_zh),
        words=words(entry),
        **mean_colour(picture),
        **known,
    )


def words(entry: Entry) -> list[str]:
    """The words of the English caption and the characters of the Chinese one, each once, the first of them."""
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
    """A feature of one value, or of several strings."""
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    values = value if isinstance(value, list) else [value]
    raw = [item.encode(errors="surrogateescape") if isinstance(item, str) else item for item in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=raw))
