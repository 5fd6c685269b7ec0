"""Training of the judge of drawings, `models.caption_judge`."""

from typing import Any

import keras
import tensorflow as tf

from models.caption_judge import CaptionJudge
from models.device import device_policy
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import Cosine
from models.learning.inputs import Captioned, embedding_batches
from models.tensors import to_float

STEPS, BATCH, RATE = 400, 64, 2e-3
MANY = 10_000
"""Number of captions from which mean and deviation are computed."""
SEED = 77
"""Seed of the judge, which differs from the seeds of the models it judges."""


def learn_to_judge(data: Captioned, language_model: LanguageModel, *, steps: int = STEPS) -> CaptionJudge:
    """Train a judge on pictures and the embeddings of their captions.

    Args:
        data: Captioned training pictures.
        language_model: Encodes the captions; it is not trained.
        steps: Number of training steps, with 64 pictures each.
    """
    keras.utils.set_random_seed(SEED)
    captions = embedded(data, language_model, 0.0)
    judge = CaptionJudge(data.image.shape[1], captions.some(MANY))
    rate = Cosine(RATE, steps, floor=0.05)
    judge.compile(keras.optimizers.Adam(rate), loss="mse", jit_compile=device_policy().jit_convolution)
    batches = embedding_batches(data.image, *captions, batch_size=BATCH, seed=SEED).dataset()

    def pair(batch: dict[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.image.random_flip_left_right(to_float(batch["image"])), judge.standardised(batch["embedding"])

    judge.fit(batches.map(pair), steps_per_epoch=steps, verbose=0, shuffle=False)
    return judge
