"""Training of the network `scenes`, `models.scene_generator`."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.device import device_policy
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import GRID_ROWS, Fit
from models.learning.inputs import Batches, Captioned, embedding_batches, in_graph
from models.learning.networks import SCENES
from models.learning.optimizing import averaging_muon
from models.learning.settings import LearningConfig, Scenes
from models.learning.stored import zeros_beside
from models.scene_generator import SceneGenerator
from models.scene_network import WHERE
from models.scene_training import LAST_LAYERS, Encoders, PriorTraining, SceneTraining
from models.tensors import to_uint8

MANY = 10_000
"""Number of captions whose embeddings `SlotMixer.adapt` uses."""
PRIOR_SHARE, PRIOR_ROWS = 0.25, 512
"""Steps of the prior alone, as a share of the joint steps, and captions per step."""
READINGS, MOST_READINGS = 4, 200_000
"""The maximum number of encodings of a picture for it, each with one of its captions, and of all pictures."""


def learn_scenes(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> SceneGenerator:
    """Train this network; see `models.learning.recipes.learn_to_draw`."""
    settings, size = config.drawing.scenes, config.data.picture_size
    precision = device_policy().precision
    trained = new_scene_generator(language_model, settings, size, dtype=precision)
    training = SceneTraining(
        trained,
        Encoders.of(trained, dtype=precision),
        steps=settings.steps,
        fineness=SCENES.fineness,
        kl_weight=settings.kl_weight,
        tags=0 if data.tags is None else data.tags.shape[-1],
        seed=config.seed,
    )
    optimizer = averaging_muon(settings.learning_rate, settings.steps, last_layers=LAST_LAYERS)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    captions = embedded(data, language_model, config.data.unknown_words)
    trained.mixer.adapt(captions.some(MANY))
    shown = captions.some(GRID_ROWS)

    def samples() -> NDArray[np.uint8]:
        return to_uint8(trained.draw_embedded(tf.constant(shown), tf.range(len(shown), dtype=tf.int64))).numpy()

    batches = embedding_batches(data.image, *captions, batch_size=settings.batch_size, seed=config.seed)
    batches = with_known(batches, known_of(data, settings.things))
    fit(training, batches, label="generator_scenes", steps=settings.steps, samples=samples)
    learn_prior(training, batches, settings, fit=fit)
    generator = new_scene_generator(language_model, settings, size)
    generator.set_weights(trained.get_weights())
    return generator


def learn_prior(training: SceneTraining, batches: Batches, settings: Scenes, *, fit: Fit) -> None:
    """Train the prior alone, on the encodings of each picture with several of its captions."""
    steps = max(1, round(PRIOR_SHARE * settings.steps))
    alone = PriorTraining(training.generator.prior, seed=training.seed)
    alone.compile(
        optimizer=averaging_muon(settings.learning_rate, steps, last_layers=LAST_LAYERS),
        jit_compile=device_policy().jit_dense,
    )
    read = readings(training, batches)
    count = len(read["noise"])
    rows = Batches(count, min(PRIOR_ROWS, count), training.seed, lambda *_: {})
    fit(alone, with_known(rows, read), label="generator_prior", steps=steps)


def readings(training: SceneTraining, batches: Batches) -> dict[str, NDArray[Any]]:
    """Encode batches with `SceneTraining.read`, each picture up to `READINGS` times."""
    read = tf.function(training.read, autograph=False, jit_compile=device_policy().jit_convolution)
    count = math.ceil(min(READINGS * batches.total, MOST_READINGS) / batches.batch_size)
    parts = []
    for batch in batches.dataset().take(count):
        parts.append({name: values.numpy() for name, values in read(batch).items()})
        # The random numbers depend on the step.
        training.optimizer.iterations.assign_add(1)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def known_of(data: Captioned, things: int) -> dict[str, NDArray[Any]]:
    """Boxes of as many things as a network draws, float32[n, things, WHERE], and tags if there are any.

    Unknown boxes have zero width.
    """
    boxes = zeros_beside(data.image, [len(data.image), things, WHERE], np.float32) if data.boxes is None else data.boxes
    known = {"boxes": padded(boxes, things, np.nan)}
    if data.tags is not None and data.tags.shape[1] == things + 1:
        known["tags"] = data.tags
    elif data.tags is not None:
        known["tags"] = np.concatenate([padded(data.tags[:, :-1], things), data.tags[:, -1:]], axis=1)
    return known


def padded(values: NDArray[Any], things: int, missing: float = 0) -> NDArray[Any]:
    """Pad or cut values of things, [n, any, ...], to `things` things, [n, things, ...]."""
    if values.shape[1] == things:
        return values
    out = np.full([len(values), things, *values.shape[2:]], missing, values.dtype)
    count = min(things, values.shape[1])
    out[:, :count] = values[:, :count]
    return out


def with_known(batches: Batches, known: Mapping[str, NDArray[Any]]) -> Batches:
    """Batches with further values of their rows, by name."""
    return batches._replace(arrays={**batches.arrays, **in_graph(known)})


def new_scene_generator(
    language_model: LanguageModel, settings: Scenes, picture_size: int, dtype: str = "float32"
) -> SceneGenerator:
    """A new, untrained generator with these settings."""
    return SceneGenerator(language_model, picture_size=picture_size, dtype=dtype, **settings.architecture)
