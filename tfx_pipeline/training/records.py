"""Reading records from disk as arrays."""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.inputs import Captioned
from models.learning.stored import mapped
from models.text import Tokenizer
from models.vocabulary import END, PAD, START
from tfx_pipeline.ingesting.annotations import Annotations, decoded
from tfx_pipeline.ingesting.squares import from_bytes

READ_BATCH = 512
IMAGE, CAPTIONS, ANNOTATIONS = "image.uint8", "captions.int64", "annotations.jsonl"
FEWEST = 2
"""Captions of a picture that have a place even if they are missing: `text` and `text_zh`."""

Record = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class AnnotationFile(Collection[Annotations]):
    """Annotations of pictures, read from a file with a line for each picture at every iteration."""

    def __init__(self, file: Path, count: int) -> None:
        self.file = file
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Annotations]:
        with self.file.open("rb") as lines:
            for line in lines:
                yield decoded(line.rstrip(b"\n"))

    def __contains__(self, annotations: object) -> bool:
        return any(each == annotations for each in self)


def read_captioned(
    files: Sequence[str], *, picture_size: int, caption_length: int
) -> tuple[Captioned, Collection[Annotations]]:
    """Read the output of Transform: pictures with their captions and annotations.

    They are unpacked into plain files beside the folder of the examples, once for all Trainers, and mapped into memory.

    Args:
        files: Gzipped TFRecord files of transformed examples; records of plain text are skipped.
        picture_size: Side of the pictures in pixels.
        caption_length: Ids in a caption.

    Raises:
        ValueError: There are no files.
    """
    if not files:
        raise ValueError("There are no files of transformed examples to read.")
    folder = unpacked_place(files, picture_size, caption_length)
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=folder.name) as place:
            unpack(captioned_records(files, caption_length), Path(place) / "whole", picture_size)
            take_place(Path(place) / "whole", folder)
    image = mapped(folder / IMAGE, np.uint8).reshape(-1, picture_size, picture_size, 3)
    captions = mapped(folder / CAPTIONS, np.int64)
    captions = captions.reshape(len(image), -1 if len(image) else FEWEST, caption_length)
    return Captioned(image, captions), AnnotationFile(folder / ANNOTATIONS, len(image))


def unpacked_place(files: Sequence[str], picture_size: int, caption_length: int) -> Path:
    """The folder with the output of `unpack` for these files, which is deleted with their artifact."""
    known = [[*Path(file).parts[-3:], Path(file).stat().st_size] for file in files]
    key = hashlib.sha256(json.dumps([known, picture_size, caption_length]).encode()).hexdigest()[:12]
    split = Path(files[0]).parent
    return split.with_name(f"{split.name}.{key}")


def take_place(folder: Path, place: Path) -> None:
    """Rename a folder, unless another machine of the same training has created the same one meanwhile."""
    try:
        folder.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def unpack(records: Iterable[Record], folder: Path, picture_size: int) -> None:
    """Write the pictures, uint8[n, s, s, 3], captions, int64[n, k, t], and annotations of records as plain files."""
    folder.mkdir()
    most = FEWEST
    with (
        (folder / IMAGE).open("wb") as pictures,
        (folder / ANNOTATIONS).open("wb") as annotations,
        (folder / CAPTIONS).open("wb") as captions,
        tempfile.TemporaryFile(dir=folder) as spool,
    ):
        for image, ids, known in records:
            pictures.write(from_bytes(image, picture_size).numpy())
            annotations.writelines(each + b"\n" for each in known.numpy())
            np.save(spool, ids.numpy())
            most = max(most, ids.shape[1])
        end = spool.tell()
        spool.seek(0)
        # The maximum number of captions of a picture is known only now.
        while spool.tell() < end:
            captions.write(filled(np.load(spool), most).tobytes())
        for file in (pictures, annotations, captions):
            # Otherwise, after a power cut, the renamed folder could contain empty files.
            file.flush()
            os.fsync(file.fileno())


def read_captions(files: Sequence[str], *, caption_length: int) -> NDArray[np.int64]:
    """The captions that `read_captioned` returns, int64[n, k, t], without their pictures, in memory."""
    rows = [ids.numpy() for _, ids, _ in captioned_records(files, caption_length)]
    most = max((ids.shape[1] for ids in rows), default=FEWEST)
    return np.concatenate([missing(0, most, caption_length), *(filled(ids, most) for ids in rows)])


def filled(captions: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Pad captions, int64[n, k, t], with empty ones to `most` per picture."""
    rows, count, length = captions.shape
    return np.concatenate([captions, missing(rows, most - count, length)], axis=1)


def missing(rows: int, count: int, caption_length: int) -> NDArray[np.int64]:
    """Empty captions, int64[rows, count, t]."""
    return np.broadcast_to(np.array([START, END] + [PAD] * (caption_length - 2)), [rows, count, caption_length])


def captioned_records(files: Sequence[str], caption_length: int) -> Iterator[Record]:
    """Batches of transformed pictures, string[b] as bytes, captions, int64[b, k, t], and annotations, string[b]."""
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string, default_value=""),
        "text": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
        "text_zh": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
        "more": tf.io.RaggedFeature(tf.int64),
        "annotations": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }
    for batch in records(files, spec):
        has_picture = tf.strings.length(batch["image"]) > 0
        further = in_rows(batch["more"], caption_length)
        captions = tf.concat([batch["text"][:, None], batch["text_zh"][:, None], further], axis=1)
        columns = (batch["image"], captions, batch["annotations"])
        yield tuple(tf.boolean_mask(column, has_picture) for column in columns)


def in_rows(ids: tf.RaggedTensor, caption_length: int) -> tf.Tensor:
    """Reshape concatenated captions, int64[b, (k * t)], to int64[b, k, t], padded with empty captions."""
    flat = ids.to_tensor(default_value=-1)
    rows = tf.reshape(flat, [tf.shape(flat)[0], tf.shape(flat)[1] // caption_length, caption_length])
    return tf.where(rows < 0, missing(1, 1, caption_length), rows)


def read_lines(files: Sequence[str], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The ids, int64[n, t], of records of plain text; transformed pictures in the files are skipped."""
    spec = {"line": tf.io.FixedLenFeature([], tf.string, default_value="")}
    rows = [np.zeros([0, tokenizer.length], np.int64)]
    for batch in records(files, spec):
        rows.append(tokenizer.tokenize(tf.boolean_mask(batch["line"], batch["line"] != "")).numpy())
    return np.concatenate(rows)


def records(files: Sequence[str], spec: Mapping[str, object]) -> tf.data.Dataset:
    """Batches of parsed examples."""
    return serialized(files).batch(READ_BATCH).map(lambda batch: tf.io.parse_example(batch, dict(spec))).prefetch(2)


def serialized(files: Sequence[str]) -> tf.data.Dataset:
    """Serialized examples from files, which are either all gzipped or none, according to their names."""
    compression = "GZIP" if files and files[0].endswith(".gz") else ""
    return tf.data.TFRecordDataset(list(files), compression_type=compression, num_parallel_reads=2)
