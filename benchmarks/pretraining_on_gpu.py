"""Trains the storybook's language model and generator in minutes on a GPU, by Keras on its JAX backend.

The machine with the GPU needs JAX and no TensorFlow; what needs TensorFlow comes before and after, on any other:

    python -m benchmarks.pretraining_on_gpu pack CAPTIONS.npz
    KERAS_BACKEND=jax python -m benchmarks.pretraining_on_gpu train CAPTIONS.npz WEIGHTS.npz --seconds 120 600
    python -m benchmarks.pretraining_on_gpu unpack CAPTIONS.npz WEIGHTS.npz FOLDER

`pack` tokenizes the captions of scenes. `train` draws these scenes, and keeps all pictures and captions on the GPU; the
seconds are those of the language model and of the generator, compilation included. `unpack` writes `generator.keras`.
"""

import argparse
import json
import multiprocessing
import tempfile
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models import sampling
from models.language_network import LanguageNetwork
from models.language_training import GroundedLanguageModel
from models.learning.settings import LearningConfig
from models.optimizers import muon
from models.scene_network import SceneNetwork
from models.scene_training import LAST_LAYERS, Encoders, SceneTraining
from models.tensors import Tensor, to_float, to_uint8
from models.vocabulary import PAD, START
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import MOST
from tfx_pipeline.ingesting.annotations import Annotations, Box, boxes_of, tags_of

SETTINGS = Path(__file__).with_name("pretraining.toml")
SHARES = {"single": 0.3, "count": 0.12, "pair": 0.35, "triple": 0.2, "landscape": 0.03}
"""Of the kinds of scenes; three things come more often than in the data set, since they are learned last."""
FINE, SMALL = 256, 16
"""Sides of the pictures that the generator and the language model learn from."""
VERSIONS = 2
"""Captions of a scene in either language; as many again have unknown words."""
UNKNOWN, BEHEADED = 0.3, 0.1
"""Shares of the captions that are read with unknown words, and without their first pieces."""
BATCHES = (256, 64)
STEPS = 40_000
"""About as many as a large GPU takes of the generator's in ten minutes."""


class Pack(NamedTuple):
    """What is known of the scenes before they are drawn.

    Attributes:
        vocabulary: The pieces of their captions.
        ids: int16[n, 4 `VERSIONS`, t], captions in two languages by turns, then the same with unknown words.
        targets: The same with PAD for the pieces of unknown words.
    """

    vocabulary: list[str]
    ids: NDArray[np.int16]
    targets: NDArray[np.int16]


class Data(NamedTuple):
    """What the trainings read, row by row; `image` is as fine as `FINE`, `small` as `SMALL`."""

    ids: Tensor
    targets: Tensor
    image: Tensor
    small: Tensor
    boxes: Tensor
    tags: Tensor
    embedding: Tensor


def settings() -> LearningConfig:
    """The settings of the pretrained weights."""
    return LearningConfig.model_validate(tomllib.loads(SETTINGS.read_text(encoding="utf-8")))


def scenes(numbers: tuple[int, int]) -> Iterator[tuple[Scene, list[str]]]:
    """The scenes from a number on, (first, count), and the captions of each."""
    start, count = numbers
    for number, each in enumerate(sample(count, 0, shares=SHARES, start=start), start):
        rng = np.random.default_rng([1, number])
        pairs = [each.captions, *(captions(each.scene, rng) for _ in range(VERSIONS - 1))]
        yield each.scene, [text for pair in pairs for text in (pair.english, pair.chinese)]


def split(count: int, size: int = 500) -> list[tuple[int, int]]:
    """Numbers in batches, as (first, count)."""
    return [(start, min(size, count - start)) for start in range(0, count, size)]


def pack(file: Path, count: int) -> None:
    """Tokenize the captions of so many scenes."""
    import tensorflow as tf

    from benchmarks.quality.drawing import vocabulary_of
    from models.learning.inputs import unknown_words, with_unknown_words
    from models.text import Tokenizer

    config = settings()
    with multiprocessing.get_context("spawn").Pool() as pool:
        texts = [text for part in pool.imap(texts_of, split(count)) for text in part]
    vocabulary, length = vocabulary_of(texts), config.data.caption_length
    ids = Tokenizer(vocabulary, length).tokenize(tf.constant(texts))
    unknown = unknown_words(vocabulary, 1.0, ids.numpy())
    if unknown is None:
        raise AssertionError("A share of 1 always has unknown words.")
    tf.random.set_seed(config.seed)
    read, targets = (each[:, :length] for each in with_unknown_words(ids, unknown))
    shape = [count, 2 * VERSIONS, length]
    whole = ids.numpy().reshape(shape)
    arrays = (np.concatenate([whole, each.numpy().reshape(shape)], axis=1) for each in (read, targets))
    np.savez_compressed(file, np.array(json.dumps(vocabulary)), *(each.astype(np.int16) for each in arrays))


def texts_of(numbers: tuple[int, int]) -> list[str]:
    """The captions of scenes, one after the other."""
    return [text for _, texts in scenes(numbers) for text in texts]


def unpacked(file: Path) -> Pack:
    """What `pack` wrote."""
    with np.load(file) as saved:
        return Pack(json.loads(str(saved["arr_0"])), saved["arr_1"], saved["arr_2"])


def draw(folder: Path, numbers: tuple[int, int]) -> list[Annotations]:
    """Draw scenes into `pictures.npy` of a folder, from a number on, and say what they show."""
    pictures, annotations = np.load(folder / "pictures.npy", mmap_mode="r+"), []
    for number, (scene, _) in enumerate(scenes(numbers), numbers[0]):
        pictures[number] = render(scene, FINE)
        annotations.append(annotations_of(scene))
    return annotations


def annotations_of(scene: Scene) -> Annotations:
    """Where and what the figures of a scene are, and its scenery."""
    boxes = tuple(Box(*box) for box in scene.boxes)
    return Annotations(boxes=boxes, categories=tuple(map(tuple, scene.tags)), tags=tuple(scene.scenery))


def drawn(known: Pack, folder: Path) -> Data:
    """Draw the scenes on all cores; the embeddings are those of no language model yet, zeros."""
    count = len(known.ids)
    np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, (count, FINE, FINE, 3)).flush()
    with multiprocessing.get_context("spawn").Pool() as pool:
        annotations = [each for part in pool.imap(partial(draw, folder), split(count)) for each in part]
    image = np.load(folder / "pictures.npy", mmap_mode="r")
    fineness = FINE // SMALL
    small = [to_uint8(ops.average_pool(to_float(image[s : s + n]), fineness, fineness)) for s, n in split(count)]
    boxes, tags = boxes_of(annotations, MOST), tags_of(annotations, MOST)
    embedding = np.zeros([count, known.ids.shape[1], 0], np.float16)
    return Data(known.ids, known.targets, image, np.concatenate(small), boxes, tags, embedding)


def train(file: Path, out: Path, seconds: tuple[float, float], *, batches: tuple[int, int] = BATCHES) -> None:
    """Train the language model and the generator for so many seconds, and write the weights of both."""
    config, known = settings(), unpacked(file)
    keras.utils.set_random_seed(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        data = drawn(known, Path(folder))
        language_model = LanguageNetwork(
            known.vocabulary, length=config.data.caption_length, **config.language.architecture
        )
        learn_to_read(data, language_model, config, seconds=seconds[0], batch_size=batches[0])
        data = data._replace(embedding=embedded(language_model, known.ids))
        generator = learn_to_draw(data, language_model, config, seconds=seconds[1], batch_size=batches[1])
    np.savez(out, *(np.asarray(weight, np.float16) for weight in generator.get_weights()))


def learn_to_read(
    data: Data, model: LanguageNetwork, config: LearningConfig, *, seconds: float, batch_size: int
) -> None:
    """Train the language model."""
    training = GroundedLanguageModel(model, picture_size=SMALL, tags=data.tags.shape[-1])
    optimizer = muon(config.language.learning_rate, last_layers=["next_piece", "tags"], average=0.998)
    training.compile(optimizer=optimizer)
    spend(training, read_batch, data._replace(image=data.image[:0]), seconds=seconds, batch_size=batch_size)


def learn_to_draw(
    data: Data, language_model: LanguageNetwork, config: LearningConfig, *, seconds: float, batch_size: int
) -> SceneNetwork:
    """Train the generator."""
    asked, size = config.drawing.scenes, config.data.picture_size
    generator = SceneNetwork(language_model, picture_size=size, dtype="mixed_bfloat16", **asked.architecture)
    generator.mixer.adapt(data.embedding[:10_000, 0].astype(np.float32))
    training = SceneTraining(
        generator,
        Encoders.of(generator, dtype=generator.dtype_policy),
        steps=STEPS,
        fineness=FINE // size,
        kl_weight=asked.kl_weight,
        tags=data.tags.shape[-1],
        window=size,
        coarse=1,
    )
    training.compile(optimizer=muon(asked.learning_rate, last_layers=LAST_LAYERS, average=0.999))
    spend(training, drawn_batch, data, seconds=seconds, batch_size=batch_size)
    return generator


def spend(training: Any, pick: Any, data: Data, *, seconds: float, batch_size: int) -> None:
    """Train for so many seconds, with all data on the GPU."""
    import jax

    from benchmarks.timed import fit_for

    like = Data(*(jax.ShapeDtypeStruct(each.shape, each.dtype) for each in data))
    total = len(data.ids)
    print(fit_for(training, pick, lambda: data, like, total=total, batch_size=batch_size, seconds=seconds), flush=True)


def read_batch(data: Data, number: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """What the language model learns from: one caption of each row."""
    plain, size = data.ids.shape[1] // 2, rows.shape[0]
    chances = sampling.uniform([4, size], sampling.pair(number, 1))
    version = ops.cast(chances[0] * plain, "int32") + plain * ops.cast(chances[1] < UNKNOWN, "int32")
    ids, targets = (beheaded(ops.cast(each[rows, version], "int32"), chances[2:]) for each in (data.ids, data.targets))
    return {
        "ids": ids,
        "targets": targets,
        "all_ids": ops.cast(data.ids[rows, :plain], "int32"),
        "image": data.small[rows],
        "has_picture": ops.ones([size]),
        "tags": data.tags[rows],
    }


def beheaded(ids_BxT: Tensor, chances_2xB: Tensor) -> Tensor:
    """Captions, a share of them without some of their first pieces, int32[b, t]; one piece is always left."""
    rows, length = ids_BxT.shape
    pieces = ops.sum(ops.cast(ids_BxT != PAD, "float32"), axis=1) - 2
    taken = ops.where(chances_2xB[0] < BEHEADED, ops.cast(chances_2xB[1] * pieces, "int32"), 0)
    padded = ops.pad(ids_BxT, [[0, 0], [0, length]], constant_values=PAD)
    rest = ops.take_along_axis(padded, np.arange(1, length)[None] + taken[:, None], axis=1)
    return ops.concatenate([ops.full([rows, 1], START, "int32"), rest], axis=1)


def drawn_batch(data: Data, number: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """What the generator learns from: pictures with one embedding each."""
    chances = sampling.uniform([rows.shape[0]], sampling.pair(number, 2))
    version = ops.cast(chances * data.embedding.shape[1], "int32")
    embedding = ops.cast(data.embedding[rows, version], "float32")
    return {"image": data.image[rows], "embedding": embedding, "boxes": data.boxes[rows], "tags": data.tags[rows]}


def embedded(model: LanguageNetwork, ids: NDArray[np.int16]) -> NDArray[np.float16]:
    """The embeddings of captions, float16[n, k, d]."""
    import jax

    embed = jax.jit(lambda rows: model(rows)[1].astype(np.float16))
    flat = ids.reshape(-1, ids.shape[-1]).astype(np.int32)
    parts = [np.asarray(embed(flat[start : start + count])) for start, count in split(len(flat), 4000)]
    return np.concatenate(parts).reshape(*ids.shape[:2], -1)


def unpack(file: Path, weights: Path, folder: Path) -> None:
    """Write `generator.keras`, with the weights that `train` wrote."""
    from models.learning.recipes import new_language_model
    from models.learning.scenes import new_scene_generator

    config, known = settings(), unpacked(file)
    language_model = new_language_model(known.vocabulary, config.language, config.data.caption_length)
    generator = new_scene_generator(language_model, config.drawing.scenes, config.data.picture_size)
    with np.load(weights) as saved:
        generator.set_weights([saved[name].astype(np.float32) for name in saved.files])
    language_model.fit_unigram(known.ids[:, : 2 * VERSIONS].reshape(-1, known.ids.shape[-1]).astype(np.int64))
    generator.save(folder / "generator.keras")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    packing = steps.add_parser("pack", help="tokenize captions")
    packing.add_argument("captions", type=Path)
    packing.add_argument("--count", type=int, default=50_000, help="scenes; 200 kB of memory each")
    training = steps.add_parser("train", help="train on a GPU")
    training.add_argument("captions", type=Path)
    training.add_argument("weights", type=Path)
    training.add_argument("--seconds", nargs=2, type=float, default=(120, 600), help="of either model")
    training.add_argument("--batches", nargs=2, type=int, default=BATCHES, help="captions and pictures a step")
    unpacking = steps.add_parser("unpack", help="write generator.keras")
    for name in ("captions", "weights", "folder"):
        unpacking.add_argument(name, type=Path)
    asked = parser.parse_args()
    if asked.step == "pack":
        pack(asked.captions, asked.count)
    elif asked.step == "train":
        train(asked.captions, asked.weights, asked.seconds, batches=asked.batches)
    else:
        unpack(asked.captions, asked.weights, asked.folder)


if __name__ == "__main__":
    main()
