"""Distances between sets of drawn and real pictures, in the features of a network.

None of them is an FID: the network is small and was trained here, so they compare generators with each other, not with
published figures.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""Features of n pictures, float32[n, d]."""

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
    """Unbiased kernel distance (Bińkowski et al., 2018): about 0, possibly negative, for sets of the same distribution.

    Args:
        real: Features of at least 2 real pictures.
        drawn: Features of at least 2 drawings.
        seed: Seed of the subsets of up to 1,000.
    """
    random, count = np.random.default_rng(seed), min(len(real), len(drawn), SUBSET)
    values = [squared_mmd(*(some(each, count, random) for each in (real, drawn))) for _ in range(SUBSETS)]
    return Distance(float(np.mean(values)), float(np.std(values) / np.sqrt(SUBSETS)))


def some(features: Features, count: int, random: np.random.Generator) -> Features:
    """`count` random rows without repetition."""
    return features[random.choice(len(features), count, replace=False)]


def squared_mmd(first: Features, second: Features) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of two sets of n rows, with the cubic kernel."""
    count = len(first)

    def within(features: Features) -> float:
        values = cubic(features, features)
        return float((values.sum() - np.trace(values)) / (count * (count - 1)))

    return within(first) + within(second) - 2 * float(cubic(first, second).mean())


def cubic(first: Features, second: Features) -> NDArray[np.float64]:
    """(x·y / d + 1)³ for all pairs."""
    return (first.astype(np.float64) @ second.T.astype(np.float64) / first.shape[1] + 1) ** 3


def covered(support: Features, features: Features, *, neighbours: int = NEIGHBOURS) -> float:
    """Share of features within the support of a set: closer to one of its members than this is to its k-th neighbour.

    Improved precision is the share of drawings within the support of real pictures; recall is the converse
    (Kynkäänniemi et al., 2019).

    Args:
        support: Features of more than `neighbours` pictures.
        features: The features to test.
        neighbours: k.
    """
    # A member is its own nearest neighbour.
    reach = np.sort(squared_distances(support, support), axis=1)[:, neighbours]
    return float((squared_distances(features, support) <= reach).any(axis=1).mean())


def squared_distances(first: Features, second: Features) -> NDArray[np.float32]:
    """Distances between all pairs, float32[n, m]."""
    lengths = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    return np.maximum(lengths - 2 * first @ second.T, 0)
