"""Packs data for training the network `photo` on another machine, and reads the weights back.

    python -m benchmarks.quality.photo_packing pack DATA FOLDER
    python -m benchmarks.quality.photo_packing unpack FOLDER

DATA is a folder of photographs of 32x32 pixels whose captions are their classes. FOLDER receives the pack that
`photo_program.py` trains on, and the language model that encoded the captions. Once FOLDER has the trained weights,
`unpack` writes them as a `generator.keras`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.quality.classes import GENERATOR, PHOTO
from benchmarks.quality.classifier import is_held_out, read_labelled
from benchmarks.quality.drawing import captioned, no_lines
from benchmarks.quality.photo_program import WEIGHTS, own_weights
from models.language_model import LanguageModel
from models.learning.fit import fit
from models.learning.photos import averaging_of, new_photo_generator, of_critic, of_generator, of_training
from models.learning.recipes import learn_language
from models.learning.settings import LearningConfig
from models.photo_generator import PhotoGenerator
from models.saving import load_model
from tfx_pipeline.datasets.folder import read_folder

PACK, READER = "pack.npz", "language_model.keras"
CONFIG = LearningConfig.model_validate(PHOTO.gpu)
"""The number of steps in it is not used, because `photo_program.py` trains for a given time."""


def pack(data: Path, folder: Path, config: LearningConfig = CONFIG) -> None:
    """Train a language model on the captions, and write everything that the training of the generator needs.

    Args:
        data: Folder of photographs at the size of training, whose captions are classes.
        folder: The folder to write to.
        config: Settings, of which `data`, `language` and `drawing` are used.

    Raises:
        DataSetError: The folder cannot be read, or its captions are not classes.
    """
    size, settings = config.data.picture_size, config.drawing.photo
    seen, _ = read_labelled(data, size=size)
    entries = read_folder(data).entries
    files = [data / entries[row].file_name for row in np.flatnonzero(~is_held_out(len(entries)))]
    language_model = learn_to_read(seen.pictures, [seen.classes[label] for label in seen.labels], config)
    encoded = [np.frombuffer(file.read_bytes(), np.uint8) for file in files]
    folder.mkdir(parents=True, exist_ok=True)
    language_model.save(folder / READER)
    of_all = {
        "seed": config.seed,
        "slots": config.language.slots,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "average": averaging_of(settings.steps),
        "generator": of_generator(settings),
        "critic": of_critic(settings),
        "training": of_training(settings),
    }
    np.savez_compressed(
        folder / PACK,
        encoded=np.concatenate(encoded),
        ends=np.cumsum([len(each) for each in encoded]),
        label=seen.labels.astype(np.int32),
        embeddings=language_model.embed_texts(tf.constant(seen.classes)).numpy(),
        settings=json.dumps(of_all),
    )


def learn_to_read(pictures: np.ndarray, captions: Sequence[str], config: LearningConfig) -> LanguageModel:
    """A language model, trained on captions and their pictures, uint8[n, s, s, 3]."""
    keras.utils.set_random_seed(config.seed)
    arrays, vocabulary = captioned(pictures, [(caption,) for caption in captions], config)
    with tempfile.TemporaryDirectory() as kept:
        bound = partial(fit, checkpoints=Path(kept, "checkpoints"), run_dir=Path(kept, "run"))
        return learn_language(arrays, no_lines(config), vocabulary, config, fit=bound)


def unpack(folder: Path, config: LearningConfig = CONFIG) -> PhotoGenerator:
    """The trained generator, with the language model of its pack.

    Args:
        folder: The folder of `pack`, with the weights that `photo_program.py` wrote.
        config: The settings of the pack.
    """
    language_model = load_model(folder / READER)
    assert isinstance(language_model, LanguageModel)
    generator = new_photo_generator(language_model, config.drawing.photo, config.data.picture_size)
    with np.load(folder / WEIGHTS) as trained:
        for number, weight in enumerate(own_weights(generator)):
            weight.assign(trained[f"arr_{number}"])
    return generator


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing, unpacking = commands.add_parser("pack"), commands.add_parser("unpack")
    packing.add_argument("data", type=Path)
    for each in (packing, unpacking):
        each.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "pack":
        pack(options.data, options.folder)
    else:
        keras.saving.save_model(unpack(options.folder), options.folder / GENERATOR)


if __name__ == "__main__":
    main()
