import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks.quality import photo_packing
from benchmarks.quality.photo_packing import pack, unpack
from benchmarks.quality.photo_program import COLUMNS, FIGURES, LOSSES, SAMPLES, WEIGHTS, rows_of
from models.learning.settings import LearningConfig
from models.tensors import to_uint8
from tfx_pipeline.datasets.entries import Entry, write_metadata

REPOSITORY = Path(__file__).parents[2]
CLASSES = ("a dark picture", "a light picture")
CONFIG = LearningConfig.model_validate(
    {
        "data": {"picture_size": 16, "caption_length": 16},
        "language": {"slots": 2, "slot_size": 8, "width": 16, "token_size": 8, "reading_width": 8, "steps": 20},
        "drawing": {
            "network": "photo",
            "photo": {
                "noise_size": 4,
                "style_size": 8,
                "width": 8,
                "most_width": 8,
                "critic_width": 8,
                "critic_most_width": 8,
                "batch_size": 4,
            },
        },
    }
)
# A machine without TensorFlow.
PROGRAM = """
import sys
sys.modules["tensorflow"] = None
from benchmarks.quality.photo_program import main
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of forty pictures, and what a training of a few steps left beside it."""
    place = tmp_path_factory.mktemp("photo")
    (place / "data").mkdir()
    for number in range(40):
        colour = (number, 200 * (number % 2), 50)
        Image.new("RGB", (16, 16), colour).save(place / f"data/{number}.png")
    write_metadata(place / "data/metadata.jsonl", (Entry(f"{number}.png", CLASSES[number % 2]) for number in range(40)))
    pack(place / "data", place, CONFIG)
    command = [sys.executable, "-c", PROGRAM, place / photo_packing.PACK, place, "--seconds", "1", "--dtype", "float32"]
    env = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_without_tensorflow_leaves_a_generator(folder: Path) -> None:
    generator = unpack(folder, CONFIG)
    noise = np.random.default_rng(0).standard_normal((COLUMNS, generator.noise_size)).astype(np.float32)
    rows = []
    for embedding in generator.language_model.embed_texts(tf.constant(CLASSES)):
        drawn = to_uint8(generator([noise, tf.tile(embedding[None], [COLUMNS, 1])])).numpy()
        rows.append(np.concatenate(list(drawn), axis=1))
    there = np.asarray(Image.open(folder / SAMPLES))
    assert abs(np.concatenate(rows).astype(int) - there).max() <= 3
    assert there.std() > 5
    with np.load(folder / WEIGHTS) as trained:
        assert {trained[name].dtype for name in trained.files if trained[name].ndim > 1} == {np.dtype("float16")}
    figures = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    assert figures["pictures"] == 4 * figures["steps"] > 0
    losses = [json.loads(line) for line in (folder / LOSSES).read_text(encoding="utf-8").splitlines()]
    assert {"critic", "contrast", "adversarial"} <= losses[-1].keys()


def test_every_row_comes_once_before_any_comes_again() -> None:
    rows = rows_of(10, 5, seed=0)
    assert sorted([*next(rows), *next(rows)]) == list(range(10))
