"""What judges of drawings are tested on: plain colours in noise, and a generator that draws as it is told."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tiny_models import SIZE

from models.language_model import LanguageModel

Pictures = NDArray[np.uint8]
COLOURS = {"a red": (200, 40, 40), "a blue": (40, 40, 200), "a circle": (40, 200, 40), "一个": (200, 200, 40)}


class Painter(NamedTuple):
    """Draws float32[b, s, s, 3] in -1..1 from captions and seeds."""

    language_model: LanguageModel
    draw: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    picture_size: int = SIZE


def noisy(captions: Sequence[str], seed: int, deviation: float) -> Pictures:
    """Pictures of the captions' colours, in noise of a standard deviation in grey levels."""
    colours = np.array([COLOURS[caption] for caption in captions])[:, None, None]
    noise = np.random.default_rng(seed).normal(0, deviation, (len(captions), SIZE, SIZE, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)
