"""One long text becomes batches for a language model."""

from functools import partial

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.learning.inputs import Batches, Tensors
from models.sampling import Chance
from models.tensors import Tensor


def window_batches(ids: NDArray[np.int64], *, streams: int, window: int) -> Batches:
    """Batches for `models.language_training.TextTraining`: a row goes on where the row of the batch before it ended.

    The text is a ring, and the streams begin at even distances on it.

    Args:
        ids: The text, int64[n], longer than a window.
        streams: Places that are read side by side, the rows of every batch.
        window: Pieces that are read in a step.

    Returns:
        Batches of `ids`, int64[streams, window + 1].
    """
    arrays = {"ring": np.concatenate([ids, ids[: window + 1]])}
    return Batches(arrays, streams, streams, 0, partial(pick_windows, length=len(ids), window=window))


def pick_windows(arrays: Tensors, chance: Chance, rows: Tensor, *, length: int, window: int) -> Tensors:
    """Pick for `window_batches`, whose rows come in their order whatever `rows` says."""
    streams = ops.shape(rows)[0]
    starts = ops.arange(streams) * (length // streams)
    begins = (starts + ops.cast(chance.step, starts.dtype) * window) % length
    return {"ids": ops.take(arrays["ring"], begins[:, None] + ops.arange(window + 1), axis=0)}
