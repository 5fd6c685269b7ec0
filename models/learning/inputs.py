"""Arrays in memory become batches for training, on whichever backend Keras has."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backends import backend
from models.sampling import Chance
from models.tensors import Tensor
from models.vocabulary import END, PAD, RESERVED, UNKNOWN

BEHEADED = 0.1
"""Share of the captions that the language model reads from some piece after the first."""
LONGEST_WORD = 8
"""Most pieces that an unknown word falls apart into in training."""

Tensors: TypeAlias = Mapping[str, Tensor]


class Captioned(NamedTuple):
    """Transformed pictures with their captions, in memory: a picture takes size * size * 3 bytes.

    Attributes:
        image: uint8[n, size, size, 3].
        captions: int64[n, k, t], the ids of `text`, `text_zh` and further captions; a missing one is START, END alone.
    """

    image: NDArray[np.uint8]
    captions: NDArray[np.int64]


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
    """Endless batches for training, picked from arrays in memory.

    Attributes:
        arrays: What they are picked from, by name.
        total: Rows to choose from.
        batch_size: Rows in a batch; each row comes once an epoch.
        seed: Of the order, and of what is drawn at random.
        pick: In `keras.ops`, from the arrays, the chance of a batch and its rows, int[batch_size], to the batch.
    """

    arrays: Mapping[str, NDArray[Any]]
    total: int
    batch_size: int
    seed: int
    pick: Callable[[Tensors, Chance, Tensor], Tensors]

    def batch(self, arrays: Tensors, number: Tensor, rows: Tensor) -> Tensors:
        """The batch of a number, int[], that consists of some rows; the arrays are given as tensors."""
        return self.pick(arrays, Chance(self.seed, number), rows)

    def dataset(self) -> Any:
        """The batches as Keras' fit takes them: a `tf.data.Dataset` on TensorFlow, an iterator on JAX."""
        return backend.dataset(self)


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
        seed: Of the order and of what is left to chance.
        unknown: Which captions are read with unknown words; None for none.

    Returns:
        Batches of what `models.language_training.GroundedLanguageModel` takes.
    """
    length = max(used_length(data.captions), used_length(lines))
    arrays = {"captions": data.captions[..., :length], "lines": lines[..., :length], "image": data.image}
    total = len(data.image) + len(lines)
    return Batches(arrays, total, batch_size, seed, partial(pick_captions, unknown=unknown))


def pick_captions(arrays: Tensors, chance: Chance, rows: Tensor, *, unknown: UnknownWords | None) -> Tensors:
    """Pick for `caption_batches`: rows beyond the pictures are lines."""
    pictures, lines = (ops.shape(arrays[name])[0] for name in ("image", "lines"))
    has_picture, picture_rows = rows < pictures, ops.minimum(rows, pictures - 1)
    both = ops.take(arrays["captions"], picture_rows, axis=0)
    ids = some_beheaded(one_caption(both, chance), chance)
    if lines:
        line = ops.take(arrays["lines"], ops.maximum(rows - pictures, 0), axis=0)
        ids = ops.where(has_picture[:, None], ids, line)
    ids, targets = with_unknown_words(ids, unknown, chance) if unknown else (ids, ids)
    return {
        "ids": ids,
        "targets": targets,
        "all_ids": both,
        "image": ops.take(arrays["image"], picture_rows, axis=0),
        "has_picture": ops.cast(has_picture, "float32"),
    }


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
        embeddings: float32[n, k, d].
        present: bool[n, k], which captions there are.
        batch_size: Pictures in a batch.
        seed: Of the order and the choice of captions.
    """
    arrays = {"image": image, "embeddings": embeddings, "present": present}
    return Batches(arrays, len(image), batch_size, seed, pick_embeddings)


def pick_embeddings(arrays: Tensors, chance: Chance, rows: Tensor) -> Tensors:
    """Pick for `embedding_batches`."""
    image, embeddings, present = (ops.take(arrays[name], rows, axis=0) for name in ("image", "embeddings", "present"))
    return {"image": image, "embedding": choose(embeddings, present, chance)}


def picture_batches(image: NDArray[np.uint8], *, batch_size: int, seed: int) -> Batches:
    """Batches for the restorer: a picture and the seed of its damage."""
    return Batches({"image": image}, len(image), batch_size, seed, pick_pictures)


def pick_pictures(arrays: Tensors, chance: Chance, rows: Tensor) -> Tensors:
    """Pick for `picture_batches`."""
    return {"image": ops.take(arrays["image"], rows, axis=0), "seed": chance.seeds(ops.shape(rows)[0])}


def is_present(captions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which captions, int64[n, k, t], say anything: bool[n, k]."""
    return captions[..., 1] != END


def one_caption(both_BxKxT: Tensor, chance: Chance) -> Tensor:
    """One caption of each row at random, int64[b, t]; never a missing one."""
    return choose(both_BxKxT, ops.not_equal(both_BxKxT[..., 1], END), chance)


def choose(parts_BxKxN: Tensor, present_BxK: Tensor, chance: Chance) -> Tensor:
    """One part of each row at random, [b, n], of those that are there."""
    chances = chance.uniform("caption", ops.shape(present_BxK)) + ops.cast(present_BxK, "float32")
    return ops.take_along_axis(parts_BxKxN, ops.argmax(chances, axis=1)[:, None, None], axis=1)[:, 0]


def some_beheaded(ids_BxT: Tensor, chance: Chance) -> Tensor:
    """Captions, a tenth of them without some of their first pieces, int64[b, t]; one piece is always left."""
    rows, length = ops.shape(ids_BxT)
    pieces = ops.sum(ops.cast(ops.not_equal(ids_BxT, PAD), "float32"), axis=1) - 2
    taken = ops.cast(chance.uniform("pieces taken", [rows]) * pieces, "int32")
    taken = ops.where(chance.uniform("beheaded", [rows]) < BEHEADED, taken, 0)
    padded = ops.pad(ids_BxT, [[0, 0], [0, length]], constant_values=PAD)
    rest = ops.take_along_axis(padded, ops.arange(1, length)[None] + taken[:, None], axis=1)
    return ops.concatenate([ids_BxT[:, :1], rest], axis=1)


def with_unknown_words(ids_BxT: Tensor, unknown: UnknownWords, chance: Chance) -> tuple[Tensor, Tensor]:
    """Captions, a share of them with some pieces replaced by words that no caption has.

    Such a word means nothing, so a model comes to read over it, and draws what the rest of a caption says.

    Args:
        ids_BxT: int64[b, t], of static sides.
        unknown: How many, and by what.
        chance: Decides which.

    Returns:
        The captions, int64[b, t + `LONGEST_WORD`], cut where they would be longer; and the same with PAD for the pieces
        of unknown words, which nothing is to be learned of.
    """
    (rows, length), most = ops.shape(ids_BxT), LONGEST_WORD
    is_read_so_B = chance.uniform("captions with unknown words", [rows]) < unknown.share
    rate_B = ops.where(is_read_so_B, chance.uniform("share of unknown words", [rows]), 0.0)
    unknown_BxT = (ids_BxT >= len(RESERVED)) & (chance.uniform("unknown words", [rows, length]) < rate_B[:, None])
    whole_BxTxM = ops.pad(ids_BxT[..., None], [[0, 0], [0, 0], [0, most - 1]], constant_values=PAD)
    words_BxTxM = words(unknown.letters, [rows, length], chance)
    read = ops.reshape(ops.where(unknown_BxT[..., None], words_BxTxM, whole_BxTxM), [rows, -1])
    learned = ops.reshape(ops.where(unknown_BxT[..., None], PAD, whole_BxTxM), [rows, -1])
    # What is not padding moves to the front, in the order in which it stands.
    places = ops.arange(length * most) + ops.where(ops.equal(read, PAD), length * most, 0)
    order = ops.argsort(places, axis=1)[:, : length + most]
    return tuple(ops.take_along_axis(ids, order, axis=1) for ids in (read, learned))


def words(letters: Sequence[int], shape: Sequence[int], chance: Chance) -> Tensor:
    """Unknown words, int[*shape, `LONGEST_WORD`]: the first letter, then any of them, then PAD."""
    others = chance.uniform("letters", [*shape, LONGEST_WORD - 1])
    spelled = ops.pad(ops.cast(others * len(letters), "int32"), [[0, 0], [0, 0], [1, 0]])
    ends = 2 + ops.cast(chance.uniform("ends of words", [*shape, 1]) * (LONGEST_WORD - 1), "int32")
    return ops.where(ops.arange(LONGEST_WORD) < ends, ops.take(ops.convert_to_tensor(letters), spelled), PAD)


def unknown_words(vocabulary: Sequence[str], share: float, *ids: NDArray[np.int64]) -> UnknownWords | None:
    """Words of the pieces that occur in none of the texts, and so in unknown words alone; None without a share.

    Where every piece occurs somewhere, UNKNOWN alone stands for such a word.

    Args:
        vocabulary: All pieces.
        share: Of the captions that are to have such words.
        ids: Texts, int64[..., t] each.
    """
    if not share:
        return None
    met = np.unique(np.concatenate([each.ravel() for each in ids]))
    return UnknownWords(np.setdiff1d(np.arange(len(RESERVED), len(vocabulary)), met).tolist() or [UNKNOWN], share)
