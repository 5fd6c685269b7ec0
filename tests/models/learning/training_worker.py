"""One worker of a training: `python training_worker.py MODEL FOLDER [STEPS]`, alone or as TF_CONFIG says."""

import json
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np

from models.learning.fit import fit
from models.learning.inputs import Captioned
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.settings import LearningConfig
from models.learning.workers import is_chief, new_strategy
from models.vocabulary import RESERVED

STEPS = 40
WORDS = [*RESERVED, *"abcdefgh"]


def tiny(steps: int) -> LearningConfig:
    return LearningConfig.model_validate(
        {
            "data": {"picture_size": 16, "caption_length": 8},
            "language": {"token_size": 16, "width": 16, "slots": 2, "slot_size": 16, "steps": steps, "batch_size": 16},
            "drawing": {
                "style_size": 16,
                "width": 16,
                "depth": 2,
                "warmup_steps": steps,
                "adversarial_steps": steps,
                "batch_size": 16,
            },
            "restoration": {"widths": (8, 16), "depth": 1, "steps": steps, "batch_size": 16},
        }
    )


def some_data(count: int = 64) -> Captioned:
    """Pictures of one colour each, and captions of three letters that it decides."""
    chances = np.random.default_rng(0)
    colour = chances.integers(0, 256, (count, 1, 1, 3), dtype=np.uint8)
    captions = np.zeros((count, 2, 8), np.int64)
    captions[:, :, :2] = np.array([2, 3])
    captions[:, 0, 1:4] = len(RESERVED) + colour[:, 0, 0] // 32
    captions[:, 0, 4] = 3
    return Captioned(np.repeat(np.repeat(colour, 16, 1), 16, 2), captions)


def main(name: str, folder: Path, steps: int = STEPS) -> None:
    strategy = new_strategy()
    keras.utils.set_random_seed(0)
    config, data, lines = tiny(steps), some_data(), np.zeros((0, 8), np.int64)
    train = partial(fit, checkpoints=folder / "checkpoints", run_dir=folder / "run")
    with strategy.scope():
        if name == "restorer":
            model = learn_to_restore(data.image, config, fit=train)
        else:
            model = learn_language(data, lines, WORDS, config, fit=train if name == "language_model" else untrained)
        if name == "generator":
            model = learn_to_draw(data, model, config, fit=train)
        if is_chief():
            total = float(sum(np.abs(weight).sum() for weight in model.get_weights()))
            print(json.dumps({"weights": total}))


def untrained(*_: object, **__: object) -> None:
    """Leave the model as it is."""


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
