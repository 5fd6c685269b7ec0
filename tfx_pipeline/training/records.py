"""Records on disk become arrays."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.inputs import Captioned
from models.text import Tokenizer
from tfx_pipeline.ingesting.squares import from_bytes

READ_BATCH = 512


def read_captioned(files: Sequence[str], *, picture_size: int, caption_length: int) -> Captioned:
    """Read what Transform wrote.

    Args:
        files: TFRecord files of transformed examples, gzipped; records of plain text are left out.
        picture_size: Side of the pictures.
        caption_length: Ids in a caption.
    """
    images = [np.zeros([0, picture_size, picture_size, 3], np.uint8)]
    captions = [np.zeros([0, 2, caption_length], np.int64)]
    for image, both in captioned_records(files, caption_length):
        images.append(from_bytes(image, picture_size).numpy())
        captions.append(both.numpy())
    return Captioned(np.concatenate(images), np.concatenate(captions))


def read_captions(files: Sequence[str], *, caption_length: int) -> NDArray[np.int64]:
    """The captions that `read_captioned` gives, int64[n, 2, t], without their pictures."""
    captions = (both.numpy() for _, both in captioned_records(files, caption_length))
    return np.concatenate([np.zeros([0, 2, caption_length], np.int64), *captions])


def captioned_records(files: Sequence[str], caption_length: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Batches of transformed pictures, string[b] as bytes, and their captions, int64[b, 2, t]."""
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string, default_value=""),
        "text": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
        "text_zh": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
    }
    for batch in records(files, spec):
        has_picture = tf.strings.length(batch["image"]) > 0
        captions = tf.stack([batch["text"], batch["text_zh"]], axis=1)
        yield tf.boolean_mask(batch["image"], has_picture), tf.boolean_mask(captions, has_picture)


def read_lines(files: Sequence[str], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """The ids, int64[n, t], of records of plain text; transformed pictures in the files are left out."""
    spec = {"line": tf.io.FixedLenFeature([], tf.string, default_value="")}
    rows = [np.zeros([0, tokenizer.length], np.int64)]
    for batch in records(files, spec):
        rows.append(tokenizer.tokenize(tf.boolean_mask(batch["line"], batch["line"] != "")).numpy())
    return np.concatenate(rows)


def records(files: Sequence[str], spec: dict[str, tf.io.FixedLenFeature]) -> tf.data.Dataset:
    """Batches of parsed examples."""
    return serialized(files).batch(READ_BATCH).map(lambda batch: tf.io.parse_example(batch, spec)).prefetch(2)


def serialized(files: Sequence[str]) -> tf.data.Dataset:
    """Examples as they lie in files, which are all gzipped or none, as their names tell."""
    compression = "GZIP" if files and files[0].endswith(".gz") else ""
    return tf.data.TFRecordDataset(list(files), compression_type=compression, num_parallel_reads=2)
