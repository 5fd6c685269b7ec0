"""How much a language model's guesses count beside word counts, by captions that it has not learned from."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.vocabulary import PAD

SHARES = np.linspace(0, 1, 41)
# Nats per piece that the model may cost more than at the best share: where it is good, it stays as it was trained.
SLACK = 0.005
# Captions that are looked at, and how many side by side: bounds on time and memory.
MOST, ROWS = 1024, 64


def calibrate(model: LanguageModel, ids_BxT: NDArray[np.int64]) -> float:
    """Blend a model's guesses with the unigram baseline's, as far as captions ask for it.

    A model that knows its captions by heart is sure of itself where others begin, and wrong. Weighed against word
    counts (log-linear interpolation, Klakow, 1998) it guesses these about as well as the counts do, or better.

    Args:
        model: Trained; see `LanguageModel.blend_unigram` for what becomes of it.
        ids_BxT: Captions that it has not learned from.

    Returns:
        The share of the model's own guesses; 1, and nothing is changed, where there are no captions or its weights are
        not numbers.
    """
    if not len(ids_BxT):
        return 1.0
    nats = nats_by_share(model, ids_BxT[:MOST])
    share = float(SHARES[nats <= nats.min() + SLACK].max()) if np.isfinite(nats).all() else 1.0
    model.blend_unigram(share)
    return share


def nats_by_share(model: LanguageModel, ids_BxT: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a piece of captions costs at each of `SHARES`, in nats, float64[shares]."""
    measure = tf.function(lambda ids: _nats_by_share(model, ids), reduce_retracing=True)
    parts = [measure(tf.constant(ids_BxT[start : start + ROWS])) for start in range(0, len(ids_BxT), ROWS)]
    return np.sum(parts, axis=0, dtype=np.float64) / (ids_BxT[:, 1:] != PAD).sum()


def _nats_by_share(model: LanguageModel, ids_BxT: tf.Tensor) -> tf.Tensor:
    """What all pieces cost together, float32[shares]."""
    x_BxTxW, _ = model.read(ids_BxT[:, :-1], model.no_states(tf.shape(ids_BxT)[0]))
    told_BxT = tf.not_equal(ids_BxT[:, 1:], PAD)
    targets_N = tf.boolean_mask(ids_BxT[:, 1:], told_BxT)
    logits_NxV = model.next_piece(tf.boolean_mask(x_BxTxW, told_BxT))
    baseline_V = tf.convert_to_tensor(model.unigram)

    def nats(share: tf.Tensor) -> tf.Tensor:
        blended_NxV = share * logits_NxV + (1 - share) * baseline_V
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets_N, logits=blended_NxV))

    return tf.map_fn(nats, tf.constant(SHARES, tf.float32))
