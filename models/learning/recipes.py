"""Training recipes, from arrays to Keras models, shared by the pipeline's Trainers and the quality bench."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.damage import damage
from models.device import device_policy
from models.drawing import Drawer
from models.exclusion import MANY, some
from models.language_model import LanguageModel
from models.language_training import GroundedLanguageModel
from models.learning.fit import GRID_ROWS, Cosine, Fit
from models.learning.inputs import Captioned, caption_batches, is_present, picture_batches, unknown_words
from models.learning.networks import NETWORKS
from models.learning.optimizing import averaging_muon
from models.learning.settings import Language, LearningConfig
from models.learning.stored import parts
from models.optimizers import muon
from models.restorer import Restorer
from models.restorer_training import RestorerTraining
from models.tensors import to_float, to_uint8


def learn_language(
    data: Captioned, lines: NDArray[np.int64], vocabulary: list[str], config: LearningConfig, *, fit: Fit
) -> LanguageModel:
    """Train a language model to continue and to encode captions.

    Args:
        data: Captioned pictures.
        lines: Ids of texts without a picture, int64[n, t].
        vocabulary: The pieces, the reserved ones first.
        config: The settings; uses `data` and `language`.
        fit: The training loop.

    Raises:
        ValueError: The number of tagged parts of a picture differs from the number of slots of an embedding.
    """
    settings = config.language
    if data.tags is not None and data.tags.shape[1] != settings.slots:
        raise ValueError(
            f"{data.tags.shape[1]} parts of each picture have tags, and captions are read into {settings.slots} slots: "
            f"set language.slots to {data.tags.shape[1]}."
        )
    model = new_language_model(vocabulary, settings, config.data.caption_length)
    model.set_unigram(piece_counts(data.captions, lines, len(vocabulary)))
    model.fit_exclusive(np.concatenate([present(some(data.captions, MANY)), lines]))
    training = GroundedLanguageModel(
        model,
        picture_size=config.data.picture_size,
        word_weight=settings.word_weight,
        picture_weight=settings.picture_weight,
        tag_weight=settings.tag_weight,
        tags=0 if data.tags is None else data.tags.shape[-1],
    )
    optimizer = averaging_muon(settings.learning_rate, settings.steps, last_layers=["next_piece", "tags"])
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_dense)
    batches = caption_batches(
        data,
        lines,
        batch_size=settings.batch_size,
        seed=config.seed,
        unknown=unknown_words(vocabulary, config.data.unknown_words, data.captions, lines),
    )
    fit(training, batches, label="language_model", steps=settings.steps)
    return model


def piece_counts(captions: NDArray[np.int64], lines: NDArray[np.int64], vocabulary_size: int) -> NDArray[np.int64]:
    """Counts of pieces in captions, int64[n, k, t], without missing ones, and lines, int64[m, t]: int64[v]."""
    counts = np.bincount(lines.ravel(), minlength=vocabulary_size)
    for part in parts(len(captions)):
        ids = captions[part]
        counts += np.bincount(ids[is_present(ids)].ravel(), minlength=vocabulary_size)
    return counts


def present(captions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Captions that are not missing, int64[n, k, t] -> int64[m, t]."""
    return captions[is_present(captions)]


def learn_to_draw(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> Drawer:
    """Train a generator, the network that `drawing.network` names, on captioned pictures.

    Args:
        data: Captioned pictures in the resolution of the network; see `models.learning.networks.Network.fineness`.
        language_model: Encodes the captions; it is not trained.
        config: The settings; uses `data` and `drawing`.
        fit: The training loop.

    Raises:
        ValueError: The pictures have another size.
    """
    network = NETWORKS[config.drawing.network]
    side, wanted = data.image.shape[1], config.data.picture_size * network.fineness
    if side != wanted:
        raise ValueError(f"The pictures are {side} pixels wide; the network {network.name} learns from {wanted}.")
    return network.learn(data, language_model, config, fit=fit)


def learn_to_restore(image: NDArray[np.uint8], config: LearningConfig, *, fit: Fit) -> Restorer:
    """Train a restorer on clean pictures, which the training damages.

    Args:
        image: uint8[n, s, s, 3].
        config: The settings; uses `restoration`.
        fit: The training loop.
    """
    settings = config.restoration
    shape: dict[str, Any] = {"widths": settings.widths, "depth": settings.depth, "half_depth": settings.half_depth}
    trained = Restorer(**shape, dtype=device_policy().precision)
    training = RestorerTraining(trained, psnr_weight=settings.psnr_weight, ssim_weight=settings.ssim_weight)
    optimizer = muon(Cosine(settings.learning_rate, settings.steps, floor=0.01))
    training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
    clean = to_float(tf.constant(image[:GRID_ROWS]))
    damaged = damage(clean, tf.range(len(clean), dtype=tf.int64))

    def samples() -> NDArray[np.uint8]:
        return to_uint8(tf.concat([damaged.pictures, trained.repair(damaged), clean], 0)).numpy()

    batches = picture_batches(image, batch_size=settings.batch_size, seed=config.seed)
    fit(training, batches, label="restorer", steps=settings.steps, samples=samples)
    restorer = Restorer(**shape)
    restorer.set_weights(trained.get_weights())
    return restorer


def new_language_model(vocabulary: Sequence[str], settings: Language, length: int) -> LanguageModel:
    """A new, untrained language model with these settings."""
    return LanguageModel(vocabulary, length=length, **settings.architecture)
