"""The component that compares new data with those of the last run."""

import shutil
from pathlib import Path

from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import Examples, ExampleStatistics
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from tfx_pipeline.ingesting.drift import DriftError, Limits, distances, pictures, sheet
from tfx_pipeline.ingesting.drift_page import SAMPLES, drift_page


@component
def DriftCheck(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    limits: Parameter[str],
    page: Parameter[str],
    accepted: OutputArtifact[ExampleStatistics],
    last: InputArtifact[ExampleStatistics] = None,
) -> None:
    """Compare the statistics of the data with those of the last run, and the training split with the eval split.

    `accepted` stores the statistics and a sheet of pictures for the comparison in the next run.

    Raises:
        DriftError: Something has drifted too far, and `limits` says to stop.
    """
    allowed = Limits.model_validate_json(limits)
    before = None if last is None else Path(last.uri)
    keep(statistics, examples, accepted)
    measured = distances(Path(accepted.uri), before, allowed)
    excess = "; ".join(str(distance) for distance in measured if distance.too_far)
    if before is not None:
        Path(page).write_text(drift_page(measured, before, Path(accepted.uri)), encoding="utf-8")
    if excess and allowed.on_drift == "stop":
        shown = f" Old and new pictures are side by side in {Path(page).resolve()}." if before is not None else ""
        raise DriftError(
            f'The data have drifted: {excess}.{shown} To train on them anyway, set on_drift = "warn" under '
            "[retraining] in a --config file."
        )
    accepted.set_string_custom_property("drift", excess)


def keep(statistics: Artifact, examples: Artifact, accepted: Artifact) -> None:
    """Copy the statistics, and write the sheet of pictures."""
    accepted.split_names = statistics.split_names
    accepted.span = statistics.span
    shutil.copytree(statistics.uri, accepted.uri, dirs_exist_ok=True)
    files = sorted(Path(artifact_utils.get_split_uri([examples], "train")).iterdir())
    sheet(pictures(files)).save(Path(accepted.uri) / SAMPLES)
