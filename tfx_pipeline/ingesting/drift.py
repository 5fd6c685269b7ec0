"""Distances between the data of a run and of the last one (drift), and between training and eval split (skew)."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from tfx_pipeline.datasets.folder import open_picture
from tfx_pipeline.ingesting.drift_page import Distance, of_split

NUMBERS = ("width", "height", "brightness", "red", "green", "blue", "caption_length")
NAMES = ("language", "words")
FEWEST, PER_BIN, MOST_BINS = 10, 5, 10
QUANTILES = 100
"""Number of buckets in the quantile histograms from which distances are computed."""
SAMPLE_SIDE, SAMPLE_ROWS, SAMPLE_COLUMNS = 48, 4, 8


class DriftError(Exception):
    """The data have drifted too far; the message is one sentence with the numbers and the page."""


class Limits(BaseModel):
    """The limits in `config.Retraining`."""

    most_drift: float
    most_skew: float
    on_drift: str


def distances(now: Path, before: Path | None, limits: Limits) -> list[Distance]:
    """All distances, the largest first: `divergence` of numbers, `share_difference` of names.

    Args:
        now: The folder of the statistics of all splits.
        before: The same for the last run.
        limits: The allowed distances.
    """
    train = of_split(now, "train")
    compared = [("skew", of_split(now, "eval"), limits.most_skew)]
    if before is not None:
        compared.append(("drift", of_split(before, "train"), limits.most_drift))
    measured = [
        Distance(feature, kind, distance_of(feature, other, train), most)
        for kind, other, most in compared
        for feature in (*NUMBERS, *NAMES)
    ]
    return sorted(measured, key=lambda distance: distance.value / distance.most, reverse=True)


def distance_of(feature: str, first: Any, second: Any) -> float:
    """The distance of a feature between the statistics of two datasets."""
    if feature in NAMES:
        return share_difference(names(first, feature), names(second, feature))
    return divergence(numbers(first, feature), numbers(second, feature))


class Numbers(NamedTuple):
    """A sample of numbers, as weighted values.

    Attributes:
        values: float64[n].
        shares: float64[n], the weights, which sum to 1.
        size: Number of values in the sample.
    """

    values: NDArray[np.float64]
    shares: NDArray[np.float64]
    size: float


def numbers(statistics: Any, feature: str) -> Numbers:
    """Read a feature from TFDV's quantile histogram, with half of each bucket's count at each of its ends."""
    buckets = [
        bucket
        for matching in of_feature(statistics, feature)
        for histogram in matching.num_stats.histograms
        if histogram.type == histogram.QUANTILES
        for bucket in histogram.buckets
    ]
    values = np.array([end for bucket in buckets for end in (bucket.low_value, bucket.high_value)])
    counts = np.array([bucket.sample_count / 2 for bucket in buckets for _ in range(2)])
    return Numbers(values, counts / counts.sum(), float(counts.sum()))


def divergence(first: Numbers, second: Numbers) -> float:
    """The Jensen-Shannon divergence (Lin, 1991) of two samples in bits, 0 to 1, minus its expectation under chance.

    The bins contain equal shares of the joint sample, and a very frequent value has a bin of its own. With TFDV's bins
    of equal width, a single outlier would move all other values to another bin. The result is 0 if a sample has fewer
    than `FEWEST` values.
    """
    if (fewest := min(first.size, second.size)) < FEWEST:
        return 0.0
    edges = common_quantiles(first, second, int(np.clip(fewest / PER_BIN, 2, MOST_BINS)))
    shares = np.stack([shares_by_bin(sample, edges) for sample in (first, second)])
    shares = shares[:, shares.any(axis=0)]
    ratios = shares / shares.mean(axis=0)
    observed = float(np.sum(shares * np.log2(np.where(ratios > 0, ratios, 1)))) / 2
    by_chance = (shares.shape[1] - 1) / (8 * math.log(2)) * (1 / first.size + 1 / second.size)
    return max(0.0, observed - by_chance)


def common_quantiles(first: Numbers, second: Numbers, bins: int) -> NDArray[np.float64]:
    """The values that divide the joint sample into bins of equal shares; fewer if values repeat."""
    values = np.concatenate([first.values, second.values])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(np.concatenate([first.shares, second.shares])[order]) / 2
    # The tolerance prevents a rounding error of the sum from moving a cut to the next value.
    return np.unique(values[order][np.searchsorted(reached, np.arange(1, bins) / bins - 1e-9)])


def shares_by_bin(sample: Numbers, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of a sample up to each edge, and beyond the last."""
    return np.bincount(np.searchsorted(edges, sample.values), sample.shares, len(edges) + 1).astype(np.float64)


def names(statistics: Any, feature: str) -> dict[str, float]:
    """The counts of the names of a feature."""
    matching = of_feature(statistics, feature)
    return {
        bucket.label: bucket.sample_count
        for statistic in matching
        for bucket in statistic.string_stats.rank_histogram.buckets
    }


def share_difference(first: dict[str, float], second: dict[str, float]) -> float:
    """The largest difference in the share of a name, 0 to 1, minus its expectation under chance.

    The result is 0 if a sample has fewer than `FEWEST` names.
    """
    counts = np.array([[sample.get(name, 0) for name in {**first, **second}] for sample in (first, second)])
    sizes = counts.sum(axis=1)
    if sizes.min() < FEWEST:
        return 0.0
    shares, pooled = counts / sizes[:, None], counts.sum(axis=0) / sizes.sum()
    by_chance = np.sqrt(2 / np.pi * pooled * (1 - pooled) * (1 / sizes).sum())
    return max(0.0, float((abs(shares[0] - shares[1]) - by_chance).max()))


def of_feature(statistics: Any, feature: str) -> list[Any]:
    """The statistics of one feature in a list, which is empty if no example has it."""
    return [statistic for statistic in statistics.datasets[0].features if statistic.path.step[0] == feature]


def pictures(files: list[Path]) -> Iterator[Image.Image]:
    """The first pictures in files of examples."""
    records = tf.data.TFRecordDataset(list(map(str, files)))
    for record in records.take(SAMPLE_ROWS * SAMPLE_COLUMNS).as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        yield open_picture(features["image"].bytes_list.value[0])


def sheet(images: Iterator[Image.Image]) -> Image.Image:
    """A grid of thumbnails."""
    grid = Image.new("RGB", (SAMPLE_COLUMNS * SAMPLE_SIDE, SAMPLE_ROWS * SAMPLE_SIDE), "white")
    for number, image in enumerate(images):
        row, column = divmod(number, SAMPLE_COLUMNS)
        grid.paste(image.resize((SAMPLE_SIDE, SAMPLE_SIDE)), (column * SAMPLE_SIDE, row * SAMPLE_SIDE))
    return grid
