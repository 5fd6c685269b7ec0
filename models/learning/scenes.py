"""How the network of scenes, `models.scene_generator`, learns to draw."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.device import device_policy
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import GRID_ROWS, Fit
from models.learning.inputs import Batches, Captioned, embedding_batches
from models.learning.networks import SCENES
from models.learning.optimizing import averaging_muon
from models.learning.settings import LearningConfig, Scenes
from models.scene_encoders import BackEncoder, LookEncoder, PlaceEncoder
from models.scene_generator import SceneGenerator
from models.scene_network import WHERE
from models.scene_training import Encoders, SceneTraining
from models.tensors import to_uint8

# Layers that end a network or are memories, as embeddings are; Muon leaves them to Adam.
LAST_LAYERS = ["enter", "palette", "place", "ramps", "front_colour", "light", "moments", "tags", "_of"]


def learn_scenes(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> SceneGenerator:
    """The recipe of `models.learning.recipes.learn_to_draw` for this network."""
    settings, size = config.drawing.scenes, config.data.picture_size
    precision = device_policy().precision
    trained = new_scene_generator(language_model, settings, size, dtype=precision)
    training = SceneTraining(
        trained,
        encoders_of(trained, dtype=precision),
        steps=settings.steps,
        fineness=SCENES.fineness,
        kl_weight=settings.kl_weight,
        seed=config.seed,
    )
    optimizer = averaging_muon(settings.learning_rate, settings.steps, last_layers=LAST_LAYERS)
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    captions = embedded(data, language_model, config.data.unknown_words)
    shown = captions.some(GRID_ROWS)

    def samples() -> NDArray[np.uint8]:
        return to_uint8(trained.draw_embedded(tf.constant(shown), tf.range(len(shown), dtype=tf.int64))).numpy()

    batches = embedding_batches(data.image, *captions, batch_size=settings.batch_size, seed=config.seed)
    batches = with_boxes(batches, known_boxes(data, settings.things))
    fit(training, batches, label="generator_scenes", steps=settings.steps, samples=samples)
    generator = new_scene_generator(language_model, settings, size)
    generator.set_weights(trained.get_weights())
    return generator


def encoders_of(generator: SceneGenerator, dtype: str = "float32") -> Encoders:
    """Encoders that read pictures for a generator, untrained."""
    size, width, noise_size = generator.picture_size, generator.width, generator.noise_size
    return Encoders(
        back=BackEncoder(size, width, noise_size, dtype=dtype),
        place=PlaceEncoder(size, generator.things, width, dtype=dtype),
        look=LookEncoder(width, noise_size, dtype=dtype),
    )


def known_boxes(data: Captioned, things: int) -> NDArray[np.float32]:
    """Boxes of as many things as a network draws, float32[n, things, WHERE]; of zero width where nobody knows."""
    boxes = np.full([len(data.image), things, WHERE], 0 if data.boxes is None else np.nan, np.float32)
    if data.boxes is not None:
        boxes[:, : data.boxes.shape[1]] = data.boxes[:, :things]
    return boxes


def with_boxes(batches: Batches, boxes: NDArray[np.float32]) -> Batches:
    """Batches that hold the boxes of their rows as well."""
    every = tf.constant(boxes)

    def pick(number: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return {**batches.pick(number, rows), "boxes": tf.gather(every, rows)}

    return batches._replace(pick=pick)


def new_scene_generator(
    language_model: LanguageModel, settings: Scenes, picture_size: int, dtype: str = "float32"
) -> SceneGenerator:
    """A generator of these settings, untrained."""
    return SceneGenerator(
        language_model,
        picture_size=picture_size,
        things=settings.things,
        noise_size=settings.noise_size,
        components=settings.components,
        width=settings.width,
        canvas=settings.canvas,
        back_canvas=settings.back_canvas,
        features=settings.features,
        colours=settings.colours,
        back_colours=settings.back_colours,
        dtype=dtype,
    )
