"""What trainings hold in memory while they read transformed examples, but for the steps of their networks.

`python held_by_trainings.py FOLDER COUNT` writes so many examples, reads them as every Trainer does, and prints the
peak of the anonymous memory in MiB.
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.held import peak_held
from models.learning.inputs import Batches
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.settings import LearningConfig
from models.vocabulary import END, PAD, RESERVED, START
from tfx_pipeline.training.records import read_captioned

SIZE, LENGTH = 64, 8
VOCABULARY = [*RESERVED, *(f"▁{number}" for number in range(20)), *"0123456789"]
SETTINGS = {
    "data": {"picture_size": SIZE, "caption_length": LENGTH, "unknown_words": 0.1},
    "language": {"token_size": 8, "width": 8, "slot_size": 8, "reading_depth": 0},
    "drawing": {"width": 8, "depth": 1, "noise_size": 4, "components": 2, "style_size": 8, "adversarial_steps": 0},
    "restoration": {"widths": [8, 16], "depth": 1, "half_depth": 0},
}


def write_examples(folder: Path, count: int) -> str:
    """Pictures of one colour each, with one caption."""
    file, options = folder / "examples.gz", tf.io.TFRecordOptions("GZIP", compression_level=1)
    missing = ints([START, END] + [PAD] * (LENGTH - 2))
    with tf.io.TFRecordWriter(str(file), options) as writer:
        for number in range(count):
            ids = [START, len(RESERVED) + number % 20, END] + [PAD] * (LENGTH - 3)
            image = tf.train.BytesList(value=[bytes([number % 256]) * (SIZE * SIZE * 3)])
            features = {"image": tf.train.Feature(bytes_list=image), "text": ints(ids), "text_zh": missing}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(file)


def ints(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def read(_: keras.Model, batches: Batches, **__: Any) -> None:
    """In place of a training."""
    for _ in batches.dataset().take(30):
        pass


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True)
    file, config = write_examples(folder, count), LearningConfig.model_validate(SETTINGS)
    with peak_held() as peak:
        data, _ = read_captioned([file], picture_size=SIZE, caption_length=LENGTH)
        assert len(data.image) == count
        lines = np.zeros([0, LENGTH], np.int64)
        language_model = learn_language(data, lines, VOCABULARY, config, fit=read)
        learn_to_draw(data, language_model, config, fit=read)
        learn_to_restore(data.image, config, fit=read)
    print(peak.mib)


if __name__ == "__main__":
    main()
