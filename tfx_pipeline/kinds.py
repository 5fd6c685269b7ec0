"""The table of models that a run trains, evaluates and pushes, over which everything else iterates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from models.baselines import learn_mean_pictures
from models.drawing import Drawer
from models.evaluation import (
    Evaluate,
    Measures,
    evaluate_generator,
    evaluate_language_model,
    evaluate_restorer,
    some_captions,
)
from models.export import export_generator, export_language_model, export_restorer
from models.language_model import LanguageModel
from models.learning.judging import learn_to_judge
from models.learning.settings import LearningConfig
from models.restorer import Restorer
from tfx_pipeline.config import RunConfig, only
from tfx_pipeline.ingesting.slices import Slice
from tfx_pipeline.judging.metrics import OF_DRAWINGS, OF_PICTURES, OF_TEXT, Metric
from tfx_pipeline.judging.thresholds import eval_config
from tfx_pipeline.training.job import Job
from tfx_pipeline.training.records import read_captioned
from tfx_pipeline.training.trainings import train_generator, train_language_model, train_restorer


@dataclass(frozen=True)
class Judging:
    """The inputs of the signatures for evaluation.

    Attributes:
        picture_size: Side of the pictures in the evaluation.
        files: Transformed training examples, from which baselines and a judge are trained.
        measures: Measures of similarity to the real pictures, by name.
    """

    picture_size: int
    files: Sequence[str]
    measures: Measures


@dataclass(frozen=True)
class Kind:
    """A model of a run.

    Attributes:
        name: The name in folders, components, reports and clients.
        task: Hugging Face's name of the task.
        use: The intended use, in a sentence.
        reads: The settings that its training reads, with dots; only these are part of the cache key.
        train: Trains the model from the inputs of a Trainer.
        export: Writes the SavedModel that is served.
        judge: Returns the signatures for evaluation: `evaluate` and, for a model of pictures, `exhibit`.
        metrics: The metrics of the model.
        base: The name of the model on which its training builds; empty for none.
        reads_lines: Whether it also learns from lines of text without a picture.
        makes: What it does with a picture, as a participle; empty for a model of text.
        baseline: What its pictures are compared with besides the real ones.
    """

    name: str
    task: str
    use: str
    reads: tuple[str, ...]
    train: Callable[[Job], Any]
    export: Callable[[Any, Path], None]
    judge: Callable[[Any, Judging], Sequence[Evaluate]]
    metrics: tuple[Metric, ...]
    base: str = ""
    reads_lines: bool = False
    makes: str = ""
    baseline: str = ""

    def settings(self, config: RunConfig) -> LearningConfig:
        """The settings that its training reads; all others have their defaults."""
        chosen = config.model_copy(update={"drawing": config.drawing.chosen})
        return only(chosen, self.reads)

    def eval_config(self, config: RunConfig, slices: Sequence[Slice]) -> EvalConfig:
        """The metrics and thresholds of its Evaluator."""
        return eval_config(self.name, self.metrics, config.thresholds, config.slices, slices)

    @property
    def measures(self) -> Measures:
        """Measures of similarity of its pictures to the real ones, by the metric's name."""
        return {metric.name: metric.measure for metric in self.metrics if metric.measure}


def judge_language_model(model: LanguageModel, _: Judging) -> list[Evaluate]:
    """Perplexity, compared with a unigram model."""
    return [evaluate_language_model(model)]


def judge_generator(model: Drawer, judging: Judging) -> Sequence[Evaluate]:
    """Drawings, compared with drawings of other captions and with mean pictures, and the agreement by a judge."""
    language_model = model.language_model
    data, _ = read_captioned(judging.files, picture_size=judging.picture_size, caption_length=language_model.length)
    others = some_captions(data.captions, language_model)
    means = learn_mean_pictures(data.image, data.captions, int(language_model.tokenizer.size) + 1)
    return evaluate_generator(model, others, judging.measures, learn_to_judge(data, language_model), means)


def judge_restorer(model: Restorer, judging: Judging) -> Sequence[Evaluate]:
    """Restored pictures, compared with the damaged ones."""
    return evaluate_restorer(model, judging.picture_size, judging.measures)


LANGUAGE_MODEL = Kind(
    "language_model",
    task="text-generation",
    use="Continues a prompt in English or Chinese to a full caption, and turns captions into embeddings.",
    reads=("seed", "data.picture_size", "data.caption_length", "data.unknown_words", "language"),
    train=train_language_model,
    export=export_language_model,
    judge=judge_language_model,
    metrics=OF_TEXT,
    reads_lines=True,
)
GENERATOR = Kind(
    "generator",
    task="text-to-image",
    use="Draws a full caption, such as those that it was trained on.",
    reads=("seed", "data.picture_size", "data.caption_length", "data.unknown_words", "drawing"),
    train=train_generator,
    export=export_generator,
    judge=judge_generator,
    metrics=OF_DRAWINGS,
    base=LANGUAGE_MODEL.name,
    makes="drawn",
    baseline="from another caption",
)
RESTORER = Kind(
    "restorer",
    task="image-to-image",
    use="Removes noise and blur from pictures like those that it was trained on, fills holes, and enlarges.",
    reads=("seed", "data.picture_size", "data.caption_length", "restoration"),
    train=train_restorer,
    export=export_restorer,
    judge=judge_restorer,
    metrics=OF_PICTURES,
    makes="restored",
    baseline="damaged",
)
KINDS = {kind.name: kind for kind in (LANGUAGE_MODEL, GENERATOR, RESTORER)}
FUSED = "text_to_image"
"""The name of the fused model."""
FUSED_USE = "Turns a prompt in English or Chinese into a picture: completes the caption, draws it, refines the drawing."
FUSED_FROM = (GENERATOR.name, RESTORER.name)
"""Its parts; the generator contains its language model."""


def keras_file(folder: Path, kind: str) -> Path:
    """The file of a trained model in the folder of a Trainer's Model artifact."""
    return folder / f"{kind}.keras"
