"""Arrays become batches for training."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.stored import as_tensor, parts, zeros_beside
from models.vocabulary import END, PAD, RESERVED, UNKNOWN

BEHEADED = 0.1
"""Share of the captions that the language model reads from some piece after the first."""
LONGEST_WORD = 8
"""Most pieces that an unknown word falls apart into in training."""
NOTHING: Mapping[str, tf.Tensor] = MappingProxyType({})


class Captioned(NamedTuple):
    """Transformed pictures with their captions, in memory or in mapped files (`models.learning.stored`).

    Attributes:
        image: uint8[n, size, size, 3].
        captions: int64[n, k, t], the ids of `text`, `text_zh` and further captions; a missing one is START, END alone.
        boxes: float32[n, things, 5], where the things of a picture are, as `models.scene_network.noise_of_boxes` takes
            them, NaN for things that are not there, zeros where nobody knows; None where nobody knows of any picture.
        tags: bool[n, things + 1, tags], what the things in boxes are, and in the last row what else a picture shows;
            None where nobody knows.
    """

    image: NDArray[np.uint8]
    captions: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None
    tags: NDArray[np.bool_] | None = None


class UnknownWords(NamedTuple):
    """How captions are read with words that no caption has.

    Attributes:
        letters: Ids of what a word that the vocabulary lacks falls apart into; its first piece is the first of them.
        share: Of the captions that have unknown words, 0 to 1; how many of such a caption's pieces, none to all, is a
            matter of chance.
    """

    letters: Sequence[int]
    share: float


class Batches(NamedTuple):
    """Endless batches for training.

    Attributes:
        total: Rows to choose from.
        batch_size: Rows in a batch; each row comes once an epoch.
        seed: Of the order.
        pick: In the graph, from a batch's number, int64[], and its rows, int64[batch_size], to the batch without what
            the arrays add.
        arrays: Tensors of which a batch has its rows, by name; the last row stands in for rows past the end.
    """

    total: int
    batch_size: int
    seed: int
    pick: Callable[[tf.Tensor, tf.Tensor], Any]
    arrays: Mapping[str, tf.Tensor] = NOTHING

    def dataset(self, part: int = 0, of: int = 1) -> tf.data.Dataset:
        """The batches, or one of `of` equal parts of each, a few of them made ahead of their use."""
        rows = tf.data.Dataset.range(self.total).shuffle(self.total, seed=self.seed).repeat()
        numbered = rows.batch(self.batch_size, drop_remainder=True).enumerate()
        batches = numbered.map(lambda number, rows: self.batch(number, rows, part, of)).prefetch(8)
        return batches.with_options(without_copies())

    def batch(self, number: tf.Tensor, rows: tf.Tensor, part: int = 0, of: int = 1) -> Any:
        """The batch of a number, or one of `of` equal parts of it, for which only its own rows of arrays are read."""
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
    """Batches for the language model: one caption of each picture, and lines of text that have no picture.

    Some captions lack their first pieces, since a prompt may begin with any: "circle" as well as "a red circle".
    Columns that hold nothing but padding are left out: every step would read them.

    Args:
        data: Captioned pictures.
        lines: Ids of texts without a picture, int64[n, t].
        batch_size: Captions in a batch.
        seed: Of the order.
        unknown: Which captions are read with unknown words; None for none.

    Returns:
        Batches of what `models.language_training.GroundedLanguageModel` takes.
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
    """Arrays as `Batches` takes them."""
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
        present: bool[n, k], which captions there are.
        batch_size: Pictures in a batch.
        seed: Of the order and the choice of captions.
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
    """Which captions, int64[n, k, t], say anything: bool[n, k]."""
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
    """Captions, a share of them with some pieces replaced by words that no caption has.

    Such a word means nothing, so a model comes to read over it, and draws what the rest of a caption says.

    Args:
        ids_BxT: int64[b, t], of a static number of rows.
        unknown: How many, and by what.

    Returns:
        The captions, int64[b, t + `LONGEST_WORD`], cut where they would be longer; and the same with PAD for the pieces
        of unknown words, which nothing is to be learned of.
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
    # What is not padding moves to the front, in the order in which it stands.
    order = tf.argsort(tf.cast(tf.equal(read, PAD), tf.int32), axis=1, stable=True)[:, : length + most]
    return tf.gather(read, order, batch_dims=1), tf.gather(learned, order, batch_dims=1)


def unknown_words(vocabulary: Sequence[str], share: float, *ids: NDArray[np.int64]) -> UnknownWords | None:
    """Words of the letters that spell other pieces and occur in no text by themselves; None without a share.

    Only words that the vocabulary lacks fall apart into them. Whole words that occur in no text, as a vocabulary that
    outlives its captions has them, keep their meaning. Where every letter occurs, UNKNOWN alone stands for such a word.

    Args:
        vocabulary: All pieces.
        share: Of the captions that are to have such words.
        ids: Texts, int64[..., t] each.
    """
    if not share:
        return None
    met = {number for array in ids for part in parts(len(array)) for number in np.unique(array[part]).tolist()}
    spelling = set("".join(piece for piece in vocabulary[len(RESERVED) :] if len(piece) > 1))
    letters = [number for number, piece in enumerate(vocabulary) if piece in spelling and number not in met]
    return UnknownWords(letters or [UNKNOWN], share)


def choose(present_BxK: tf.Tensor) -> tf.Tensor:
    """A column of each row at random where it is true, int64[b]."""
    chances = tf.random.uniform(tf.shape(present_BxK)) + tf.cast(present_BxK, tf.float32)
    return tf.argmax(chances, axis=1)
