"""How well the language model's core predicts the characters of a plain text, beside published character models.

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
from models.learning.optimizing import Cosine
from models.learning.windows import window_batches
from models.vocabulary import character_vocabulary

STREAMS, WINDOW = 32, 128
TOKEN_SIZE = 64
LEARNING_RATE = 5e-3
TRAINING_SHARE = 0.9


class Recipe(NamedTuple):
    """What depends on the machine.

    Attributes:
        width: Of the LSTM.
        dropout: Share of its outputs that training drops.
        steps: In a minute of the budget. The one number to change for another machine.
    """

    width: int
    dropout: float
    steps: int


CPU = Recipe(width=256, dropout=0.0, steps=480)
"""Steps that one core with AVX-512 does in a minute, so that two idle ones need less than the budget."""
GPU = Recipe(width=512, dropout=0.5, steps=300)


def measure(text: Path, effort: Effort) -> dict[str, float]:
    """Train on the first nine tenths of a text and score the last, case, spaces and line ends kept.

    Args:
        text: UTF-8.
        effort: What it may spend; the same seed gives the same result on slower machines.

    Returns:
        `shakespeare_nats`: nats of every validation character, summed, divided by their number. The model reads the
        validation text once, from its first character to its last, and carries its state all the way.
        `training_minutes`: what the training took, compilation included.

    Raises:
        ValueError: If the text is too short to train on.
    """
    training, validation = split(text.read_bytes().decode("utf-8"))
    keras.utils.set_random_seed(effort.seed)
    recipe = GPU if effort.jobs else CPU
    vocabulary = character_vocabulary(training)
    model = LanguageModel(vocabulary, length=WINDOW, token_size=TOKEN_SIZE, width=recipe.width, exact=True)
    ids = model.tokenizer.tokenize_whole(tf.constant([training])).numpy()[0]
    _, minutes_spent = effort.timed(lambda: train(model, ids, recipe, effort))
    return {"shakespeare_nats": nats_per_character(model, validation), **minutes_spent}


def split(text: str) -> tuple[str, str]:
    """The first nine tenths and the rest.

    Raises:
        ValueError: If the first part is shorter than one window of every stream.
    """
    at = int(len(text) * TRAINING_SHARE)
    if at < STREAMS * WINDOW:
        least = int(STREAMS * WINDOW / TRAINING_SHARE) + 1
        raise ValueError(f"The text has {len(text)} characters; it needs at least {least} to train on.")
    return text[:at], text[at:]


def train(model: LanguageModel, ids: NDArray[np.int64], recipe: Recipe, effort: Effort) -> None:
    """Train on one row of ids, int64[n]."""
    steps = effort.steps(recipe.steps)
    training = TextTraining(model, streams=STREAMS, dropout=recipe.dropout)
    optimizer = keras.optimizers.Adam(Cosine(LEARNING_RATE, steps, floor=0.02), beta_2=0.99, clipnorm=1.0)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    with effort.fitting() as fit:
        fit(training, window_batches(ids, streams=STREAMS, window=WINDOW), label="text", steps=steps)


def nats_per_character(model: LanguageModel, text: str) -> float:
    """Nats per character of an exact model, the text's end not counted."""
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
