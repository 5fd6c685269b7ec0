"""Training of the network for photographs, `models.photo_generator`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from models.device import device_policy
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import GRID_ROWS, Fit
from models.learning.inputs import Captioned, embedding_batches
from models.learning.settings import LearningConfig, Photo
from models.optimizers import Adam
from models.photo_critic import PhotoCritic
from models.photo_generator import PhotoGenerator
from models.photo_training import PhotoTraining, falling
from models.tensors import Tensor, to_uint8

AVERAGED = 0.05
"""Half-life of the average of the weights, as a share of the training; see `averaging_of`."""
MANY = 10_000
"""Number of captions whose embeddings `adapt` uses."""


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant and falls in the last quarter; see `models.photo_training.falling`."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak = peak
        self.steps = steps

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at a step."""
        return self.peak * falling(ops.cast(step, "float32") / self.steps)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {"peak": self.peak, "steps": self.steps}


def learn_photos(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> PhotoGenerator:
    """Train this network; see `models.learning.recipes.learn_to_draw`."""
    settings, size = config.drawing.photo, config.data.picture_size
    trained = new_photo_generator(language_model, settings, size, dtype=device_policy().precision)
    training = against(new_photo_critic(language_model, settings, size), trained, settings, seed=config.seed)
    captions = embedded(data, language_model, config.data.unknown_words)
    trained.adapt(captions.some(MANY))
    shown = captions.some(GRID_ROWS)

    def samples() -> NDArray[np.uint8]:
        return to_uint8(trained.draw_embedded(tf.constant(shown), tf.range(len(shown), dtype=tf.int64))).numpy()

    batches = embedding_batches(data.image, *captions, batch_size=settings.batch_size, seed=config.seed)
    fit(training, batches, label="generator_photo", steps=settings.steps, samples=samples)
    generator = new_photo_generator(language_model, settings, size)
    generator.set_weights(trained.get_weights())
    return generator


def against(critic: PhotoCritic, generator: PhotoGenerator, settings: Photo, *, seed: int) -> PhotoTraining:
    """The compiled training of a generator against a critic."""
    rate = Falling(settings.learning_rate, settings.steps)
    training = PhotoTraining(
        generator,
        critic,
        critic_optimizer=Adam(rate, beta_1=0.0, beta_2=0.99),
        steps=settings.steps,
        seed=seed,
        **of_training(settings),
    )
    optimizer = Adam(rate, beta_1=0.0, beta_2=0.99, use_ema=True, ema_momentum=averaging_of(settings.steps))
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    return training


def averaging_of(steps: int) -> float:
    """The momentum of the moving average of the weights, whose half-life is a share of the training.

    StyleGAN2-ADA (Karras et al., 2020) also averages over a twentieth of what it has seen at first.
    """
    return float(0.5 ** (1 / (AVERAGED * steps)))


def new_photo_generator(
    language_model: LanguageModel, settings: Photo, picture_size: int, dtype: str = "float32"
) -> PhotoGenerator:
    """A new, untrained generator with these settings."""
    return PhotoGenerator(language_model, picture_size=picture_size, **of_generator(settings), dtype=dtype)


def new_photo_critic(language_model: LanguageModel, settings: Photo, picture_size: int) -> PhotoCritic:
    """A new, untrained critic with these settings."""
    size, precision = language_model.embedding_size, device_policy().precision
    return PhotoCritic(picture_size, size, **of_critic(settings), dtype=precision)


def of_generator(settings: Photo) -> dict[str, Any]:
    """The arguments of the generator in the settings."""
    return settings.model_dump(include={"noise_size", "style_size", "width", "most_width", "block"})


def of_critic(settings: Photo) -> dict[str, Any]:
    """The arguments of the critic in the settings."""
    return {
        "width": settings.critic_width,
        "most_width": settings.critic_most_width,
        "block": settings.block,
        "frozen_features": settings.frozen_features,
    }


def of_training(settings: Photo) -> dict[str, Any]:
    """The arguments of `PhotoTraining` in the settings."""
    return settings.model_dump(include={"contrast_weight", "penalty_weights", "penalty_every", "augmented_share"})
