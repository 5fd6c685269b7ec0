"""The pictures of a report: what the models made of the eval split, and what they drew as they learned."""

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
    """One picture in all its states, with how near it came to the truth: dB, and SSIM in -1..1."""

    caption: str
    candidate: str
    baseline: str
    truth: str
    psnr: float
    ssim: float


class Suspect(NamedTuple):
    """A drawing beside the training picture nearest to it, and how alone the two are; see `copying.Neighbours`."""

    caption: str
    drawn: str
    nearest: str
    isolation: float


class Copying(NamedTuple):
    """Shares, 0..1, of copies among drawings and among withheld real pictures, what is allowed, and the worst."""

    share: float
    usual: float
    most: float
    suspects: list[Suspect]


def copying(run: Run) -> Copying | None:
    """Whether the generator copies; None where nobody looked."""
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
    """Pictures that one model made of the eval split.

    Attributes:
        model: Its name.
        makes: What it does with a picture, as a participle.
        against: What its baseline is.
        count: Pictures that were measured.
        first: Some pictures as they come.
        worst: Those with the least PSNR.
        best: Those with the most.
        plots: How PSNR and SSIM are distributed.
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
    """What the models of pictures made."""
    return [wall(kind, shown) for kind in KINDS.values() if (shown := exhibits(run, kind.name)) is not None]


def exhibits(run: Run, model: str) -> Exhibits | None:
    """What a model's Gallery kept; None where there is none."""
    uri = run.output(f"Gallery.{model}", "pictures")
    return read_exhibits(str(uri)) if uri else None


def wall(kind: Kind, shown: Exhibits) -> Wall:
    """The pictures of one model, ordered by PSNR where that is asked for."""
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
    """PSNR cut at 50 dB, beyond which nobody sees a difference and the axis would lose its use."""
    return np.minimum(decibels, NEAR_PERFECT)


class Film(NamedTuple):
    """Grids of samples on fixed noise, in the order of their steps: pairs of (step, picture)."""

    phase: str
    frames: list[tuple[int, str]]


def films(run: Run) -> list[Film]:
    """What the phases of training drew as they went."""
    return [film for name in KINDS for film in films_of(run.output(f"Trainer.{name}", "model_run"))]


def films_of(run_dir: Path | None) -> Iterator[Film]:
    """The phases of one training, in the order in which they ran."""
    files = sorted(run_dir.glob("samples/*.png"), key=lambda file: file.stat().st_mtime) if run_dir else []
    for phase in dict.fromkeys(file.stem.rpartition("-")[0] for file in files):
        own = sorted(file for file in files if file.stem.rpartition("-")[0] == phase)
        yield Film(phase, [(int(file.stem.rpartition("-")[2]), file_uri(file)) for file in own])
