"""Batches for training, from arrays."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.stored import as_tensor, parts, zeros_beside
from models.vocabulary import END, PAD, RESERVED, UNKNOWN

BEHEADED = 0.1
"""Share of the captions of which the language model reads only a part, from a later piece on."""
LONGEST_WORD = 8
"""Maximum number of pieces of an unknown word in training."""
NOTHING: Mapping[str, tf.Tensor] = MappingProxyType({})


class Captioned(NamedTuple):
    """Transformed pictures with their captions, in memory or in mapped files (`models.learning.stored`).

    Attributes:
        image: uint8[n, size, size, 3].
        captions: int64[n, k, t], the ids of `text`, `text_zh` and further captions; a missing one is only START, END.
        boxes: float32[n, things, 5], the boxes of the things in a picture, for `models.scene_network.noise_of_boxes`:
            NaN for missing things, zeros for unknown boxes; None if all boxes are unknown.
        tags: bool[n, things + 1, tags], the tags of the things in boxes and, in the last row, of the whole picture;
            None if they are unknown.
    """

    image: NDArray[np.uint8]
    captions: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    tags: NDArray[np.bool_] | None = None


class UnknownWords(NamedTuple):
    """How words in captions are made unknown.

    Attributes:
        letters: Ids of the pieces of words outside the vocabulary; such a word begins with the first of them.
        share: Share of the captions with unknown words, 0 to 1; the number of their unknown pieces is random, from none
            to all.
    """

    letters: Sequence[int]
    share: float


class Batches(NamedTuple):
    """Endless batches for training.

    Attributes:
        total: Number of rows.
        batch_size: Rows per batch; each row occurs once per epoch.
        seed: Seed of the order.
        pick: In the graph, from a batch's number, int64[], and its rows, int64[batch_size], to the batch without
            `arrays`.
        arrays: Tensors from which a batch gathers its rows, by name; rows past the end are replaced by the last one.
    """

    total: int
    batch_size: int
    seed: int
    pick: Callable[[tf.Tensor, tf.Tensor], Any]
    arrays: Mapping[str, tf.Tensor] = NOTHING

    def dataset(self, part: int = 0, of: int = 1) -> tf.data.Dataset:
        """The batches, or one of `of` equal parts of each; a few are prefetched."""
        rows = tf.data.Dataset.range(self.total).shuffle(self.total, seed=self.seed).repeat()
        numbered = rows.batch(self.batch_size, drop_remainder=True).enumerate()
        batches = numbered.map(lambda number, rows: self.batch(number, rows, part, of)).prefetch(8)
        return batches.with_options(without_copies())

    def batch(self, number: tf.Tensor, rows: tf.Tensor, part: int = 0, of: int = 1) -> Any:
        """The batch with a number, or one of `of` equal parts of it; only its own rows of arrays are read."""
        picked = self.pick(number, rows)
        if of > 1:
            picked, rows = tf.nest.map_structure(lambda values: tf.split(values, of)[part], (picked, rows))
        if not self.arrays:
            return picked
        return picked | {
            name: tf.gather(values, tf.minimum(rows, len(values) - 1)) for name, values in self.arrays.items()
        }


def without_copies() -> tf.data.Options:
    """Options without graph optimizations, which would copy every captured array."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def caption_batches(
    data: Captioned,
    lines: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    unknown: UnknownWords | None = None,
) -> Batches:
    """Batches for the language model: one caption of each picture, and lines of text without a picture.

    Some captions lack their first pieces, because a prompt may begin anywhere: "circle" as well as "a red circle".
    Columns with only padding are removed, because every step would read them.

    Args:
        data: Captioned pictures.
        lines: Ids of texts without a picture, int64[n, t].
        batch_size: Captions per batch.
        seed: Seed of the order.
        unknown: How words are made unknown; None for no unknown words.

    Returns:
        Batches for `models.language_training.GroundedLanguageModel`.
    """
    length = max(used_length(data.captions), used_length(lines))
    captions, texts = as_tensor(shortened(data, length)), tf.constant(lines[..., :length])
    known = {"image": data.image} if data.tags is None else {"image": data.image, "tags": data.tags}
    count = len(data.image)

    def pick(_: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        has_picture = rows < count
        picture_rows = tf.minimum(rows, count - 1)
        both = tf.gather(captions, picture_rows)
        ids = some_beheaded(one_caption(both))
        if len(lines):
            line = tf.gather(texts, tf.maximum(rows - count, 0))
            ids = tf.where(has_picture[:, None], ids, line)
        ids, targets = with_unknown_words(ids, unknown) if unknown else (ids, ids)
        return {"ids": ids, "targets": targets, "all_ids": both, "has_picture": tf.cast(has_picture, tf.float32)}

    return Batches(count + len(lines), batch_size, seed, pick, in_graph(known))


def in_graph(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tf.Tensor]:
    """Arrays as tensors, for `Batches`."""
    return {name: as_tensor(values) for name, values in arrays.items()}


def used_length(ids: NDArray[np.int64]) -> int:
    """Columns of ids, int64[n, ..., t], up to the last that is not padding everywhere."""
    used = np.zeros(ids.shape[-1], bool)
    for part in parts(len(ids)):
        used |= (ids[part] != PAD).reshape(-1, len(used)).any(axis=0)
    return int(np.flatnonzero(used)[-1]) + 1 if used.any() else 0


def shortened(data: Captioned, length: int) -> NDArray[np.int64]:
    """The first columns of all captions, int64[n, k, length]."""
    out = zeros_beside(data.image, [*data.captions.shape[:-1], length], np.int64)
    for part in parts(len(out)):
        out[part] = data.captions[part, :, :length]
    return out


def embedding_batches(
    image: NDArray[np.uint8], embeddings: NDArray[np.float32], present: NDArray[np.bool_], *, batch_size: int, seed: int
) -> Batches:
    """Batches for the generator: a picture and the embedding of one of its captions.

    Args:
        image: uint8[n, s, s, 3].
        embeddings: float32[n, k, d].
        present: bool[n, k], whether each caption exists.
        batch_size: Pictures per batch.
        seed: Seed of the order and the choice of captions.
    """
    embeddings, present = as_tensor(embeddings), tf.constant(present)

    def pick(_: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        choice = choose(tf.gather(present, rows))
        embedding = tf.gather(tf.gather(embeddings, rows), choice, batch_dims=1)
        return {"embedding": embedding}

    return Batches(len(image), batch_size, seed, pick, in_graph({"image": image}))


def picture_batches(image: NDArray[np.uint8], *, batch_size: int, seed: int) -> Batches:
    """Batches for the restorer: a picture and the seed of its damage."""

    def pick(number: tf.Tensor, _: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"seed": tf.random.stateless_uniform([batch_size], [seed, number], 0, 2**31, tf.int64)}

    return Batches(len(image), batch_size, seed, pick, in_graph({"image": image}))


def is_present(captions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether captions, int64[n, k, t], are not missing: bool[n, k]."""
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


def with_unknown_words(ids_BxT: tf.Tensor, unknown: UnknownWords) -> tuple[tf.Tensor, tf.Tensor]:
    """Captions, a share of them with some pieces replaced by unknown words.

    Such a word has no meaning, so a model learns to ignore it, and to draw what the rest of the caption says.

    Args:
        ids_BxT: int64[b, t], with a static number of rows.
        unknown: The share of captions, and the pieces of unknown words.

    Returns:
        The captions, int64[b, t + `LONGEST_WORD`], truncated if they would be longer; and the same with PAD for the
        pieces of unknown words, which are not prediction targets.
    """
    rows, length, most = ids_BxT.shape[0], tf.shape(ids_BxT)[1], LONGEST_WORD
    letters, share = unknown
    rate_B = tf.where(tf.random.uniform([rows]) < share, tf.random.uniform([rows]), 0.0)
    is_piece_BxT = ids_BxT >= len(RESERVED)
    unknown_BxT = is_piece_BxT & (tf.random.uniform([rows, length]) < rate_B[:, None])
    spelled = tf.random.uniform([rows, length, most], 0, len(letters), tf.int32) * tf.cast(tf.range(most) > 0, tf.int32)
    ends = tf.random.uniform([rows, length, 1], 2, most + 1, tf.int32)
    words_BxTxM = tf.where(tf.range(most) < ends, tf.gather(tf.constant(letters, tf.int64), spelled), PAD)
    whole_BxTxM = tf.pad(ids_BxT[..., None], [[0, 0], [0, 0], [0, most - 1]], constant_values=PAD)
    read = tf.reshape(tf.where(unknown_BxT[..., None], words_BxTxM, whole_BxTxM), [rows, -1])
    learned = tf.reshape(tf.where(unknown_BxT[..., None], tf.constant(PAD, tf.int64), whole_BxTxM), [rows, -1])
    # Pieces that are not padding move to the front, in the same order.
    order = tf.argsort(tf.cast(tf.equal(read, PAD), tf.int32), axis=1, stable=True)[:, : length + most]
    return tf.gather(read, order, batch_dims=1), tf.gather(learned, order, batch_dims=1)


def unknown_words(vocabulary: Sequence[str], share: float, *ids: NDArray[np.int64]) -> UnknownWords | None:
    """Unknown words, made of letters that spell other pieces but occur in no text themselves; None if the share is 0.

    Only words outside the vocabulary are split into these letters. Whole words that occur in no text, such as those
    of an inherited vocabulary, keep their meaning. If every letter occurs, UNKNOWN represents such a word.

    Args:
        vocabulary: All pieces.
        share: The share of captions with such words.
        ids: Texts, int64[..., t] each.
    """
    if not share:
        return None
    met = {number for array in ids for part in parts(len(array)) for number in np.unique(array[part]).tolist()}
    spelling = set("".join(piece for piece in vocabulary[len(RESERVED) :] if len(piece) > 1))
    letters = [number for number, piece in enumerate(vocabulary) if piece in spelling and number not in met]
    return UnknownWords(letters or [UNKNOWN], share)


def choose(present_BxK: tf.Tensor) -> tf.Tensor:
    """A random column of each row among those that are true, int64[b]."""
    chances = tf.random.uniform(tf.shape(present_BxK)) + tf.cast(present_BxK, tf.float32)
    return tf.argmax(chances, axis=1)
