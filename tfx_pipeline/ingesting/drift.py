"""How far new data are from those of the last run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from PIL import Image
from pydantic import BaseModel

from tfx_pipeline.datasets.folder import open_picture
from tfx_pipeline.ingesting.drift_page import Distance, of_split

NUMBERS = ("width", "height", "brightness", "red", "green", "blue", "caption_length")
NAMES = ("language", "words")
BINS, FEWEST, TINY = 10, 10, 1e-9
SAMPLE_SIDE, SAMPLE_ROWS, SAMPLE_COLUMNS = 48, 4, 8


class DriftError(Exception):
    """Data that have drifted too far; the message is a sentence with the numbers and the page."""


class Limits(BaseModel):
    """What `config.Retraining` allows."""

    most_drift: float
    most_skew: float
    on_drift: str


def distances(now: Path, before: Path | None, schema: Any, limits: Limits) -> list[Distance]:
    """All distances, the largest first: of names TFDV's, of numbers `divergence`.

    Args:
        now: Statistics of all splits.
        before: The same of the last run.
        schema: Of both.
        limits: What is allowed.
    """
    train, held_out = of_split(now, "train"), of_split(now, "eval")
    last = None if before is None else of_split(before, "train")
    found = [
        Distance(name, kind, divergence(points(other, name), points(train, name)), most)
        for kind, other, most in (("drift", last, limits.most_drift), ("skew", held_out, limits.most_skew))
        if other is not None
        for name in NUMBERS
    ]
    found += of_names(train, last, held_out, schema, limits)
    return sorted(found, key=lambda distance: distance.value / distance.most, reverse=True)


def of_names(train: Any, last: Any | None, held_out: Any, schema: Any, limits: Limits) -> Iterator[Distance]:
    """Distances of names: the largest difference of the share of one."""
    for name in NAMES:
        feature = tfdv.get_feature(schema, name)
        feature.drift_comparator.infinity_norm.threshold = limits.most_drift
        feature.skew_comparator.infinity_norm.threshold = limits.most_skew
    anomalies = tfdv.validate_statistics(train, schema, previous_statistics=last, serving_statistics=held_out)
    for info in anomalies.drift_skew_info:
        for kind, measures in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            yield from (Distance(info.path.step[0], kind, each.value, each.threshold) for each in measures)


class Points(NamedTuple):
    """A distribution as values with weights that add up to 1, and how many numbers it stands for."""

    values: np.ndarray
    weights: np.ndarray
    count: int


def points(statistics: Any, name: str) -> Points:
    """The quantiles of a number, as TFDV keeps them: half of each bucket at either end of it."""
    feature = next(item for item in statistics.datasets[0].features if item.path.step[0] == name)
    quantiles = next(each for each in feature.num_stats.histograms if each.type == each.QUANTILES)
    ends = np.array([(bucket.low_value, bucket.high_value) for bucket in quantiles.buckets]).reshape(-1)
    weights = np.repeat([bucket.sample_count for bucket in quantiles.buckets], 2)
    return Points(ends, weights / weights.sum(), feature.num_stats.common_stats.num_non_missing)


def divergence(first: Points, second: Points) -> float:
    """The Jensen-Shannon divergence (Lin, 1991) of two distributions, 0 to 1, less what chance gives so few numbers.

    The bins hold equal shares of both together, and five numbers or more of the smaller one, so that a value that most
    numbers have is a bin of its own. TFDV's bins have equal widths: one number beside a constant moves all others into
    another bin. Fewer than ten numbers say nothing: 0.
    """
    if (fewest := min(first.count, second.count)) < FEWEST:
        return 0.0
    bins = int(np.clip(fewest // 5, 2, BINS))
    values, weights = np.concatenate([first.values, second.values]), np.concatenate([first.weights, second.weights]) / 2
    order = np.argsort(values, kind="stable")
    places = np.searchsorted(np.cumsum(weights[order]), np.arange(1, bins) / bins - TINY)
    edges = np.unique(values[order][places])
    shares = np.stack([shares_of(one, edges) for one in (first, second)])
    shares = shares[:, shares.any(axis=0)]
    ratios = shares / shares.mean(axis=0)
    found = float(np.sum(shares * np.log2(np.where(ratios, ratios, 1)))) / 2
    by_chance = (shares.shape[1] - 1) / (8 * np.log(2)) * (1 / first.count + 1 / second.count)
    return max(0.0, found - by_chance)


def shares_of(one: Points, edges: np.ndarray) -> np.ndarray:
    """The weight up to each edge, and beyond the last."""
    return np.bincount(np.searchsorted(edges, one.values), one.weights, len(edges) + 1)


def pictures(files: list[Path]) -> Iterator[Image.Image]:
    """The first pictures of files of examples."""
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
