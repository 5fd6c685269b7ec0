"""What a Trainer is given, in the terms of the trainings."""

import json
from collections.abc import Sequence
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
from models.learning.warm import take_weights
from models.learning.workers import is_chief
from models.saving import load_model
from tfx_pipeline.ingesting.preprocessing import VOCABULARY
from tfx_pipeline.training.records import read_captioned, read_captions


@dataclass
class Job:
    """One training: its data, its settings and its folders.

    Attributes:
        model: The name of what is trained; the models that the training hands to `fit` hold it under that name.
        config: The settings that the training reads; all others are the defaults.
        train_files: Patterns of the files of transformed examples to train on.
        eval_files: Patterns of the withheld ones.
        transform_graph: The folder of Transform's graph.
        base: The Keras model that this training builds on, if there is one.
        run_dir: Where logs and samples go.
        checkpoints: Backups, in a folder that the same inputs and settings find again after a kill.
        warm_start: The Keras model whose weights the training begins with, if there is one.
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

    def captioned(self, fineness: int = 1) -> Captioned:
        """The pictures to train on, `fineness` times as large as the settings say, and their captions."""
        data, found = self.config.data, files(self.train_files)
        return read_captioned(found, picture_size=data.picture_size * fineness, caption_length=data.caption_length)

    def withheld_captions(self) -> NDArray[Any]:
        """The captions that are kept from training, int64[n, k, t]."""
        return read_captions(files(self.eval_files), caption_length=self.config.data.caption_length)

    def vocabulary(self) -> list[str]:
        """The pieces that Transform learned."""
        graph = tft.TFTransformOutput(self.transform_graph)
        return [piece.decode() for piece in graph.vocabulary_by_name(VOCABULARY)]

    def base_model(self) -> keras.Model:
        """The trained model that this one builds on.

        Raises:
            ValueError: If it builds on none.
        """
        if self.base is None:
            raise ValueError(f"The training of {self.model} builds on no other model.")
        return load_model(self.base)

    def fit(self, training: keras.Model, batches: Batches, **options: Any) -> None:
        """Train with this job's folders, the first phase from the weights of the last pushed model."""
        if self.warm_start:
            self.begin_with(getattr(training, self.model), self.warm_start)
            self.warm_start = None
        fit(training, batches, checkpoints=self.checkpoints, run_dir=self.run_dir, **options)

    def begin_with(self, model: keras.Model, file: Path) -> None:
        """Begin with the weights of a saved model, if it is of the same shape."""
        taken = take_weights(model, load_model(file))
        how = f"begins with the weights of {file}" if taken else "begins anew: its shape has changed"
        CONSOLE.print(f"  {model.name} {how}", soft_wrap=True)

    def log(self, sentence: str, **values: Any) -> None:
        """Say a sentence and keep values as a line of `metrics.jsonl`; of several workers, one does."""
        if not is_chief():
            return
        CONSOLE.print(f"  {self.model}: {sentence}", soft_wrap=True)
        with (self.run_dir / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(values) + "\n")


def files(patterns: Sequence[str]) -> list[str]:
    """The files that patterns match."""
    return [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]
