"""What the three Trainer components run: data in, a trained and exported model out."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray
from tfx.components.trainer.fn_args_utils import FnArgs

from models.critic import Critic, Encoder
from models.damage import damage
from models.device import device_policy
from models.export import export_generator, export_language_model, export_restorer
from models.generator import Generator
from models.generator_training import GeneratorAdversarial, GeneratorWarmup
from models.language_model import LanguageModel
from models.language_training import GroundedLanguageModel
from models.pictures import to_float, to_uint8
from models.restorer import Restorer, RestorerTraining, restorer_optimizer
from tfx_pipeline.config import Drawing, RunConfig
from tfx_pipeline.evaluation import evaluate_generator, evaluate_language_model, evaluate_restorer, some_captions
from tfx_pipeline.inputs import (
    Captioned,
    caption_batches,
    embedding_batches,
    is_present,
    picture_batches,
    read_captioned,
    read_lines,
)
from tfx_pipeline.preprocessing import VOCABULARY
from tfx_pipeline.training import Cosine, fit

GRID_ROWS = 32


class Job:
    """What a Trainer was given, in our terms.

    Attributes:
        config: The run's settings.
        run_dir: Where logs and samples go.
        checkpoints: Backups, in a folder that the same inputs and settings find again after a kill.
        serving_dir: Where the SavedModel goes.
    """

    def __init__(self, fn_args: FnArgs) -> None:
        self.fn_args = fn_args
        self.config = RunConfig.model_validate_json(fn_args.custom_config["config"])
        self.run_dir = Path(fn_args.model_run_dir)
        self.serving_dir = Path(fn_args.serving_model_dir)
        self.checkpoints = Path(fn_args.custom_config["checkpoints"]) / self.fingerprint()
        keras.utils.set_random_seed(self.config.seed)

    def fingerprint(self) -> str:
        """A short hash of everything that decides the training."""
        inputs = [sorted(self.fn_args.train_files), self.fn_args.transform_graph_path, self.fn_args.base_model]
        return hashlib.sha256(json.dumps([inputs, self.fn_args.custom_config]).encode()).hexdigest()[:12]

    def files(self, patterns: Sequence[str]) -> list[str]:
        """The files that patterns match."""
        return [file for pattern in patterns for file in sorted(tf.io.gfile.glob(pattern))]

    def captioned(self) -> Captioned:
        """The training pictures and their captions."""
        data = self.config.data
        files = self.files(self.fn_args.train_files)
        return read_captioned(files, picture_size=data.picture_size, caption_length=data.caption_length)

    def vocabulary(self) -> list[str]:
        """The pieces that Transform learned."""
        graph = tft.TFTransformOutput(self.fn_args.transform_graph_path)
        return [piece.decode() for piece in graph.vocabulary_by_name(VOCABULARY)]

    def language_model(self) -> LanguageModel:
        """The language model that this training builds on."""
        return keras.saving.load_model(Path(self.fn_args.base_model) / "assets.extra" / "language_model.keras")

    def fit(self, model: keras.Model, batches: tf.data.Dataset, **options: Any) -> None:
        """Train with this job's folders."""
        fit(model, batches, checkpoints=self.checkpoints, run_dir=self.run_dir, **options)

    def done(self) -> None:
        """Remove the backups, which the exported model replaces."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def train_language_model(fn_args: FnArgs) -> None:
    """Train the language model on captions, their pictures and lines of text."""
    job = Job(fn_args)
    settings, data = job.config.language, job.captioned()
    model = LanguageModel(
        job.vocabulary(),
        length=job.config.data.caption_length,
        token_size=settings.token_size,
        width=settings.width,
        depth=settings.depth,
        embedding_size=settings.embedding_size,
    )
    lines = read_lines(job.files(fn_args.train_files), model.tokenizer)
    model.fit_unigram(np.concatenate([data.captions[is_present(data.captions)], lines]))
    training = GroundedLanguageModel(
        model,
        picture_size=job.config.data.picture_size,
        word_weight=settings.word_weight,
        picture_weight=settings.picture_weight,
    )
    optimizer = keras.optimizers.Adam(Cosine(settings.learning_rate, settings.steps, floor=0.03), clipnorm=1.0)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_recurrent)
    batches = caption_batches(data, lines, batch_size=settings.batch_size, seed=job.config.seed)
    job.fit(training, batches, label="language_model", steps=settings.steps)
    export_language_model(model, job.serving_dir, evaluate=evaluate_language_model(model))
    job.done()


def train_generator(fn_args: FnArgs) -> None:
    """Train the generator on pictures and the embeddings of their captions: warm-up, then adversarially."""
    job = Job(fn_args)
    settings, size = job.config.drawing, job.config.data.picture_size
    language_model, data = job.language_model(), job.captioned()
    embeddings = embed_all(language_model, data.captions)
    present = is_present(data.captions)
    generator = new_generator(language_model, settings, size)
    encoder = Encoder(size, language_model.embedding_size, settings.noise_size)
    batches = embedding_batches(data.image, embeddings, present, batch_size=settings.batch_size, seed=job.config.seed)
    fixed = fixed_rows(embeddings, present, settings.noise_size)

    def samples() -> NDArray[np.uint8]:
        return to_uint8(generator(fixed)).numpy()

    towers, jit = device_policy().towers, device_policy().jit_convolution
    common = {"towers": towers, "kl_weight": settings.kl_weight}
    warmup = GeneratorWarmup(generator, encoder, steps=settings.warmup_steps, **common)
    warmup.compile(optimizer=averaging_adam(settings.learning_rate, settings.warmup_steps, 0.9), jit_compile=jit)
    job.fit(warmup, batches, label="generator_warmup", steps=settings.warmup_steps, samples=samples)
    if settings.adversarial_steps:
        critic = Critic(size, language_model.embedding_size, dtype=device_policy().precision)
        rate = Cosine(settings.critic_learning_rate, settings.adversarial_steps, floor=0.05)
        adversarial = GeneratorAdversarial(
            generator,
            encoder,
            critic=critic,
            critic_optimizer=keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99),
            steps=settings.adversarial_steps,
            adversarial_weight=settings.adversarial_weight,
            reconstruction_weights=settings.reconstruction_weights,
            penalty_weight=settings.penalty_weight,
            penalty_every=settings.penalty_every,
            **common,
        )
        optimizer = averaging_adam(settings.adversarial_learning_rate, settings.adversarial_steps, 0.0)
        adversarial.compile(optimizer=optimizer, jit_compile=jit)
        job.fit(adversarial, batches, label="generator_adversarial", steps=settings.adversarial_steps, samples=samples)
    evaluate = evaluate_generator(generator, size, some_captions(data.captions, language_model))
    export_generator(generator, job.serving_dir, evaluate=evaluate)
    job.done()


def train_restorer(fn_args: FnArgs) -> None:
    """Train the restorer on pictures that it damages itself."""
    job = Job(fn_args)
    settings, size, data = job.config.restoration, job.config.data.picture_size, job.captioned()
    shape: dict[str, Any] = {"widths": settings.widths, "depth": settings.depth, "half_depth": settings.half_depth}
    trained = Restorer(**shape, dtype=device_policy().precision)
    training = RestorerTraining(trained, psnr_weight=settings.psnr_weight, ssim_weight=settings.ssim_weight)
    optimizer = restorer_optimizer(Cosine(settings.learning_rate, settings.steps, floor=0.01))
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    clean = to_float(tf.constant(data.image[:GRID_ROWS]))
    damaged = damage(clean, tf.range(len(clean), dtype=tf.int64))

    def samples() -> NDArray[np.uint8]:
        return to_uint8(tf.concat([damaged.pictures, trained.repair(damaged), clean], 0)).numpy()

    batches = picture_batches(data.image, batch_size=settings.batch_size, seed=job.config.seed)
    job.fit(training, batches, label="restorer", steps=settings.steps, samples=samples)
    restorer = Restorer(**shape)
    restorer.set_weights(trained.get_weights())
    export_restorer(restorer, job.serving_dir, evaluate=evaluate_restorer(restorer, size))
    job.done()


def new_generator(language_model: LanguageModel, settings: Drawing, picture_size: int) -> Generator:
    """A generator of these settings, untrained."""
    return Generator(
        language_model,
        picture_size=picture_size,
        noise_size=settings.noise_size,
        style_size=settings.style_size,
        frames=settings.frames,
        width=settings.width,
        depth=settings.depth,
        block=settings.block,
    )


def averaging_adam(rate: float, steps: int, momentum: float) -> keras.optimizers.Adam:
    """Adam that leaves an exponential moving average of the weights behind."""
    schedule = Cosine(rate, steps, floor=0.05)
    return keras.optimizers.Adam(schedule, beta_1=momentum, beta_2=0.99, clipnorm=1.0, use_ema=True, ema_momentum=0.998)


def embed_all(model: LanguageModel, captions: NDArray[np.int64], batch: int = 512) -> NDArray[np.float32]:
    """Embeddings, float32[n, 2, d], of captions, int64[n, 2, t]."""
    embed = tf.function(lambda ids: model(ids)[1], reduce_retracing=True)
    rows = captions.reshape(-1, captions.shape[-1])
    parts = [embed(tf.constant(rows[start : start + batch])).numpy() for start in range(0, len(rows), batch)]
    return np.concatenate(parts).reshape(*captions.shape[:2], -1)


def fixed_rows(
    embeddings: NDArray[np.float32], present: NDArray[np.bool_], noise_size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise and embeddings of the first captions that there are, the same at every sample grid."""
    chosen = embeddings[present][:GRID_ROWS]
    noise = np.random.default_rng(0).standard_normal((len(chosen), noise_size)).astype(np.float32)
    return noise, chosen
