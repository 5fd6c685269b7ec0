"""Records on disk become arrays, and arrays become batches for training."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.text import END, PAD, Tokenizer
from tfx_pipeline.ingesting.preprocessing import from_bytes

READ_BATCH = 512

BEHEADED = 0.1
"""Share of the captions that the language model reads from some piece after the first."""


class Captioned(NamedTuple):
    """Transformed pictures with their captions, in memory: a picture takes size * size * 3 bytes.

    Attributes:
        image: uint8[n, size, size, 3].
        captions: int64[n, 2, t], the ids of `text` and `text_zh`; a missing caption is START, END alone.
    """

    image: NDArray[np.uint8]
    captions: NDArray[np.int64]


class Batches(NamedTuple):
    """Endless batches for training, picked from arrays in memory.

    Attributes:
        total: Rows to choose from.
        batch_size: Rows in a batch; each row comes once an epoch.
        seed: Of the order.
        pick: In the graph, from a batch's number, int64[], and its rows, int64[batch_size], to the batch.
    """

    total: int
    batch_size: int
    seed: int
    pick: Callable[[tf.Tensor, tf.Tensor], Any]

    def dataset(self) -> tf.data.Dataset:
        """The batches, a few of them made ahead of their use."""
        rows = tf.data.Dataset.range(self.total).shuffle(self.total, seed=self.seed).repeat()
        return rows.batch(self.batch_size, drop_remainder=True).enumerate().map(self.pick).prefetch(8)


def read_captioned(files: Sequence[str], *, picture_size: int, caption_length: int) -> Captioned:
    """Read what Transform wrote.

    Args:
        files: TFRecord files of transformed examples, gzipped; records of plain text are left out.
        picture_size: Side of the pictures.
        caption_length: Ids in a caption.
    """
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string, default_value=""),
        "text": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
        "text_zh": tf.io.FixedLenFeature([caption_length], tf.int64, default_value=[0] * caption_length),
    }
    images = [np.zeros([0, picture_size, picture_size, 3], np.uint8)]
    captions = [np.zeros([0, 2, caption_length], np.int64)]
    for batch in records(files, spec):
        has_picture = tf.strings.length(batch["image"]) > 0
        rows = {name: tf.boolean_mask(feature, has_picture) for name, feature in batch.items()}
        images.append(from_bytes(rows["image"], picture_size).numpy())
        captions.append(tf.stack([rows["text"], rows["text_zh"]], axis=1).numpy())
    return Captioned(np.concatenate(images), np.concatenate(captions))


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


def caption_batches(data: Captioned, lines: NDArray[np.int64], *, batch_size: int, seed: int) -> Batches:
    """Batches for the language model: one caption of each picture, and lines of text that have no picture.

    Some captions lack their first pieces, since a prompt may begin with any: "circle" as well as "a red circle".
    Columns that hold nothing but padding are left out: every step would read them.
    """
    length = max(used_length(data.captions), used_length(lines))
    captions, texts = tf.constant(data.captions[..., :length]), tf.constant(lines[..., :length])
    image = tf.constant(data.image)
    count = len(data.image)

    def pick(_: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        has_picture = rows < count
        picture_rows = tf.minimum(rows, count - 1)
        both = tf.gather(captions, picture_rows)
        ids = some_beheaded(one_caption(both))
        if len(lines):
            line = tf.gather(texts, tf.maximum(rows - count, 0))
            ids = tf.where(has_picture[:, None], ids, line)
        picture = tf.gather(image, picture_rows)
        return {"ids": ids, "all_ids": both, "image": picture, "has_picture": tf.cast(has_picture, tf.float32)}

    return Batches(count + len(lines), batch_size, seed, pick)


def used_length(ids: NDArray[np.int64]) -> int:
    """Columns of ids, int64[..., t], up to the last that is not padding everywhere."""
    used = (ids != PAD).reshape(-1, ids.shape[-1]).any(axis=0)
    return int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0


def embedding_batches(
    image: NDArray[np.uint8], embeddings: NDArray[np.float32], present: NDArray[np.bool_], *, batch_size: int, seed: int
) -> Batches:
    """Batches for the generator: a picture and the embedding of one of its captions.

    Args:
        image: uint8[n, s, s, 3].
        embeddings: float32[n, 2, d].
        present: bool[n, 2], which captions there are.
        batch_size: Pictures in a batch.
        seed: Of the order and the choice of captions.
    """
    image, embeddings, present = tf.constant(image), tf.constant(embeddings), tf.constant(present)

    def pick(_: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        choice = choose(tf.gather(present, rows))
        embedding = tf.gather(tf.gather(embeddings, rows), choice, batch_dims=1)
        return {"image": tf.gather(image, rows), "embedding": embedding}

    return Batches(len(image), batch_size, seed, pick)


def picture_batches(image: NDArray[np.uint8], *, batch_size: int, seed: int) -> Batches:
    """Batches for the restorer: a picture and the seed of its damage."""
    image = tf.constant(image)

    def pick(number: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        seeds = tf.random.stateless_uniform([batch_size], [seed, number], 0, 2**31, tf.int64)
        return {"image": tf.gather(image, rows), "seed": seeds}

    return Batches(len(image), batch_size, seed, pick)


def is_present(captions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which captions, int64[n, 2, t], say anything: bool[n, 2]."""
    return captions[..., 1] != END


def one_caption(both_BxKxT: tf.Tensor) -> tf.Tensor:
    """One caption of each row at random, int64[b, t]; never a missing one."""
    return tf.gather(both_BxKxT, choose(tf.not_equal(both_BxKxT[..., 1], END)), batch_dims=1)


def some_beheaded(ids_BxT: tf.Tensor) -> tf.Tensor:
    """Captions, a tenth of them without some of their first pieces, int64[b, t]; one piece is always left."""
    rows, length = tf.shape(ids_BxT)[0], tf.shape(ids_BxT)[1]
    pieces = tf.reduce_sum(tf.cast(ids_BxT != PAD, tf.float32), axis=1) - 2
    taken = tf.cast(tf.random.uniform([rows]) * pieces, tf.int32)
    taken = tf.where(tf.random.uniform([rows]) < BEHEADED, taken, 0)
    where = tf.range(1, length)[None] + taken[:, None]
    padded = tf.concat([ids_BxT, tf.fill([rows, length], tf.constant(PAD, tf.int64))], axis=1)
    return tf.concat([ids_BxT[:, :1], tf.gather(padded, where, batch_dims=1)], axis=1)


def choose(present_BxK: tf.Tensor) -> tf.Tensor:
    """A column of each row at random where it is true, int64[b]."""
    chances = tf.random.uniform(tf.shape(present_BxK)) + tf.cast(present_BxK, tf.float32)
    return tf.argmax(chances, axis=1)
