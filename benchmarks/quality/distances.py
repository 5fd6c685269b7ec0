"""How near drawn pictures are to real ones as sets, by what a network sees in them.

None of these is an FID: they are measured in a small network that was trained here, and compare generators with one
another, not with published figures.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""What a network sees in n pictures, float32[n, d]."""

SUBSETS, SUBSET = 50, 1000
NEIGHBOURS = 5


class Distance(NamedTuple):
    """A mean over subsets.

    Attributes:
        value: The mean.
        error: Its standard error.
    """

    value: float
    error: float


def kid(real: Features, drawn: Features, *, seed: int = 0) -> Distance:
    """Kernel distance of Bińkowski et al. (2018), unbiased: about 0 for sets that are alike, and possibly below.

    Args:
        real: Features of real pictures, at least 2.
        drawn: Features of drawn ones, at least 2.
        seed: Of the subsets of up to 1,000.
    """
    random, count = np.random.default_rng(seed), min(len(real), len(drawn), SUBSET)
    values = [squared_mmd(*(some(each, count, random) for each in (real, drawn))) for _ in range(SUBSETS)]
    return Distance(float(np.mean(values)), float(np.std(values) / np.sqrt(SUBSETS)))


def some(features: Features, count: int, random: np.random.Generator) -> Features:
    """As many rows at random, none twice."""
    return features[random.choice(len(features), count, replace=False)]


def squared_mmd(first: Features, second: Features) -> float:
    """The squared maximum mean discrepancy of two sets of n rows under the cubic kernel, estimated without bias."""
    count = len(first)

    def within(features: Features) -> float:
        values = cubic(features, features)
        return float((values.sum() - np.trace(values)) / (count * (count - 1)))

    return within(first) + within(second) - 2 * float(cubic(first, second).mean())


def cubic(first: Features, second: Features) -> NDArray[np.float64]:
    """(x·y / d + 1)³ of all pairs."""
    return (first.astype(np.float64) @ second.T.astype(np.float64) / first.shape[1] + 1) ** 3


def covered(support: Features, features: Features, *, neighbours: int = NEIGHBOURS) -> float:
    """Share of features within reach of a set: nearer to one of its members than its k-th neighbour in the set is.

    Improved precision is the drawn ones within reach of the real ones, recall the reverse (Kynkäänniemi et al., 2019).

    Args:
        support: Features of more than `neighbours` pictures.
        features: Those that are looked for.
        neighbours: k.
    """
    # A member is its own nearest neighbour.
    reach = np.sort(squared_distances(support, support), axis=1)[:, neighbours]
    return float((squared_distances(features, support) <= reach).any(axis=1).mean())


def squared_distances(first: Features, second: Features) -> NDArray[np.float32]:
    """Of all pairs, float32[n, m]."""
    lengths = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.maximum(lengths - 2 * first @ second.T, 0)
