"""Whether new data are still like those of the last run, in TFDV's distances, with a page to look at."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
from PIL import Image
from pydantic import BaseModel
from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import Examples, ExampleStatistics, Schema
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from tfx_pipeline.datasets.folder import open_picture
from tfx_pipeline.ingesting.drift_page import SAMPLES, Distance, drift_page, of_split

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


@component
def DriftCheck(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    limits: Parameter[str],
    page: Parameter[str],
    accepted: OutputArtifact[ExampleStatistics],
    last: InputArtifact[ExampleStatistics] = None,
) -> None:
    """Hold the statistics of the data against those of the last run, and its training split against the other.

    `accepted` keeps the statistics and a sheet of pictures for the next run to compare with.

    Raises:
        DriftError: If something has drifted too far and `limits` says to stop.
    """
    allowed = Limits.model_validate_json(limits)
    before = None if last is None else Path(last.uri)
    keep(statistics, examples, accepted)
    found = distances(Path(accepted.uri), before, tfdv.load_schema_text(f"{schema.uri}/schema.pbtxt"), allowed)
    told = "; ".join(str(distance) for distance in found if distance.too_far)
    if before is not None:
        Path(page).write_text(drift_page(found, before, Path(accepted.uri)), encoding="utf-8")
    if told and allowed.on_drift == "stop":
        raise DriftError(
            f"The data have drifted: {told}. Old and new pictures are side by side in {page}; to train on them all the "
            'same, set on_drift = "warn" under [retraining] in a --config file.'
        )
    accepted.set_string_custom_property("drift", told)


def keep(statistics: Artifact, examples: Artifact, accepted: Artifact) -> None:
    """Copy the statistics and draw the sheet of pictures."""
    accepted.split_names = statistics.split_names
    accepted.span = statistics.span
    shutil.copytree(statistics.uri, accepted.uri, dirs_exist_ok=True)
    files = sorted(Path(artifact_utils.get_split_uri([examples], "train")).iterdir())
    sheet(pictures(files)).save(Path(accepted.uri) / SAMPLES)


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
