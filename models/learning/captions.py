"""Captions of a training, read once by a language model that stays as it is."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.learning.inputs import Captioned, UnknownWords, is_present, unknown_words, with_unknown_words

# Of a caption that a generator learns from, where some words are to be unknown.
VERSIONS = 8


class Embedded(NamedTuple):
    """What a language model reads in the captions of pictures, in `k` versions of each.

    Attributes:
        embeddings: float32[n, k, d]; the captions as they are come first, in both languages.
        present: bool[n, k], which captions there are.
    """

    embeddings: NDArray[np.float32]
    present: NDArray[np.bool_]

    def some(self, count: int) -> NDArray[np.float32]:
        """Embeddings of the first captions, float32[count, d] or fewer."""
        return self.embeddings[:, :2][self.present[:, :2]][:count]


def embedded(data: Captioned, language_model: LanguageModel, unknown_share: float) -> Embedded:
    """Embed the captions of pictures.

    Args:
        data: Captioned pictures.
        language_model: Reads the captions.
        unknown_share: Of the captions that are read with some words made unknown as well; see `versions`.
    """
    unknown = unknown_words(language_model.vocabulary, unknown_share, data.captions)
    captions = versions(data.captions, unknown) if unknown else data.captions
    return Embedded(embed_all(language_model, captions), is_present(captions))


def versions(captions: NDArray[np.int64], unknown: UnknownWords) -> NDArray[np.int64]:
    """Captions with further versions of each, some of them with unknown words.

    Args:
        captions: int64[n, k, t].
        unknown: How many, and what their unknown words consist of.

    Returns:
        int64[n, k * `VERSIONS`, t]; the captions as they are come first.
    """
    length = captions.shape[-1]
    rows = tf.constant(captions.reshape(-1, length))
    others = [with_unknown_words(rows, unknown)[0][:, :length].numpy() for _ in range(VERSIONS - 1)]
    return np.concatenate([captions, *(other.reshape(captions.shape) for other in others)], axis=1)


def embed_all(model: LanguageModel, captions: NDArray[np.int64], batch: int = 512) -> NDArray[np.float32]:
    """Embeddings, float32[n, k, d], of captions, int64[n, k, t]; zeros of missing ones."""
    embed = tf.function(lambda ids: model(ids)[1], reduce_retracing=True)
    present = is_present(captions)
    rows, embeddings = captions[present], np.zeros([*present.shape, model.embedding_size], np.float32)
    parts = [embed(tf.constant(rows[start : start + batch])).numpy() for start in range(0, len(rows), batch)]
    embeddings[present] = np.concatenate(parts)
    return embeddings
