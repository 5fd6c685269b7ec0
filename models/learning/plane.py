"""Training of the network `plane`, `models.generator`: by reconstruction, then adversarially."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.critic import Critic, Encoder
from models.device import device_policy
from models.generator import Generator
from models.generator_training import GeneratorAdversarial, GeneratorWarmup, encoder_of
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import GRID_ROWS, Cosine, Fit
from models.learning.inputs import Captioned, embedding_batches
from models.learning.optimizing import averaging_muon, averaging_over
from models.learning.settings import Drawing, LearningConfig
from models.optimizers import Adam
from models.tensors import to_uint8


class Trained(NamedTuple):
    """A trained generator, and its critic, which is None without an adversarial phase."""

    generator: Generator
    critic: Critic | None


def learn_plane(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> Generator:
    """Train this network; see `models.learning.recipes.learn_to_draw`."""
    return train_plane(data, language_model, config, fit=fit).generator


def train_plane(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> Trained:
    """Train a generator on pictures and the embeddings of their captions: warm-up, then adversarially.

    Args:
        data: Captioned pictures.
        language_model: Encodes the captions; it is not trained.
        config: The settings; uses `data` and `drawing`.
        fit: The training loop.
    """
    settings, size = config.drawing, config.data.picture_size
    captions = embedded(data, language_model, config.data.unknown_words)
    generator = new_generator(language_model, settings, size)
    encoder = encoder_of(generator)
    batches = embedding_batches(data.image, *captions, batch_size=settings.batch_size, seed=config.seed)
    shown = captions.some(GRID_ROWS)
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
    optimizer = averaging_muon(settings.learning_rate, settings.warmup_steps, last_layers=["colours"])
    warmup.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    fit(warmup, batches, label="generator_warmup", steps=settings.warmup_steps, samples=samples)
    if not settings.adversarial_steps:
        return Trained(generator, None)
    critic = Critic(size, language_model.embedding_size, dtype=device_policy().precision)
    adversarial = against(critic, generator, encoder, settings, seed=config.seed)
    fit(adversarial, batches, label="generator_adversarial", steps=settings.adversarial_steps, samples=samples)
    return Trained(generator, critic)


def against(
    critic: Critic, generator: Generator, encoder: Encoder, settings: Drawing, *, seed: int
) -> GeneratorAdversarial:
    """The compiled adversarial phase."""
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


def new_generator(language_model: LanguageModel, settings: Drawing, picture_size: int) -> Generator:
    """A new, untrained generator with these settings."""
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
