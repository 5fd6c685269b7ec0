"""The data section of a report: counts, quarantined files and caption lengths."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from markupsafe import Markup
from numpy.typing import NDArray
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies

from models.evaluation import RAW
from models.vocabulary import END, PAD
from tfx_pipeline.datasets.entries import QUARANTINE, DataSetError, ReadLimits
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.ingesting.examples import SPLITS
from tfx_pipeline.report import plots
from tfx_pipeline.report.thumbnails import encoded_thumbnail, thumbnail
from tfx_pipeline.runs.history import Run
from tfx_pipeline.training.records import read_captions, records, serialized

EXAMPLES, THUMBNAILS = 24, 48
LANGUAGES = {"text": "English", "text_zh": "Chinese"}


class Captioned(NamedTuple):
    """A training picture and its captions."""

    picture: str
    captions: list[str]


class SetAside(NamedTuple):
    """A quarantined file with its reason, and a thumbnail if it can be opened."""

    file_name: str
    reason: str
    picture: str | None


@dataclass(frozen=True)
class Lengths:
    """Lengths of captions in pieces; `cut` of `count` were truncated for the language model."""

    language: str
    count: int
    cut: int
    plot: Markup


@dataclass(frozen=True)
class Data:
    """The data that a run read.

    Attributes:
        folder: The dataset folder.
        counts: Number of pictures by split; empty if reading failed.
        examples: Some training pictures.
        set_aside: The first quarantined files.
        quarantined: Number of all quarantined files.
        lengths: Lengths of captions by language.
        anomalies: Anomalies found by ExampleValidator, as sentences.
    """

    folder: str
    counts: dict[str, int]
    examples: list[Captioned]
    set_aside: list[SetAside]
    quarantined: int
    lengths: list[Lengths]
    anomalies: list[str]


def data(run: Run) -> Data | None:
    """The data of a run; None if it ended before it read any."""
    if "folder" not in run.data:
        return None
    folder, examples = Path(run.data["folder"]), run.output("FolderExampleGen", "examples")
    quarantine = read_quarantine(folder, examples)
    return Data(
        folder=str(folder),
        counts=counts(examples) if examples else {},
        examples=some(examples) if examples else [],
        set_aside=[SetAside(*item, thumbnail(folder, item[0])) for item in quarantine[:THUMBNAILS]],
        quarantined=len(quarantine),
        lengths=lengths(run),
        anomalies=anomalies(run.output("ExampleValidator", "anomalies")),
    )


def read_quarantine(folder: Path, examples: Path | None) -> list[tuple[str, str]]:
    """Pairs of (file name, reason); read again from the folder if there were too many for the run to continue."""
    if examples and (examples / QUARANTINE).is_file():
        lines = (examples / QUARANTINE).read_text(encoding="utf-8").splitlines()
        return [(row["file_name"], row["reason"]) for row in map(json.loads, lines)]
    try:
        reading = read_folder(folder, limits=ReadLimits(max_share=1))
    except DataSetError:
        return []
    return [(item.file_name, item.reason) for item in reading.quarantined]


def files(examples: Path, split: str) -> list[str]:
    """The files of one split."""
    return sorted(map(str, (examples / f"Split-{split}").iterdir()))


def counts(examples: Path) -> dict[str, int]:
    """Number of pictures by split."""
    return {split: sum(1 for _ in serialized(files(examples, split))) for split in SPLITS}


def some(examples: Path) -> list[Captioned]:
    """The first training pictures."""
    spec = {**RAW, "more": tf.io.RaggedFeature(tf.string)}
    return [
        Captioned(encoded_thumbnail(image), [caption.decode() for caption in (*captions, *more) if caption])
        for batch in records(files(examples, "train"), spec).take(1)
        for image, *captions, more in zip(
            *(batch[name][:EXAMPLES].numpy() for name in ("image", *LANGUAGES)),
            batch["more"][:EXAMPLES].to_list(),
            strict=True,
        )
    ]


def lengths(run: Run) -> list[Lengths]:
    """Lengths of captions in pieces, as Transform tokenized them; empty if it did not run."""
    transformed, step = run.output("Transform", "transformed_examples"), run.step("Transform")
    if transformed is None or step is None:
        return []
    length = json.loads(step.properties["custom_config"])["caption_length"]
    captions = read_captions(files(transformed, "train"), caption_length=length)
    parts = (captions[:, 0], captions[:, 1], captions[:, 2:].reshape(-1, length))
    languages = (*LANGUAGES.values(), "Further captions")
    return [measured(*part, length) for part in zip(languages, parts, strict=True)] if len(captions) else []


def measured(language: str, ids: NDArray[np.int64], length: int) -> Lengths:
    """The lengths of captions, int64[n, t]; a missing caption, which is only START and END, does not count."""
    pieces = (ids != PAD).sum(axis=1)
    present = pieces > 2
    cut = (ids[:, -1] != PAD) & (ids[:, -1] != END)
    plot = plots.histograms({language: pieces[present] - 2}, unit="pieces", bins=np.arange(-0.5, length))
    return Lengths(language, int(present.sum()), int(cut.sum()), plot)


def anomalies(folder: Path | None) -> list[str]:
    """The anomalies that ExampleValidator found in the splits."""
    files = folder.glob("Split-*/SchemaDiff.pb") if folder else []
    return [
        f"{file.parent.name.removeprefix('Split-')}: {name}: {info.description}"
        for file in sorted(files)
        for name, info in sorted(Anomalies.FromString(file.read_bytes()).anomaly_info.items())
    ]
