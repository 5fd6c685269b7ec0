"""Ten steps of every training from the same weights, on whichever backend Keras has; run by itself, it prints their losses."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
from keras import ops

from models.backends import backend
from models.critic import Critic
from models.generator_training import GeneratorAdversarial, GeneratorWarmup, encoder_of
from models.language_network import LanguageNetwork
from models.language_training import GroundedLanguageModel, TextTraining
from models.learning.inputs import Batches
from models.optimizers import Adam, muon
from models.plane_network import PlaneNetwork
from models.restorer_network import RestorerNetwork
from models.restorer_training import RestorerTraining
from models.training import Training
from models.vocabulary import END, RESERVED, START

STEPS, ROWS, SIZE = 10, 4, 16
VOCABULARY = [*RESERVED, *"abcdefgh"]


def language_network() -> LanguageNetwork:
    return LanguageNetwork(VOCABULARY, length=8, token_size=8, width=12, slots=2, slot_size=8, reading_depth=1)


def plane_network() -> PlaneNetwork:
    sizes = {"noise_size": 2, "components": 3, "style_size": 12, "frames": 4, "width": 8, "depth": 1}
    return PlaneNetwork(language_network(), picture_size=SIZE, **sizes)


def grounded() -> Training:
    return GroundedLanguageModel(language_network(), picture_size=SIZE)


def text() -> Training:
    return TextTraining(language_network(), streams=ROWS, dropout=0.2)


def warmup() -> Training:
    generator = plane_network()
    return GeneratorWarmup(generator, encoder_of(generator, width=8), steps=STEPS, kl_weight=0.01)


def adversarial() -> Training:
    generator, critic = plane_network(), Critic(SIZE, 16, widths=(4, 8))
    options = {"critic": critic, "critic_optimizer": Adam(1e-3), "steps": STEPS, "kl_weight": 0.01, "penalty_every": 3}
    return GeneratorAdversarial(generator, encoder_of(generator, width=8), **options)


def restorer() -> Training:
    return RestorerTraining(RestorerNetwork(widths=(4, 8), depth=1), ssim_weight=0.5)


TRAININGS = (grounded, text, warmup, adversarial, restorer)


def arrays() -> dict[str, Any]:
    """What the trainings read, all in one."""
    random = np.random.default_rng(0)
    ids = random.integers(len(RESERVED), len(VOCABULARY), [ROWS, 7])
    ids[:, 0], ids[:, -1] = START, END
    return {
        "ids": ids,
        "targets": ids,
        "all_ids": ids[:, None],
        "image": random.integers(256, size=[ROWS, SIZE, SIZE, 3], dtype=np.uint8),
        "has_picture": np.ones(ROWS, np.float32),
        "embedding": random.normal(size=[ROWS, 16]).astype(np.float32),
        "seed": np.arange(ROWS),
    }


def counted(shape: Sequence[int], seed: Any) -> Any:
    """Numbers in [0, 1) that look random enough and are the same on every backend, which real ones are not."""
    places = ops.arange(1, int(np.prod([int(side) for side in shape])) + 1, dtype="int32")
    first, second = (ops.cast(part, "int32") % 10_007 for part in ops.unstack(seed))
    mixed = (places * (first + 7919) + places * places % 4093 + second) % 4093
    return ops.reshape(ops.cast(mixed, "float32") / 4093, shape)


@contextmanager
def same_chance() -> Iterator[None]:
    """Draws that are the same on every backend."""
    with (
        patch.object(backend, "uniform", counted),
        patch.object(backend, "normal", lambda shape, seed: 3.4 * (counted(shape, seed) - 0.5)),
    ):
        yield


def losses_of(training: Training) -> dict[str, list[float]]:
    """The losses of each step."""
    random = np.random.default_rng(1)
    for weight in training.trainable_variables:
        weight.assign(random.normal(0, 0.3, weight.shape))
    # Muon takes long to compile.
    optimizer = muon(3e-3, average=0.9) if isinstance(training, RestorerTraining) else Adam(3e-3, clipnorm=1.0)
    training.compile(optimizer=optimizer)
    batches = Batches(arrays(), ROWS, ROWS, 0, lambda arrays, chance, rows: dict(arrays))
    with same_chance():
        history = training.fit(batches.dataset(), epochs=STEPS, steps_per_epoch=1, verbose=0, shuffle=False).history
    return {name: [float(loss) for loss in losses] for name, losses in history.items()}


def ten_steps() -> dict[str, dict[str, list[float]]]:
    return {training.__name__: losses_of(training()) for training in TRAININGS}


if __name__ == "__main__":
    assert "tensorflow" not in sys.modules or sys.modules["tensorflow"] is None
    print(json.dumps(ten_steps()))
