"""Reading records from disk as arrays."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.inputs import Captioned
from models.text import Tokenizer
from models.vocabulary import END, PAD, START
from tfx_pipeline.ingesting.annotations import Annotations, decoded
from tfx_pipeline.ingesting.squares import from_bytes

READ_BATCH = 512


def read_captioned(
    files: Sequence[str], *, picture_size: int, caption_length: int
) -> tuple[Captioned, list[Annotations]]:
    """Read the output of Transform: pictures with their captions and annotations.

    Args:
        files: Gzipped TFRecord files of transformed examples; records of plain text are skipped.
        picture_size: Side of the pictures in pixels.
        caption_length: Ids in a caption.
    """
    images, captions = [np.zeros([0, picture_size, picture_size, 3], np.uint8)], []
    annotations: list[Annotations] = []
    for image, ids, known in captioned_records(files, caption_length):
        images.append(from_bytes(image, picture_size).numpy())
        captions.append(ids.numpy())
        annotations += map(decoded, known.numpy())
    return Captioned(np.concatenate(images), joined(captions, caption_length)), annotations


def read_captions(files: Sequence[str], *, caption_length: int) -> NDArray[np.int64]:
    """The captions that `read_captioned` returns, int64[n, k, t], without their pictures."""
    return joined([ids.numpy() for _, ids, _ in captioned_records(files, caption_length)], caption_length)


def joined(captions: Sequence[NDArray[np.int64]], caption_length: int) -> NDArray[np.int64]:
    """Concatenate the captions of batches, int64[b, k, t] each, padded with empty captions to the largest k."""
    most = max((column.shape[1] for column in captions), default=2)
    filling = [missing(len(column), most - column.shape[1], caption_length) for column in captions]
    rows = (np.concatenate(parts, axis=1) for parts in zip(captions, filling, strict=True))
    return np.concatenate([missing(0, most, caption_length), *rows])


def missing(rows: int, count: int, caption_length: int) -> NDArray[np.int64]:
    """Empty captions, int64[rows, count, t]."""
    return np.broadcast_to(np.array([START, END] + [PAD] * (caption_length - 2)), [rows, count, caption_length])


def captioned_records(files: Sequence[str], caption_length: int) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
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
