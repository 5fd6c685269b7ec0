"""How well captions are obeyed: the drawn data set's rows, each trained on scenes of its own kind within a budget."""

import functools
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from models.text import RESERVED, Tokenizer, characters, pieces
from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import Scene, pick_open, random_scenes, render
from tfx_pipeline.inputs import Captioned
from tfx_pipeline.quality import Pictures
from tfx_pipeline.recipes import Drawer, learn_language, learn_to_draw
from tfx_pipeline.training import fit

ROWS = 200


class Told(NamedTuple):
    """Scenes with a caption each in English and in Chinese.

    Attributes:
        scenes: What the pictures show.
        pictures: uint8[n, size, size, 3].
        captions: (English, Chinese), n of them.
    """

    scenes: list[Scene]
    pictures: Pictures
    captions: list[tuple[str, str]]


def told(
    count: int, *, size: int, seed: int, shares: Mapping[str, float], withheld: bool, canonical: bool = False
) -> Told:
    """Draw scenes of some kinds; canonical ones neither jitter nor leave anything open."""
    drawn = list(random_scenes(count, seed=seed, shares=shares, withheld=withheld))
    pictures = np.stack([render(scene, size, None if canonical else rng) for scene, rng in drawn])
    captions = [
        phrases.captions(scene.attributes, rng, left_open=None if canonical else pick_open(scene.kind, rng))
        for scene, rng in drawn
    ]
    return Told([scene for scene, _ in drawn], pictures, captions)


def vocabulary_of(texts: Sequence[str]) -> list[str]:
    """The pieces and characters of texts, the commonest first, after the reserved ones."""
    strings = tf.constant(list(texts))
    counts = Counter(pieces(strings).flat_values.numpy().tolist() + characters(strings).flat_values.numpy().tolist())
    return [*RESERVED, *(piece.decode() for piece, _ in counts.most_common())]


def captioned(data: Told, vocabulary: list[str], length: int) -> Captioned:
    """The arrays that the recipes train on."""
    rows = [text for pair in data.captions for text in pair]
    ids = Tokenizer(vocabulary, length).tokenize(tf.constant(rows)).numpy()
    return Captioned(data.pictures, ids.reshape(len(data.captions), 2, length))


def train(data: Told, config: RunConfig) -> tuple[Drawer, float]:
    """Train a language model and a generator; the minutes that it took, compilation included."""
    keras.utils.set_random_seed(config.seed)
    vocabulary = vocabulary_of([text for pair in data.captions for text in pair])
    arrays = captioned(data, vocabulary, config.data.caption_length)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bound = functools.partial(fit, checkpoints=Path(folder, "checkpoints"), run_dir=Path(folder, "run"))
        no_lines = np.zeros([0, config.data.caption_length], np.int64)
        language_model = learn_language(arrays, no_lines, vocabulary, config, fit=bound)
        drawer = learn_to_draw(arrays, language_model, config, fit=bound)
    return drawer, (time.monotonic() - started) / 60
