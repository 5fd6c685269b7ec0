"""The pictures of a report: results on the eval split, and samples drawn during training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from models.metrics import psnr, ssim
from tfx_pipeline.judging.copying import read_suspects
from tfx_pipeline.judging.gallery import Exhibits, read_exhibits
from tfx_pipeline.kinds import KINDS, Kind
from tfx_pipeline.report import plots
from tfx_pipeline.report.thumbnails import as_uri, file_uri
from tfx_pipeline.runs.history import Run

FIRST, EXTREMES = 12, 6
NEAR_PERFECT = 50


class Exhibit(NamedTuple):
    """One picture in all its states, with its similarity to the real one: PSNR in dB, and SSIM in -1..1."""

    caption: str
    candidate: str
    baseline: str
    truth: str
    psnr: float
    ssim: float


class Suspect(NamedTuple):
    """A drawing, the nearest training picture, and how isolated the pair is; see `copying.Neighbours`."""

    caption: str
    drawn: str
    nearest: str
    isolation: float


class Copying(NamedTuple):
    """Shares of copies among drawings and among withheld real pictures, 0..1, the threshold, and the worst pairs."""

    share: float
    usual: float
    most: float
    suspects: list[Suspect]


def copying(run: Run) -> Copying | None:
    """The result of the search for copies; None if there was none."""
    step, uri = run.step("CopyCheck"), run.output("CopyCheck", "copies")
    suspected = read_suspects(str(uri)) if uri else None
    if step is None or suspected is None:
        return None
    result = next(artifact.properties for artifact in step.outputs if artifact.name == "blessing")
    pictures = zip(suspected.captions, suspected.drawn, suspected.nearest, suspected.isolation, strict=True)
    suspects = [Suspect(str(text), as_uri(drawn), as_uri(near), float(alone)) for text, drawn, near, alone in pictures]
    return Copying(result["share"], result["usual"], result["most"], suspects)


@dataclass(frozen=True)
class Wall:
    """Pictures that one model made from the eval split.

    Attributes:
        model: Its name.
        makes: What it does with a picture, as a participle.
        against: The name of its baseline.
        count: Number of measured pictures.
        first: The first pictures, in the order of the data.
        worst: Those with the lowest PSNR.
        best: Those with the highest PSNR.
        plots: The distributions of PSNR and SSIM.
    """

    model: str
    makes: str
    against: str
    count: int
    first: list[Exhibit]
    worst: list[Exhibit]
    best: list[Exhibit]
    plots: list[Markup]


def walls(run: Run) -> list[Wall]:
    """The pictures of all models that make pictures."""
    return [wall(kind, shown) for kind in KINDS.values() if (shown := exhibits(run, kind.name)) is not None]


def exhibits(run: Run, model: str) -> Exhibits | None:
    """The records of a model's Gallery; None if there are none."""
    uri = run.output(f"Gallery.{model}", "pictures")
    return read_exhibits(str(uri)) if uri else None


def wall(kind: Kind, shown: Exhibits) -> Wall:
    """The pictures of one model, ordered by PSNR if requested."""
    decibels, likeness = psnr(shown.candidate, shown.truth), ssim(shown.candidate, shown.truth)
    order = np.argsort(decibels, kind="stable")

    def hang(rows: NDArray[np.int64]) -> list[Exhibit]:
        return [
            Exhibit(
                caption=str(shown.captions[row]),
                candidate=as_uri(shown.candidate[row]),
                baseline=as_uri(shown.baseline[row]),
                truth=as_uri(shown.truth[row]),
                psnr=float(decibels[row]),
                ssim=float(likeness[row]),
            )
            for row in rows
        ]

    makes, against, before = kind.makes, kind.baseline, psnr(shown.baseline, shown.truth)
    distributions = [
        plots.histograms(
            {makes: shortened(decibels), against: shortened(before)}, unit=f"PSNR, dB, up to {NEAR_PERFECT}"
        ),
        plots.histograms({makes: likeness, against: ssim(shown.baseline, shown.truth)}, unit="SSIM"),
    ]
    first, worst, best = np.arange(len(order))[:FIRST], order[:EXTREMES], order[::-1][:EXTREMES]
    return Wall(kind.name, makes, against, len(order), hang(first), hang(worst), hang(best), distributions)


def shortened(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    """PSNR, limited to 50 dB: higher values are not visible, and would stretch the axis."""
    return np.minimum(decibels, NEAR_PERFECT)


class Film(NamedTuple):
    """Grids of samples from fixed noise, ordered by step: pairs of (step, picture)."""

    phase: str
    frames: list[tuple[int, str]]


def films(run: Run) -> list[Film]:
    """The samples drawn during each phase of training."""
    return [film for name in KINDS for film in films_of(run.output(f"Trainer.{name}", "model_run"))]


def films_of(run_dir: Path | None) -> Iterator[Film]:
    """The phases of one training, in chronological order."""
    files = sorted(run_dir.glob("samples/*.png"), key=lambda file: file.stat().st_mtime) if run_dir else []
    for phase in dict.fromkeys(file.stem.rpartition("-")[0] for file in files):
        own = sorted(file for file in files if file.stem.rpartition("-")[0] == phase)
        yield Film(phase, [(int(file.stem.rpartition("-")[2]), file_uri(file)) for file in own])
