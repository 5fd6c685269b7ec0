"""Model cards (Mitchell et al., 2019): what a pushed model was made of, how good it is and what it cannot do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from tfx.types import Artifact
from tfx.types.standard_artifacts import Examples, ModelBlessing, ModelEvaluation
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from tfx_pipeline.config import RunConfig
from tfx_pipeline.judging.evaluations import metrics_by_slice
from tfx_pipeline.names import FUSED
from tfx_pipeline.runs.history import plain

CARD_FILES = ("assets.extra/model_card.json", "assets.extra/model_card.md")
COUNTS = ("pictures", "quarantined", "fingerprint", "spans")

Metrics = dict[str, dict[str, float]]


class ModelCard(BaseModel):
    """What is told of a pushed model, beside it.

    Attributes:
        model: Its name.
        version: The number that it is pushed under, if it has changed.
        licence: What its user may do with it.
        commit: Of the code that trained it, with `-dirty` where the code had changed since; empty outside of git.
        data: The fingerprint and the counts of what it learned from.
        config: All settings of the run.
        metrics: Of each judged part, by slice (`all` first), by name; units as in `tfx_pipeline.judging.metrics`.
        warm_start: Where the weights came from that its training began with; empty for a cold start.
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
        parts = [f"# {self.model} {self.version}", f"Licence: {self.licence}", "## Limits", bullets(self.limits)]
        parts += ["## Data", bullets(f"{name}: {value}" for name, value in self.data.items())]
        for part, slices in self.metrics.items():
            parts += [f"## How good: {part}", table(slices)]
        parts += ["## How it was made", bullets([f"commit: {self.commit}", f"warm start: {self.warm_start or 'none'}"])]
        settings = (f"{section}: {json.dumps(values)}" for section, values in self.config.items())
        return "\n\n".join([*parts, bullets(settings), ""])

    def write(self, saved_model: Path) -> None:
        """Lay the card into a SavedModel, as JSON and as a page."""
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
    """What follows from the settings, then what the config adds."""
    size = config.data.picture_size
    yield f"Pictures have {size} x {size} pixels; a caption is read up to its {config.data.caption_length}th piece."
    yield f"It has seen {pictures:,} captioned pictures and nothing else: it knows no word and no thing beyond them."
    yield "What the pictures and captions lean towards, it leans towards; nobody has looked for that."
    yield from config.card.limits


class ModelCards(Artifact):  # type: ignore[misc]
    """The cards of a run's models, `<model>.json` each."""

    TYPE_NAME = "tfx_pipeline.ModelCards"


@component
def CardWriter(
    examples: InputArtifact[Examples],
    language_model: InputArtifact[ModelEvaluation],
    generator: InputArtifact[ModelEvaluation],
    restorer: InputArtifact[ModelEvaluation],
    blessing: InputArtifact[ModelBlessing],
    config: Parameter[str],
    commit: Parameter[str],
    warm_start: Parameter[str],
    cards: OutputArtifact[ModelCards],
) -> None:
    """Write a card for each model of a run: those that were judged, and the fused one with the numbers of all."""
    evaluations = {"language_model": language_model, "generator": generator, "restorer": restorer}
    metrics = {name: metrics_by_slice(evaluation.uri) for name, evaluation in evaluations.items()}
    settings, origins = RunConfig.model_validate_json(config), json.loads(warm_start)
    recorded = plain(examples.mlmd_artifact.custom_properties)
    for name in (*metrics, FUSED):
        card = ModelCard(
            model=name,
            version=blessing.get_int_custom_property("version"),
            licence=settings.card.licence,
            commit=commit,
            data={key: recorded[key] for key in COUNTS if recorded.get(key)},
            config=settings.model_dump(mode="json"),
            metrics=metrics if name == FUSED else {name: metrics[name]},
            warm_start=origins.get(name, ""),
            limits=list(limits(settings, recorded.get("pictures", 0))),
        )
        Path(cards.uri).mkdir(parents=True, exist_ok=True)
        (Path(cards.uri) / f"{name}.json").write_text(card.model_dump_json(), encoding="utf-8")


def read_card(cards: Artifact, name: str) -> ModelCard:
    """The card of one model."""
    return ModelCard.model_validate_json((Path(cards.uri) / f"{name}.json").read_text(encoding="utf-8"))
