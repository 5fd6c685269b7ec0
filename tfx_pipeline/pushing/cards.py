"""Model cards (Mitchell et al., 2019) in Hugging Face's format, with intended use, evaluation and limitations.

The metadata follow https://github.com/huggingface/hub-docs, `modelcard.md`.
"""

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.cards import LANGUAGES, front_matter, licence_keys

SAMPLES = "samples.png"
CARD_FILES = ("assets.extra/model_card.json", "assets.extra/model_card.md", f"assets.extra/{SAMPLES}")
COUNTS = ("pictures", "quarantined", "languages", "fingerprint", "spans")
OVERALL = "all"
DIFFERENCE = "_diff"
"""Suffix of TensorFlow Model Analysis's names for differences from the last blessed model."""

Metrics = dict[str, dict[str, float]]


class Samples(BaseModel):
    """The contents of the sheet of samples.

    Attributes:
        rows: Descriptions of the rows, from top to bottom.
        captions: Captions of the columns, from left to right.
    """

    model_config = ConfigDict(frozen=True)

    rows: list[str]
    captions: list[str]


class ModelCard(BaseModel):
    """The model card of a pushed model.

    Attributes:
        model: The name of the model.
        task: Hugging Face's name of the task.
        use: The intended use.
        version: The version number with which it is pushed if it has changed.
        licence: The licence of the model.
        commit: The commit of the training code, with `-dirty` if that had uncommitted changes; empty outside of git.
        data: The fingerprint, the languages and the counts of the training data.
        config: All settings of the run.
        metrics: Metrics of each evaluated part, by slice (`all` first) and by name; units as in
            `tfx_pipeline.judging.metrics`.
        warm_start: The initial weights, a Model artifact or pretrained ones; for the fused model, those of each part.
            Empty for a training from scratch.
        limits: The limitations, a sentence each.
        samples: The contents of the sheet of samples; None for a model of text, and without held-out pictures.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    task: str
    use: str
    version: int
    licence: str
    commit: str
    data: dict[str, Any]
    config: dict[str, Any]
    metrics: dict[str, Metrics]
    warm_start: str
    limits: list[str]
    samples: Samples | None = None

    def metadata(self) -> dict[str, Any]:
        """The YAML header of Hugging Face's model cards."""
        datasets = list(self.config.get("card", {}).get("datasets", ()))
        return {
            **licence_keys(self.licence),
            "language": self.languages,
            "library_name": "keras",
            "pipeline_tag": self.task,
            "tags": ["easel", "saved-model", "tensorflow", "tensorflow-serving", "tfx"],
            **({"datasets": datasets} if datasets else {}),
            "metrics": sorted({metric for slices in self.metrics.values() for metric in own(slices[OVERALL])}),
            "model-index": [{"name": self.model, "results": list(self.results())}],
        }

    @property
    def languages(self) -> list[str]:
        """Language codes of the captions."""
        return str(self.data.get("languages", "")).split()

    def results(self) -> Iterator[dict[str, Any]]:
        """The metrics on all examples, with an entry for each evaluated part; NaN is left out."""
        for part, slices in self.metrics.items():
            values = {name: value for name, value in own(slices[OVERALL]).items() if math.isfinite(value)}
            yield {
                "task": {"type": self.task, "name": part},
                "dataset": {
                    "type": "imagefolder",
                    "name": f"pictures withheld from dataset {str(self.data.get('fingerprint', ''))[:12]}".rstrip(),
                    "split": "eval",
                },
                "metrics": [{"type": name, "name": f"{part} {name}", "value": value} for name, value in values.items()],
            }

    def page(self) -> str:
        """The card in Markdown."""
        parts = [front_matter(self.metadata()), f"# {self.model} {self.version}", self.use, *self.pictures()]
        parts += ["## Intended use", *self.intended_use()]
        parts += ["## Training data", bullets(f"{name}: {value}" for name, value in self.data.items())]
        parts += ["## Evaluation", EVALUATION]
        for part, slices in self.metrics.items():
            parts += [f"### {part}", table(slices)]
        parts += ["## Limitations", bullets(self.limits)]
        made = [f"commit: {self.commit}", f"training started from: {self.warm_start or 'scratch'}"]
        settings = (f"{section}: {json.dumps(values)}" for section, values in self.config.items())
        parts += ["## Training", bullets(made), bullets(settings)]
        return "\n\n".join([*parts, ""])

    def pictures(self) -> Iterator[str]:
        """The sheet of samples, with a description."""
        if self.samples:
            yield f"![Samples]({SAMPLES})"
            yield f"From top to bottom: {'; '.join(self.samples.rows)}. The first withheld pictures, uncurated:"
            yield "\n".join(f"{number}. {caption}" for number, caption in enumerate(self.samples.captions, 1))

    def intended_use(self) -> Iterator[str]:
        """How to call the model, its licence, and what it is not intended for."""
        spoken = " and ".join(LANGUAGES[code] for code in self.languages) or "the language of its captions"
        given = "Pictures" if self.task == "image-to-image" else f"Prompts in {spoken}"
        yield f"{given}, of things that the training data show. Licence: {self.licence}."
        yield "It is a SavedModel for TensorFlow Serving, and for `easel serve --models` with the folder of all models."
        yield "Do not use it for pictures that could be mistaken for a record of something real."

    def write(self, saved_model: Path, samples: Path | None = None) -> None:
        """Add the card to a SavedModel, as JSON and as a page, with the sheet of samples if there is one."""
        as_json, as_page, sheet = (saved_model / name for name in CARD_FILES)
        as_json.parent.mkdir(exist_ok=True)
        as_json.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        as_page.write_text(self.page(), encoding="utf-8")
        if samples:
            shutil.copyfile(samples, sheet)


def own(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics without their differences from the last blessed model's."""
    return {name: value for name, value in metrics.items() if not name.endswith(DIFFERENCE)}


EVALUATION = (
    "Measured by TensorFlow Model Analysis on pictures withheld from training, altogether and by slice. PSNR is in dB, "
    "SSIM from -1 to 1. A gain is the lead over the baseline: a drawing from another caption, or the damaged picture. "
    "The perplexity share is the perplexity divided by that of word counts; below 1 is better than counting words."
)


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def table(slices: Metrics) -> str:
    """Metrics by slice as a Markdown table."""
    names = list(slices[OVERALL])
    rows = [[name, *(f"{values.get(metric, float('nan')):.4g}" for metric in names)] for name, values in slices.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [["slice", *names], ["---"] * (len(names) + 1), *rows])


def limits(config: RunConfig, pictures: int) -> Iterator[str]:
    """Limitations that follow from the settings, then those of the config."""
    size = config.data.picture_size
    yield f"Pictures have {size} x {size} pixels; captions are truncated to {config.data.caption_length} tokens."
    yield f"It was trained on {pictures:,} captioned pictures and knows nothing beyond them and its initial weights."
    yield "It reproduces the bias of its training data, which has not been measured."
    yield from config.card.limits


def read_card(cards: Path, name: str) -> tuple[ModelCard, Path | None]:
    """The card of one model from the folder of a run's cards, and its sheet of samples if it has one."""
    card = ModelCard.model_validate_json((cards / f"{name}.json").read_text(encoding="utf-8"))
    return card, cards / f"{name}.png" if card.samples else None
