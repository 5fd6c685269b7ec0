"""The budget of a row of the quality bench, and where it trains."""

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
    """The settings of a row on either machine.

    Attributes:
        cpu: Settings with the steps of ten minutes on two idle CPU cores.
        gpu: Settings with the steps of twenty minutes on one GPU.
    """

    cpu: Sections
    gpu: Sections


def scaled(settings: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Settings, nested ones too, with another number of steps, at least one where there are any."""

    def one(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return scaled(value, share)
        return max(1, round(value * share)) if name.endswith("steps") and value else value

    return {name: one(name, value) for name, value in settings.items()}


class Effort(NamedTuple):
    """The budget of a row.

    Attributes:
        minutes: Training time of all models of the row, from which the number of steps is computed.
        seed: Seed of all random choices.
        programs: Folder of the programs that a GPU elsewhere runs; None trains here, with the settings for CPUs.
        weights: Folder of the `generator.keras` and the `restorer.keras` that some rows evaluate; None for the
            pretrained weights, or those of a training.
        pictures: Number of real pictures on which the judge of the storybook is evaluated.
        keep: Folder in which the row of photographs keeps its generator and a grid of drawings; None keeps nothing.
    """

    minutes: float
    seed: int = 0
    programs: Path | None = None
    weights: Path | None = None
    pictures: int = 2000
    keep: Path | None = None

    def within(self, name: str) -> "Effort":
        """The same budget, with a subfolder for the programs of a part."""
        return self._replace(programs=self.programs and self.programs / name)

    def steps(self, in_a_minute: float) -> int:
        """The number of steps for the minutes, at least one."""
        return max(1, round(self.minutes * in_a_minute))

    def config(self, settings: Settings) -> RunConfig:
        """The settings with the number of steps for the minutes."""
        share, sections = (self.minutes / 20, settings.gpu) if self.programs else (self.minutes / 10, settings.cpu)
        return RunConfig.model_validate({"seed": self.seed, **scaled(sections, share)})

    @contextmanager
    def fitting(self) -> Iterator[Fit]:
        """A function that trains a model: `fit` with temporary folders, or its counterpart for programs."""
        if self.programs:
            yield functools.partial(fit_elsewhere, folder=self.programs)
            return
        with tempfile.TemporaryDirectory() as folder:
            yield functools.partial(fit, checkpoints=Path(folder, "checkpoints"), run_dir=Path(folder, "run"))

    def timed(self, train: Callable[[], T]) -> tuple[T, dict[str, float]]:
        """The result of a training, and its `training_minutes` on its machine, including compilation."""
        started = time.monotonic()
        trained = train()
        seconds = time.monotonic() - started
        if self.programs:
            figures = [json.loads(file.read_text(encoding="utf-8")) for file in self.programs.glob(f"*/{FIGURES}")]
            seconds = sum(each["seconds"] for each in figures)
        return trained, {"training_minutes": seconds / 60}
