"""Pieces that exclude each other: captions with both are far fewer than chance would have made them.

The opposite of the trigger pairs of Rosenfeld (1996). A penguin and a desert, or two times of day, are such pairs; a
small LSTM learns them slowly, because they cost little likelihood.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import RESERVED

EXPECTED = 3.0
"""Number of captions in which chance must bring two pieces together, so that their absence means something."""
SELDOM = 0.2
"""How often exclusive pieces may meet, as a share of what chance would give: a pumpkin may lie beside a beach ball."""
MANY = 400_000
"""Maximum number of captions that are counted."""
CHUNK = 4096


def exclusive_pairs(captions: NDArray[np.integer], size: int) -> NDArray[np.bool_]:
    """Find the exclusive pairs among the first pieces of a vocabulary, the most frequent ones.

    A piece excludes itself if captions seldom repeat it, although chance would.

    Args:
        captions: Ids, int[n, t]; of more than `MANY` captions, as many at random are counted.
        size: Number of pieces to compare.

    Returns:
        bool[size, size], symmetric; the reserved pieces exclude none.
    """
    captions = some(captions, MANY)
    together, alone = np.zeros([size, size], np.float32), np.zeros(size, np.float32)
    for start in range(0, len(captions), CHUNK):
        counts = counts_of(captions[start : start + CHUNK], size)
        present = (counts > 0).astype(np.float32)
        together += present.T @ present - np.diag((counts == 1).sum(axis=0))
        alone += present.sum(axis=0)
    expected = np.outer(alone, alone) * (1 - np.eye(size) / 2) / max(1, len(captions))
    exclusive = (together <= SELDOM * expected) & (expected >= EXPECTED)
    exclusive[: len(RESERVED)] = exclusive[:, : len(RESERVED)] = False
    return exclusive


def some(rows: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many rows, chosen at random and in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]


def counts_of(captions: NDArray[np.integer], size: int) -> NDArray[np.int64]:
    """How often each of the first pieces occurs in each caption, int64[n, size]."""
    rows = np.arange(len(captions))[:, None] * (size + 1)
    counts = np.bincount((rows + np.minimum(captions, size)).ravel(), minlength=len(captions) * (size + 1))
    return counts.reshape(-1, size + 1)[:, :size]
