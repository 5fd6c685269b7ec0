"""What the three Trainer components run: data in, a trained and exported model out."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import path_utils

from models.calibration import calibrate
from models.evaluation import (
    evaluate_generator,
    evaluate_language_model,
    evaluate_restorer,
    some_captions,
)
from models.export import export_generator, export_language_model, export_restorer
from models.language_model import LanguageModel
from models.learning.fit import CONSOLE, fit
from models.learning.inputs import Batches, Captioned, is_present
from models.learning.networks import NETWORKS
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.settings import LearningConfig
from models.learning.warm import take_weights
from models.learning.workers import is_chief
from models.saving import load_model
from models.text import Tokenizer
from tfx_pipeline.ingesting.preprocessing import VOCABULARY
from tfx_pipeline.training.records import read_captioned, read_captions, read_lines


class Job:
    """What a Trainer was given, in our terms.

    Attributes:
        config: The run's settings.
        run_dir: Where logs and samples go.
        checkpoints: Backups, in a folder that the same inputs and settings find again after a kill.
        serving_dir: Where the SavedModel goes.
        warm_start: The Keras model whose weights the training begins with, if there is one.
    """

    def __init__(self, fn_args: FnArgs, name: str) -> None:
        self.fn_args = fn_args
        self.config = LearningConfig.model_validate_json(fn_args.custom_config["config"])
        self.run_dir = Path(fn_args.model_run_dir)
        self.serving_dir = Path(fn_args.serving_model_dir)
        self.checkpoints = Path(fn_args.custom_config["checkpoints"]) / self.fingerprint()
        self.warm_start = warm_file(fn_args.custom_config["warm_start"], name)
        keras.utils.set_random_seed(self.config.seed)

    def fingerprint(self) -> str:
        """A short hash of everything that decides the training."""
        inputs = [sorted(self.fn_args.train_files), self.fn_args.transform_graph_path, self.fn_args.base_model]
        return hashlib.sha256(json.dumps([inputs, self.fn_args.custom_config]).encode()).hexdigest()[:12]

    def files(self, patterns: Sequence[str]) -> list[str]:
        """The files that patterns match."""
        return [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]

    def captioned(self, fineness: int = 1) -> Captioned:
        """The pictures to train on, `fineness` times as large as the settings say, and their captions."""
        data, files = self.config.data, self.files(self.fn_args.train_files)
        return read_captioned(files, picture_size=data.picture_size * fineness, caption_length=data.caption_length)

    def vocabulary(self) -> list[str]:
        """The pieces that Transform learned."""
        graph = tft.TFTransformOutput(self.fn_args.transform_graph_path)
        return [piece.decode() for piece in graph.vocabulary_by_name(VOCABULARY)]

    def language_model(self) -> LanguageModel:
        """The language model that this training builds on."""
        return load_model(Path(self.fn_args.base_model) / "assets.extra" / "language_model.keras")

    def fit(self, model: keras.Model, batches: Batches, **options: Any) -> None:
        """Train with this job's folders, the first phase from the weights of the last pushed model."""
        if self.warm_start:
            self.take_over(getattr(model, self.warm_start.stem), self.warm_start)
            self.warm_start = None
        fit(model, batches, checkpoints=self.checkpoints, run_dir=self.run_dir, **options)

    def take_over(self, model: keras.Model, pushed: Path) -> None:
        """Begin with the weights of the last pushed model, if it is of the same shape."""
        taken = take_weights(model, load_model(pushed))
        how = f"begins with the weights of {pushed}" if taken else "begins anew: its shape has changed"
        CONSOLE.print(f"  {model.name} {how}", soft_wrap=True)

    def calibrate(self, model: LanguageModel) -> None:
        """Weigh a language model's guesses against word counts, by the withheld captions, and keep the share."""
        files = self.files(self.fn_args.eval_files)
        captions = read_captions(files, caption_length=self.config.data.caption_length)
        withheld = captions[is_present(captions)]
        share = calibrate(model, withheld)
        if not is_chief():
            return
        told = f"its guesses count {share:.3f}, word counts the rest, by {len(withheld)} withheld captions"
        CONSOLE.print(f"  language_model: {told}", soft_wrap=True)
        line = {"phase": "language_model_calibration", "step": self.config.language.steps, "share_of_guesses": share}
        with (self.run_dir / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def done(self) -> None:
        """Remove the backups, which the exported model replaces."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def warm_file(artifact: str, name: str) -> Path | None:
    """The Keras model in a Model artifact; None for no artifact, and for one that has been removed."""
    file = Path(path_utils.serving_model_path(artifact)) / "assets.extra" / f"{name}.keras"
    return file if artifact and file.is_file() else None


def train_language_model(fn_args: FnArgs) -> None:
    """Train the language model on captions, their pictures and lines of text; withheld captions calibrate it."""
    job = Job(fn_args, "language_model")
    vocabulary = job.vocabulary()
    lines = read_lines(job.files(fn_args.train_files), Tokenizer(vocabulary, job.config.data.caption_length))
    model = learn_language(job.captioned(), lines, vocabulary, job.config, fit=job.fit)
    job.calibrate(model)
    export_language_model(model, job.serving_dir, judged=[evaluate_language_model(model)])
    job.done()


def train_generator(fn_args: FnArgs) -> None:
    """Train the generator on pictures and the embeddings of their captions."""
    job = Job(fn_args, "generator")
    language_model, data = job.language_model(), job.captioned(NETWORKS[job.config.drawing.network].fineness)
    generator = learn_to_draw(data, language_model, job.config, fit=job.fit)
    captions = some_captions(data.captions, language_model)
    export_generator(
        generator, job.serving_dir, judged=evaluate_generator(generator, job.config.data.picture_size, captions)
    )
    job.done()


def train_restorer(fn_args: FnArgs) -> None:
    """Train the restorer on pictures that it damages itself."""
    job = Job(fn_args, "restorer")
    restorer = learn_to_restore(job.captioned().image, job.config, fit=job.fit)
    export_restorer(restorer, job.serving_dir, judged=evaluate_restorer(restorer, job.config.data.picture_size))
    job.done()
