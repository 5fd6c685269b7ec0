"""How far new data are from those of the last run, in TFDV's distances."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from PIL import Image
from pydantic import BaseModel

from tfx_pipeline.datasets.folder import open_picture
from tfx_pipeline.ingesting.drift_page import Distance, of_split

NUMBERS = ("width", "height", "brightness", "red", "green", "blue", "caption_length")
NAMES = ("language", "words")
SAMPLE_SIDE, SAMPLE_ROWS, SAMPLE_COLUMNS = 48, 4, 8


class DriftError(Exception):
    """Data that have drifted too far; the message is a sentence with the numbers and the page."""


class Limits(BaseModel):
    """What `config.Retraining` allows."""

    most_drift: float
    most_skew: float
    on_drift: str


def distances(now: Path, before: Path | None, schema: Any, limits: Limits) -> list[Distance]:
    """All distances, the largest first.

    Args:
        now: Statistics of all splits.
        before: The same of the last run.
        schema: Of both.
        limits: What is allowed.
    """
    for name in (*NUMBERS, *NAMES):
        feature = tfdv.get_feature(schema, name)
        for comparator, most in (
            (feature.drift_comparator, limits.most_drift),
            (feature.skew_comparator, limits.most_skew),
        ):
            kind = comparator.infinity_norm if name in NAMES else comparator.jensen_shannon_divergence
            kind.threshold = most
    anomalies = tfdv.validate_statistics(
        of_split(now, "train"),
        schema,
        previous_statistics=None if before is None else of_split(before, "train"),
        serving_statistics=of_split(now, "eval"),
    )
    found = [
        Distance(info.path.step[0], kind, measured.value, measured.threshold)
        for info in anomalies.drift_skew_info
        for kind, measures in (("drift", info.drift_measurements), ("skew", info.skew_measurements))
        for measured in measures
    ]
    return sorted(found, key=lambda distance: distance.value / distance.most, reverse=True)


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
