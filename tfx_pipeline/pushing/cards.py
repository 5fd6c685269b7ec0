"""Model cards (Mitchell et al., 2019): the training data, evaluation and limitations of a pushed model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tfx_pipeline.config import RunConfig

CARD_FILES = ("assets.extra/model_card.json", "assets.extra/model_card.md")
COUNTS = ("pictures", "quarantined", "fingerprint", "spans")

Metrics = dict[str, dict[str, float]]


class ModelCard(BaseModel):
    """The model card of a pushed model.

    Attributes:
        model: Its name.
        version: The number that it is pushed under, if it has changed.
        licence: What its user may do with it.
        commit: Of the code that trained it, with `-dirty` where the code had changed since; empty outside of git.
        data: The fingerprint and the counts of what it learned from.
        config: All settings of the run.
        metrics: Of each judged part, by slice (`all` first), by name; units as in `tfx_pipeline.judging.metrics`.
        warm_start: The weights that its training started from, a Model artifact or pretrained ones; of the fused model,
            those of each part. Empty for a training from scratch.
        limits: What it cannot do, a sentence each.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    licence: str
    commit: str
    data: dict[str, Any]
    config: dict[str, Any]
    metrics: dict[str, Metrics]
    warm_start: str
    limits: list[str]

    def page(self) -> str:
        """The card in Markdown."""
        parts = [f"# {self.model} {self.version}", f"Licence: {self.licence}", "## Limitations", bullets(self.limits)]
        parts += ["## Data", bullets(f"{name}: {value}" for name, value in self.data.items())]
        for part, slices in self.metrics.items():
            parts += [f"## Evaluation: {part}", table(slices)]
        made = [f"commit: {self.commit}", f"training started from: {self.warm_start or 'scratch'}"]
        parts += ["## Training", bullets(made)]
        settings = (f"{section}: {json.dumps(values)}" for section, values in self.config.items())
        return "\n\n".join([*parts, bullets(settings), ""])

    def write(self, saved_model: Path) -> None:
        """Write the card into a SavedModel, as JSON and as Markdown."""
        for name, content in zip(CARD_FILES, (self.model_dump_json(indent=1), self.page()), strict=True):
            (saved_model / name).parent.mkdir(exist_ok=True)
            (saved_model / name).write_text(content, encoding="utf-8")


def bullets(lines: Any) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def table(slices: Metrics) -> str:
    """Metrics by slice as a Markdown table."""
    names = list(slices["all"])
    rows = [[name, *(f"{values.get(metric, float('nan')):.4g}" for metric in names)] for name, values in slices.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [["slice", *names], ["---"] * (len(names) + 1), *rows])


def limits(config: RunConfig, pictures: int) -> Iterator[str]:
    """Limitations that follow from the settings, then those of the config."""
    size = config.data.picture_size
    yield f"Pictures have {size} x {size} pixels; captions are truncated to {config.data.caption_length} tokens."
    yield f"It was trained on {pictures:,} captioned pictures and knows nothing beyond them and its initial weights."
    yield "It reproduces the bias of its training data, which has not been measured."
    yield from config.card.limits


def read_card(cards: Path, name: str) -> ModelCard:
    """The card of one model, from the folder of a run's cards."""
    return ModelCard.model_validate_json((cards / f"{name}.json").read_text(encoding="utf-8"))
