"""Embeddings of the training captions, computed once by a language model that is not trained further."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.learning.inputs import Captioned, UnknownWords, is_present, unknown_words, with_unknown_words
from models.learning.stored import parts, zeros_beside

VERSIONS = 8
"""Versions of each caption in the training of a generator, if some words are to be unknown."""
BATCH = 512
"""Captions that are encoded at once."""


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
        pictures, captions = np.nonzero(self.present[:, :2])
        return self.embeddings[pictures[:count], captions[:count]]


def embedded(data: Captioned, language_model: LanguageModel, unknown_share: float) -> Embedded:
    """Embed the captions of pictures.

    Args:
        data: Captioned pictures; if they are mapped from files, so are the embeddings.
        language_model: Encodes the captions.
        unknown_share: Share of the additional versions in which some words are made unknown; see `versions`.
    """
    unknown = unknown_words(language_model.vocabulary, unknown_share, data.captions)
    count, captions = data.captions.shape[0], data.captions.shape[1] * (VERSIONS if unknown else 1)
    embeddings = zeros_beside(data.image, [count, captions, language_model.embedding_size], np.float32)
    present = np.zeros([count, captions], bool)
    embed = tf.function(lambda ids: language_model(ids)[1], reduce_retracing=True)
    for part in parts(count):
        ids = versions(data.captions[part], unknown) if unknown else data.captions[part]
        present[part] = is_present(ids)
        pictures, columns = np.nonzero(present[part])
        for start in range(0, len(pictures), BATCH):
            rows = pictures[start : start + BATCH], columns[start : start + BATCH]
            embeddings[part][rows] = embed(tf.constant(ids[rows])).numpy()
    return Embedded(embeddings, present)


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
