"""The language model's network on the characters of a plain text, for comparison with published character models.

    python -m benchmarks.quality.language --text tinyshakespeare.txt --minutes 10

prints one line of JSON. With ten minutes on two CPU cores, expect below 1.6 nats per character on tinyshakespeare.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.quality.effort import Effort
from models.device import device_policy
from models.language_model import LanguageModel
from models.language_training import TextTraining
from models.learning.fit import Cosine
from models.learning.inputs import Batches
from models.vocabulary import character_vocabulary

STREAMS, WINDOW = 32, 128
TOKEN_SIZE = 64
LEARNING_RATE = 5e-3
TRAINING_SHARE = 0.9


class Recipe(NamedTuple):
    """Settings that depend on the machine.

    Attributes:
        width: Units of the LSTM.
        dropout: Share of its outputs that are dropped in training.
        steps: Steps per minute of the budget; the only number to change for another machine.
    """

    width: int
    dropout: float
    steps: int


CPU = Recipe(width=256, dropout=0.0, steps=480)
"""Steps per minute of one core with AVX-512, so that two idle ones need less than the budget."""
GPU = Recipe(width=512, dropout=0.5, steps=300)


def measure(text: Path, effort: Effort) -> dict[str, float]:
    """Train on the first nine tenths of a text and score the last one; case, spaces and line ends are kept.

    Args:
        text: A UTF-8 file.
        effort: The budget; the same seed gives the same result on slower machines.

    Returns:
        `shakespeare_nats`: mean nats per validation character. The model reads the validation text once, from its first
        character to its last, and keeps its state throughout.
        `training_minutes`: duration of the training, including compilation.

    Raises:
        ValueError: The text is too short for training.
    """
    training, validation = split(text.read_bytes().decode("utf-8"))
    keras.utils.set_random_seed(effort.seed)
    recipe = GPU if effort.programs else CPU
    vocabulary = character_vocabulary(training)
    model = LanguageModel(vocabulary, length=WINDOW, token_size=TOKEN_SIZE, width=recipe.width, exact=True)
    ids = model.tokenizer.tokenize_whole(tf.constant([training])).numpy()[0]
    _, minutes_spent = effort.timed(lambda: train(model, ids, recipe, effort))
    return {"shakespeare_nats": nats_per_character(model, validation), **minutes_spent}


def split(text: str) -> tuple[str, str]:
    """The first nine tenths and the rest.

    Raises:
        ValueError: The first part is shorter than one window of every stream.
    """
    at = int(len(text) * TRAINING_SHARE)
    if at < STREAMS * WINDOW:
        least = int(STREAMS * WINDOW / TRAINING_SHARE) + 1
        raise ValueError(f"The text has {len(text)} characters; it needs at least {least} to train on.")
    return text[:at], text[at:]


def train(model: LanguageModel, ids: NDArray[np.int64], recipe: Recipe, effort: Effort) -> None:
    """A language model, trained on a row of ids, int64[n]."""
    steps = effort.steps(recipe.steps)
    training = TextTraining(model, streams=STREAMS, dropout=recipe.dropout)
    optimizer = keras.optimizers.Adam(Cosine(LEARNING_RATE, steps, floor=0.02), beta_2=0.99, clipnorm=1.0)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    with effort.fitting() as fit:
        fit(training, windows(ids), label="text", steps=steps)


def windows(ids: NDArray[np.int64]) -> Batches:
    """Batches of `ids`, int64[streams, window + 1]; each row continues the same row of the previous batch.

    The text is treated as a ring, on which the streams begin at equal distances.
    """
    ring = tf.constant(np.concatenate([ids, ids[: WINDOW + 1]]))
    starts = tf.range(STREAMS, dtype=tf.int64) * (len(ids) // STREAMS)

    def pick(number: tf.Tensor, _: tf.Tensor) -> dict[str, tf.Tensor]:
        begins = (starts + number * WINDOW) % len(ids)
        return {"ids": tf.gather(ring, begins[:, None] + tf.range(WINDOW + 1, dtype=tf.int64))}

    return Batches(STREAMS, STREAMS, 0, pick)


def nats_per_character(model: LanguageModel, text: str) -> float:
    """Nats per character of an exact model, without the end of the text."""
    ids = model.tokenizer.tokenize_whole(tf.constant([text])).numpy()
    return float(model.nats(ids[:, :-1])[0]) / len(text)


def main() -> None:
    """Print the measurement as a line of JSON."""
    parser = argparse.ArgumentParser(description="Nats per character on a plain text.")
    parser.add_argument("--text", type=Path, required=True, help="a UTF-8 text, such as tinyshakespeare.txt")
    parser.add_argument("--minutes", type=float, default=10, help="training budget on two CPU cores")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.text, Effort(arguments.minutes, arguments.seed))))


if __name__ == "__main__":
    main()
