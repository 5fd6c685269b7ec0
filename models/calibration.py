"""Calibration of a language model on held-out captions, by interpolation with the unigram baseline."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.language_model import LanguageModel
from models.vocabulary import PAD

SHARES = np.linspace(0, 1, 41)
# Tolerance in nats per piece: a model this close to the best share is left unchanged.
SLACK = 0.005
# Maximum number of captions, and captions per batch; they bound time and memory.
MOST, ROWS = 1024, 64


def calibrate(model: LanguageModel, ids_BxT: NDArray[np.int64]) -> float:
    """Interpolate a model with the unigram baseline, with the weight that fits held-out captions best.

    A model that has memorised its captions is overconfident on others. Interpolated with unigram counts (log-linear
    interpolation, Klakow, 1998), it predicts these at least about as well as the counts do.

    Args:
        model: A trained model, which is changed in place; see `LanguageModel.blend_unigram`.
        ids_BxT: Held-out captions.

    Returns:
        The weight of the model's own predictions; 1, which leaves the model unchanged, if there are no captions or
        its weights are not finite.
    """
    if not len(ids_BxT):
        return 1.0
    nats = nats_by_share(model, ids_BxT[:MOST])
    share = float(SHARES[nats <= nats.min() + SLACK].max()) if np.isfinite(nats).all() else 1.0
    model.blend_unigram(share)
    return share


def nats_by_share(model: LanguageModel, ids_BxT: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean negative log-likelihood per piece at each of `SHARES`, in nats, float64[shares]."""
    measure = tf.function(lambda ids: _nats_by_share(model, ids), reduce_retracing=True)
    parts = [measure(tf.constant(ids_BxT[start : start + ROWS])) for start in range(0, len(ids_BxT), ROWS)]
    return np.sum(parts, axis=0, dtype=np.float64) / (ids_BxT[:, 1:] != PAD).sum()


def _nats_by_share(model: LanguageModel, ids_BxT: tf.Tensor) -> tf.Tensor:
    """Summed negative log-likelihood of all pieces, float32[shares]."""
    x_BxTxW, _ = model.read(ids_BxT[:, :-1], model.no_states(tf.shape(ids_BxT)[0]))
    told_BxT = tf.not_equal(ids_BxT[:, 1:], PAD)
    targets_N = tf.boolean_mask(ids_BxT[:, 1:], told_BxT)
    logits_NxV = model.next_piece(tf.boolean_mask(x_BxTxW, told_BxT))
    baseline_V = tf.convert_to_tensor(model.unigram)

    def nats(share: tf.Tensor) -> tf.Tensor:
        blended_NxV = share * logits_NxV + (1 - share) * baseline_V
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets_N, logits=blended_NxV))

    return tf.map_fn(nats, tf.constant(SHARES, tf.float32))
