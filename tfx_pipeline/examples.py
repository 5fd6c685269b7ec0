"""ExampleGen components: a folder of captioned pictures, or lines of text, become tf.train.Examples."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import tensorflow as tf
from PIL import Image, ImageOps
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples
from tfx.v1.dsl.components import BeamComponentParameter, OutputArtifact, Parameter, component

from tfx_pipeline.datasets.folder import Entry, ReadLimits, check_quarantine, read_folder, write_quarantine

SPLITS = ("train", "eval")
EVAL_SHARE = 10
QUARANTINE_FILE = "quarantine.jsonl"
ALLOW = "max_quarantine = {share:.2f} under [data] in a --config file"


@component(use_beam=True)
def FolderExampleGen(
    folder: Parameter[str],
    fingerprint: Parameter[str],
    max_quarantine: Parameter[float],
    examples: OutputArtifact[Examples],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a data-set folder into the splits `train` and `eval`.

    Entries marked as withheld are the eval split; where none is marked, a tenth by the hash of the file name is.
    `fingerprint` is not read: it is there so that the cache knows the folder by its contents.

    Raises:
        DataSetError: If too many entries are unusable, or none is left.
    """
    reading = read_folder(Path(folder), limits=ReadLimits(max_share=max_quarantine))
    check_quarantine(reading, max_share=max_quarantine, allow=ALLOW)
    any_withheld = any(entry.withheld for entry in reading.entries)
    prepare(examples, pictures=len(reading.entries), quarantined=len(reading.quarantined), fingerprint=fingerprint)
    write_quarantine(Path(examples.uri) / QUARANTINE_FILE, reading.quarantined)
    with beam_pipeline as pipeline:
        rows = (
            pipeline
            | "Entries" >> beam.Create(reading.entries)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.Map(lambda entry: (is_eval(entry, any_withheld), serialized(Path(folder), entry)))
        )
        write_splits(rows, examples)


@component(use_beam=True)
def TextExampleGen(
    file: Parameter[str],
    fingerprint: Parameter[str],
    examples: OutputArtifact[Examples],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Read a UTF-8 file, one text a line, into the splits `train` and `eval`; blank lines are left out."""
    prepare(examples, fingerprint=fingerprint)
    with beam_pipeline as pipeline:
        rows = (
            pipeline
            | "File" >> beam.Create([file])
            | "Lines" >> beam.FlatMap(text_lines)
            | "Example" >> beam.Map(lambda line: (in_tenth(line), example(line=line.encode())))
        )
        write_splits(rows, examples)


def prepare(examples: Examples, **properties: int | str) -> None:
    """Name the splits and record what went in, where `easel runs show` finds it."""
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    for name, value in properties.items():
        setter = examples.set_int_custom_property if isinstance(value, int) else examples.set_string_custom_property
        setter(name, value)
    Path(examples.uri).mkdir(parents=True, exist_ok=True)


def write_splits(rows: beam.PCollection, examples: Examples) -> None:
    """Write (is_eval, serialized example) pairs as TFX lays its splits out."""
    parts = rows | "Split" >> beam.Partition(lambda row, _: int(row[0]), len(SPLITS))
    for name, part in zip(SPLITS, parts, strict=True):
        prefix = Path(artifact_utils.get_split_uri([examples], name)) / "data_tfrecord"
        write = beam.io.WriteToTFRecord(str(prefix), file_name_suffix=".gz")
        _ = part | f"Values[{name}]" >> beam.Values() | f"Write[{name}]" >> write


def is_eval(entry: Entry, any_withheld: bool) -> bool:
    """Whether an entry is kept from training."""
    return entry.withheld if any_withheld else in_tenth(entry.file_name)


def in_tenth(key: str) -> bool:
    """True for a tenth of all keys, the same ones on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % EVAL_SHARE == 0


def text_lines(file: str) -> Iterator[str]:
    """The lines of a UTF-8 file that are not blank."""
    with Path(file).open(encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())


def serialized(folder: Path, entry: Entry) -> bytes:
    """One entry as a serialized tf.train.Example."""
    return example(
        file_name=entry.file_name.encode(),
        image=graph_readable((folder / entry.file_name).read_bytes()),
        text=entry.text.encode(),
        text_zh=entry.text_zh.encode(),
    )


def example(**features: bytes) -> bytes:
    """A serialized tf.train.Example of bytes features."""
    lists = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString(deterministic=True)


def graph_readable(data: bytes) -> bytes:
    """A picture that TensorFlow's decoders read: upright RGB or grey, as it was where that needs no change.

    Transparency is laid on white. Anything but plain JPEG and PNG is written anew as PNG.
    """
    with Image.open(io.BytesIO(data)) as picture:
        upright = picture.getexif().get(0x0112, 1) == 1
        if picture.format in ("JPEG", "PNG") and picture.mode in ("RGB", "L", "I;16") and upright:
            return data
        layer = ImageOps.exif_transpose(picture).convert("RGBA")
    canvas = Image.new("RGBA", layer.size, "white")
    canvas.alpha_composite(layer)
    out = io.BytesIO()
    canvas.convert("RGB").save(out, "PNG")
    return out.getvalue()
