"""How much a row of the quality bench trains, and where."""

import functools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.quality.programs import fit_elsewhere
from benchmarks.quality.run_programs import FIGURES
from models.learning.fit import Fit, fit
from tfx_pipeline.config import RunConfig

T = TypeVar("T")
Sections = Mapping[str, Mapping[str, Any]]


class Settings(NamedTuple):
    """A row's settings for either machine.

    Attributes:
        cpu: Steps are those of ten minutes on two idle CPU cores.
        gpu: Steps are those of twenty minutes on one GPU.
    """

    cpu: Sections
    gpu: Sections


class Effort(NamedTuple):
    """What a row may spend.

    Attributes:
        minutes: Training time of all models of the row; it decides the number of steps, not the clock does.
        seed: Of everything.
        programs: Folder of the programs that a GPU elsewhere runs; None trains here, on the CPU's settings.
        weights: Folder of the `generator.keras` and the `restorer.keras` that rows without a training judge; None for
            the pretrained weights.
        pictures: How many real pictures the judge of the storybook reads to be judged itself.
    """

    minutes: float
    seed: int = 0
    programs: Path | None = None
    weights: Path | None = None
    pictures: int = 2000

    def within(self, name: str) -> "Effort":
        """The same with a folder of its own for some part's programs."""
        return self._replace(programs=self.programs and self.programs / name)

    def steps(self, in_a_minute: float) -> int:
        """The steps that the minutes buy, at least one."""
        return max(1, round(self.minutes * in_a_minute))

    def config(self, settings: Settings) -> RunConfig:
        """Settings with as many steps as the minutes buy."""
        share, sections = (self.minutes / 20, settings.gpu) if self.programs else (self.minutes / 10, settings.cpu)
        scaled = {
            section: {
                name: max(1, round(value * share)) if name.endswith("steps") and value else value
                for name, value in values.items()
            }
            for section, values in sections.items()
        }
        return RunConfig.model_validate({"seed": self.seed, **scaled})

    @contextmanager
    def fitting(self) -> Iterator[Fit]:
        """What trains a model: `fit` with folders that are gone afterwards, or its relative for programs."""
        if self.programs:
            yield functools.partial(fit_elsewhere, folder=self.programs)
            return
        with tempfile.TemporaryDirectory() as folder:
            yield functools.partial(fit, checkpoints=Path(folder, "checkpoints"), run_dir=Path(folder, "run"))

    def timed(self, train: Callable[[], T]) -> tuple[T, dict[str, float]]:
        """What a training gives, and `training_minutes` by the clock of its machine, compilation included."""
        started = time.monotonic()
        trained = train()
        seconds = time.monotonic() - started
        if self.programs:
            figures = [json.loads(file.read_text(encoding="utf-8")) for file in self.programs.glob(f"*/{FIGURES}")]
            seconds = sum(each["seconds"] for each in figures)
        return trained, {"training_minutes": seconds / 60}
