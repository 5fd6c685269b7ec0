"""Embeddings of the training captions, computed once by a language model that is not trained further."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.learning.inputs import Captioned, UnknownWords, is_present, unknown_words, with_unknown_words

# Versions of each caption in the training of a generator, if some words are to be unknown.
VERSIONS = 8


class Embedded(NamedTuple):
    """Embeddings of the captions of pictures, in `k` versions for each picture.

    Attributes:
        embeddings: float32[n, k, d]; the unchanged captions come first, in both languages.
        present: bool[n, k], whether each caption exists.
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
        language_model: Encodes the captions.
        unknown_share: Share of the additional versions in which some words are made unknown; see `versions`.
    """
    unknown = unknown_words(language_model.vocabulary, unknown_share, data.captions)
    captions = versions(data.captions, unknown) if unknown else data.captions
    return Embedded(embed_all(language_model, captions), is_present(captions))


def versions(captions: NDArray[np.int64], unknown: UnknownWords) -> NDArray[np.int64]:
    """Add versions to captions, some of them with unknown words.

    Args:
        captions: int64[n, k, t].
        unknown: The share of captions with unknown words, and the pieces of these words.

    Returns:
        int64[n, k * `VERSIONS`, t]; the unchanged captions come first.
    """
    length = captions.shape[-1]
    rows = tf.constant(captions.reshape(-1, length))
    others = [with_unknown_words(rows, unknown)[0][:, :length].numpy() for _ in range(VERSIONS - 1)]
    return np.concatenate([captions, *(other.reshape(captions.shape) for other in others)], axis=1)


def embed_all(model: LanguageModel, captions: NDArray[np.int64], batch: int = 512) -> NDArray[np.float32]:
    """Embed captions, int64[n, k, t], as float32[n, k, d]; zeros for missing captions."""
    embed = tf.function(lambda ids: model(ids)[1], reduce_retracing=True)
    present = is_present(captions)
    rows, embeddings = captions[present], np.zeros([*present.shape, model.embedding_size], np.float32)
    parts = [embed(tf.constant(rows[start : start + batch])).numpy() for start in range(0, len(rows), batch)]
    embeddings[present] = np.concatenate(parts)
    return embeddings
