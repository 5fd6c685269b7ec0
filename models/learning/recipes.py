"""How the models are trained, from arrays to Keras models: the Trainers and the quality bench run the same recipes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.critic import Critic, Encoder
from models.damage import damage
from models.device import device_policy
from models.generator import Generator
from models.generator_training import GeneratorAdversarial, GeneratorWarmup, encoder_of
from models.language_model import LanguageModel
from models.language_training import GroundedLanguageModel
from models.learning.fit import Cosine
from models.learning.inputs import (
    Captioned,
    UnknownWords,
    caption_batches,
    embedding_batches,
    is_present,
    picture_batches,
    unknown_words,
    with_unknown_words,
)
from models.learning.settings import Drawing, Language, LearningConfig
from models.optimizers import Adam, KernelMuon, muon
from models.pictures import to_float, to_uint8
from models.restorer import Restorer, RestorerTraining

GRID_ROWS = 32
# Of a caption that the generator learns from, where some words are to be unknown.
VERSIONS = 8
# Layers whose weights Muon leaves to Adam, since they end a network.
LAST_LAYERS = ["colours", "next_piece"]

Fit = Callable[..., None]
"""`models.learning.fit.fit` with its folders bound."""


class Drawer(NamedTuple):
    """A trained generator, and the critic that it was trained against, None without an adversarial phase."""

    generator: Generator
    critic: Critic | None


def learn_language(
    data: Captioned, lines: NDArray[np.int64], vocabulary: list[str], config: LearningConfig, *, fit: Fit
) -> LanguageModel:
    """Train a language model to continue captions and to read them.

    Args:
        data: Captioned pictures.
        lines: Ids of texts without a picture, int64[n, t].
        vocabulary: The pieces, the reserved ones first.
        config: Its `data` and `language` are read.
        fit: Trains.
    """
    settings = config.language
    model = new_language_model(vocabulary, settings, config.data.caption_length)
    model.fit_unigram(np.concatenate([data.captions[is_present(data.captions)], lines]))
    training = GroundedLanguageModel(
        model,
        picture_size=config.data.picture_size,
        word_weight=settings.word_weight,
        picture_weight=settings.picture_weight,
    )
    optimizer = averaging_muon(settings.learning_rate, settings.steps)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    batches = caption_batches(
        data,
        lines,
        batch_size=settings.batch_size,
        seed=config.seed,
        unknown=unknown_words(vocabulary, config.data.unknown_words, data.captions, lines),
    )
    fit(training, batches, label="language_model", steps=settings.steps)
    return model


def learn_to_draw(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> Drawer:
    """Train a generator on pictures and the embeddings of their captions: warm-up, then adversarially.

    Args:
        data: Captioned pictures.
        language_model: Reads the captions, and stays as it is.
        config: Its `data` and `drawing` are read.
        fit: Trains.
    """
    settings, size = config.drawing, config.data.picture_size
    unknown = unknown_words(language_model.vocabulary, config.data.unknown_words, data.captions)
    captions = versions(data.captions, unknown) if unknown else data.captions
    embeddings, present = embed_all(language_model, captions), is_present(captions)
    generator = new_generator(language_model, settings, size)
    encoder = encoder_of(generator)
    batches = embedding_batches(data.image, embeddings, present, batch_size=settings.batch_size, seed=config.seed)
    shown = embeddings[:, :2][present[:, :2]][:GRID_ROWS]
    chances = np.random.default_rng(0)
    uniform = chances.uniform(size=len(shown)).astype(np.float32)
    normal = chances.standard_normal((len(shown), settings.noise_size)).astype(np.float32)

    def samples() -> NDArray[np.uint8]:
        noise = generator.prior.sample(tf.constant(shown), uniform, normal)
        return to_uint8(generator([noise, shown])).numpy()

    warmup = GeneratorWarmup(
        generator,
        encoder,
        steps=settings.warmup_steps,
        seed=config.seed,
        kl_weight=settings.kl_weight,
        noiseless=settings.noiseless,
        drawn_share=settings.drawn_share,
    )
    optimizer = averaging_muon(settings.learning_rate, settings.warmup_steps)
    warmup.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    fit(warmup, batches, label="generator_warmup", steps=settings.warmup_steps, samples=samples)
    if not settings.adversarial_steps:
        return Drawer(generator, None)
    critic = Critic(size, language_model.embedding_size, dtype=device_policy().precision)
    adversarial = against(critic, generator, encoder, settings, seed=config.seed)
    fit(adversarial, batches, label="generator_adversarial", steps=settings.adversarial_steps, samples=samples)
    return Drawer(generator, critic)


def versions(captions: NDArray[np.int64], unknown: UnknownWords) -> NDArray[np.int64]:
    """Captions with further versions of each, some of them with unknown words.

    Args:
        captions: int64[n, k, t].
        unknown: How many, and what their unknown words consist of.

    Returns:
        int64[n, k * `VERSIONS`, t]; the captions as they are come first.
    """
    length = captions.shape[-1]
    rows = tf.constant(captions.reshape(-1, length))
    others = [with_unknown_words(rows, unknown)[0][:, :length].numpy() for _ in range(VERSIONS - 1)]
    return np.concatenate([captions, *(each.reshape(captions.shape) for each in others)], axis=1)


def against(
    critic: Critic, generator: Generator, encoder: Encoder, settings: Drawing, *, seed: int
) -> GeneratorAdversarial:
    """The adversarial phase, compiled."""
    steps = settings.adversarial_steps
    rate = Cosine(settings.critic_learning_rate, steps, floor=0.05)
    adversarial = GeneratorAdversarial(
        generator,
        encoder,
        critic=critic,
        critic_optimizer=Adam(rate, beta_1=0.0, beta_2=0.99),
        steps=steps,
        seed=seed,
        kl_weight=settings.kl_weight,
        adversarial_weight=settings.adversarial_weight,
        reconstruction_weights=settings.reconstruction_weights,
        penalty_weight=settings.penalty_weight,
        penalty_every=settings.penalty_every,
    )
    rate = Cosine(settings.adversarial_learning_rate, steps, floor=0.05)
    optimizer = Adam(rate, beta_1=0.0, beta_2=0.99, clipnorm=1.0, use_ema=True, ema_momentum=averaging_over(steps))
    adversarial.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    return adversarial


def learn_to_restore(image: NDArray[np.uint8], config: LearningConfig, *, fit: Fit) -> Restorer:
    """Train a restorer on pictures that it damages itself.

    Args:
        image: uint8[n, s, s, 3].
        config: Its `restoration` is read.
        fit: Trains.
    """
    settings = config.restoration
    shape: dict[str, Any] = {"widths": settings.widths, "depth": settings.depth, "half_depth": settings.half_depth}
    trained = Restorer(**shape, dtype=device_policy().precision)
    training = RestorerTraining(trained, psnr_weight=settings.psnr_weight, ssim_weight=settings.ssim_weight)
    optimizer = muon(Cosine(settings.learning_rate, settings.steps, floor=0.01))
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    clean = to_float(tf.constant(image[:GRID_ROWS]))
    damaged = damage(clean, tf.range(len(clean), dtype=tf.int64))

    def samples() -> NDArray[np.uint8]:
        return to_uint8(tf.concat([damaged.pictures, trained.repair(damaged), clean], 0)).numpy()

    batches = picture_batches(image, batch_size=settings.batch_size, seed=config.seed)
    fit(training, batches, label="restorer", steps=settings.steps, samples=samples)
    restorer = Restorer(**shape)
    restorer.set_weights(trained.get_weights())
    return restorer


def new_language_model(vocabulary: Sequence[str], settings: Language, length: int) -> LanguageModel:
    """A language model of these settings, untrained."""
    return LanguageModel(
        vocabulary,
        length=length,
        token_size=settings.token_size,
        width=settings.width,
        depth=settings.depth,
        slots=settings.slots,
        slot_size=settings.slot_size,
        reading_depth=settings.reading_depth,
    )


def new_generator(language_model: LanguageModel, settings: Drawing, picture_size: int) -> Generator:
    """A generator of these settings, untrained."""
    return Generator(
        language_model,
        picture_size=picture_size,
        noise_size=settings.noise_size,
        components=settings.components,
        style_size=settings.style_size,
        frames=settings.frames,
        width=settings.width,
        depth=settings.depth,
        block=settings.block,
    )


def averaging_muon(rate: float, steps: int) -> KernelMuon:
    """Muon (Jordan et al., 2024) that leaves an exponential moving average of the weights behind.

    Its steps are orthogonal matrices, which break the symmetry between slots several times sooner than Adam's do.
    """
    return muon(Cosine(rate, steps, floor=0.02), last_layers=LAST_LAYERS, average=averaging_over(steps))


def averaging_over(steps: int) -> float:
    """The momentum of an average of the weights, such that a short training forgets the first ones."""
    return min(0.998, max(0.0, 1 - 20 / steps))


def embed_all(model: LanguageModel, captions: NDArray[np.int64], batch: int = 512) -> NDArray[np.float32]:
    """Embeddings, float32[n, k, d], of captions, int64[n, k, t]; zeros of missing ones."""
    embed = tf.function(lambda ids: model(ids)[1], reduce_retracing=True)
    present = is_present(captions)
    rows, embeddings = captions[present], np.zeros([*present.shape, model.embedding_size], np.float32)
    parts = [embed(tf.constant(rows[start : start + batch])).numpy() for start in range(0, len(rows), batch)]
    embeddings[present] = np.concatenate(parts)
    return embeddings
