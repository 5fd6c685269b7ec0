"""The inputs of a Trainer, in the terms of the trainings."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from models.learning.fit import CONSOLE, fit
from models.learning.inputs import Batches, Captioned
from models.learning.settings import LearningConfig
from models.learning.warm import differences, take_weights
from models.learning.workers import is_chief
from models.saving import load_model
from tfx_pipeline.ingesting.annotations import Annotations
from tfx_pipeline.ingesting.preprocessing import VOCABULARY
from tfx_pipeline.training.records import read_captioned, read_captions


@dataclass
class Job:
    """One training: its data, its settings and its folders.

    Attributes:
        model: The name of the trained model, which is also its attribute in the models that the training passes to
            `fit`.
        config: The settings that the training reads; all others have their defaults.
        train_files: Patterns of the files of transformed training examples.
        eval_files: Patterns of the files of held-out examples.
        transform_graph: The folder of Transform's graph.
        base: The Keras model that this training builds on, if there is one.
        run_dir: The folder for logs and samples.
        checkpoints: The folder of backups, which the same inputs and settings find again after an interruption.
        warm_start: The file of the Keras model from whose weights the training starts, or of a generator that contains
            this model; None for a training from scratch.
        started: Whether the training has started from those weights, which must have the same shapes.
    """

    model: str
    config: LearningConfig
    train_files: Sequence[str]
    eval_files: Sequence[str]
    transform_graph: str
    base: Path | None
    run_dir: Path
    checkpoints: Path
    warm_start: Path | None = None
    started: bool = False

    def captioned(self, fineness: int = 1) -> tuple[Captioned, Collection[Annotations]]:
        """The training pictures, at `fineness` times the configured size, with their captions and annotations."""
        data, records = self.config.data, files(self.train_files)
        return read_captioned(records, picture_size=data.picture_size * fineness, caption_length=data.caption_length)

    def withheld_captions(self) -> NDArray[Any]:
        """The held-out captions, int64[n, k, t]."""
        return read_captions(files(self.eval_files), caption_length=self.config.data.caption_length)

    def vocabulary(self) -> list[str]:
        """The vocabulary that Transform computed."""
        graph = tft.TFTransformOutput(self.transform_graph)
        return [piece.decode() for piece in graph.vocabulary_by_name(VOCABULARY)]

    def base_model(self) -> keras.Model:
        """The trained model on which this one builds.

        Raises:
            ValueError: There is no such model.
        """
        if self.base is None:
            raise ValueError(f"The training of {self.model} builds on no other model.")
        return load_model(self.base)

    def fit(self, training: keras.Model, batches: Batches, **options: Any) -> None:
        """Train with this job's folders; the first phase starts from the weights in `warm_start`."""
        if self.warm_start:
            self.start_from(self.warm_start, training)
            self.warm_start = None
        fit(training, batches, checkpoints=self.checkpoints, run_dir=self.run_dir, **options)

    def start_from(self, file: Path, training: keras.Model) -> None:
        """Start from the weights of a saved model, or log why their shapes do not allow that."""
        model, source = getattr(training, self.model), load_model(file)
        source = getattr(source, self.model, source)
        self.started = take_weights(model, source)
        if self.started:
            CONSOLE.print(f"  {self.model} starts from the weights in {file}", soft_wrap=True)
            return
        why = "; ".join(differences(model, source))
        CONSOLE.print(f"  {self.model} starts from scratch, since it does not fit {file}: {why}", soft_wrap=True)

    def log(self, sentence: str, **values: Any) -> None:
        """Print a sentence and append values, if any, to `metrics.jsonl`; with several workers, only the chief does."""
        if not is_chief():
            return
        CONSOLE.print(f"  {self.model}: {sentence}", soft_wrap=True)
        if not values:
            return
        with (self.run_dir / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(values) + "\n")


def files(patterns: Sequence[str]) -> list[str]:
    """The files that match patterns."""
    return [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]
