"""Trains the storybook's language model and generator in minutes on a GPU, by Keras on its JAX backend.

The machine with the GPU needs JAX and no TensorFlow; what needs TensorFlow comes before and after, on any other:

    python -m benchmarks.pretraining_on_gpu pack CAPTIONS.npz
    KERAS_BACKEND=jax python -m benchmarks.pretraining_on_gpu train CAPTIONS.npz FOLDER --seconds 150 300 60
    python -m benchmarks.pretraining_on_gpu unpack CAPTIONS.npz FOLDER

`pack` tokenizes the captions of scenes. `train` draws these scenes, and keeps all pictures and captions on the GPU; the
seconds are those of the language model, of the generator and of the generator's prior alone, compilation included. What
the folder already holds is not made again. `unpack` writes `generator.keras` there.
"""

import argparse
import json
import multiprocessing
import os
import tomllib
from collections.abc import Iterator
from functools import partial
from multiprocessing.pool import Pool
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
from models.scene_training import LAST_LAYERS, Encoders, PriorTraining, SceneTraining
from models.tensors import Tensor
from models.vocabulary import PAD, RESERVED, START
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import MOST
from tfx_pipeline.ingesting.annotations import Annotations, Box, boxes_of, tags_of

SETTINGS = Path(__file__).with_name("pretraining.toml")
PICTURES, UNFINISHED, DESCRIBED = "pictures.npy", "unfinished.npy", "described.npz"
LANGUAGE, GENERATOR, PRIOR = "language.npz", "generator.npz", "prior.npz"
SHARES = {"single": 0.3, "count": 0.12, "pair": 0.35, "triple": 0.2, "landscape": 0.03}
"""Of the kinds of scenes; three things come more often than in the data set, since they are learned last."""
FINE, SMALL = 256, 16
"""Sides of the pictures that the generator and the language model learn from."""
VERSIONS = 2
"""Captions of a scene in either language."""
UNKNOWN, BEHEADED = 0.3, 0.1
"""Shares of the captions that are read with unknown words, and without their first pieces."""
LONGEST_WORD = 8
"""Maximum number of pieces of an unknown word."""
BATCHES = (512, 64, 2048)
"""Captions, pictures and readings a step."""
STEPS = 40_000
"""About as many as a large GPU takes of the generator's in five minutes."""
READINGS = 4
"""How often the prior reads a picture, each time with one of its captions."""


class Pack(NamedTuple):
    """What is known of the scenes before they are drawn.

    Attributes:
        vocabulary: The pieces of their captions.
        ids: int16[n, 2 `VERSIONS`, t], captions in two languages by turns.
        letters: int32[m], the pieces that spell unknown words; the first begins them.
    """

    vocabulary: list[str]
    ids: NDArray[np.int16]
    letters: NDArray[np.int32]


class Data(NamedTuple):
    """What the trainings read, row by row; `image` is as fine as `FINE`, `small` as `SMALL`.

    The first half of the embeddings are those of `ids`; the second half are those of `ids` with unknown words.
    """

    ids: Tensor
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
    from models.learning.inputs import unknown_words
    from models.text import Tokenizer

    config = settings()
    with multiprocessing.get_context("spawn").Pool() as pool:
        texts = [text for part in pool.imap(texts_of, split(count)) for text in part]
    vocabulary, length = vocabulary_of(texts), config.data.caption_length
    ids = Tokenizer(vocabulary, length).tokenize(tf.constant(texts)).numpy()
    unknown = unknown_words(vocabulary, 1.0, ids)
    if unknown is None:
        raise AssertionError("A share of 1 always has unknown words.")
    arrays = ids.reshape(count, 2 * VERSIONS, length).astype(np.int16), np.array(unknown.letters, np.int32)
    np.savez_compressed(file, np.array(json.dumps(vocabulary)), *arrays)


def texts_of(numbers: tuple[int, int]) -> list[str]:
    """The captions of scenes, one after the other."""
    return [text for _, texts in scenes(numbers) for text in texts]


def unpacked(file: Path) -> Pack:
    """What `pack` wrote."""
    with np.load(file) as saved:
        return Pack(json.loads(str(saved["arr_0"])), saved["arr_1"], saved["arr_2"])


def draw(folder: Path, numbers: tuple[int, int]) -> None:
    """Draw scenes into `UNFINISHED` of a folder, from a number on."""
    pictures = np.load(folder / UNFINISHED, mmap_mode="r+")
    for number, (scene, _) in enumerate(scenes(numbers), numbers[0]):
        pictures[number] = render(scene, FINE)


def describe(numbers: tuple[int, int]) -> list[tuple[NDArray[np.uint8], Annotations]]:
    """Small pictures of scenes, and what they show."""
    return [(render(scene, SMALL), annotations_of(scene)) for scene, _ in scenes(numbers)]


def annotations_of(scene: Scene) -> Annotations:
    """Where and what the figures of a scene are, and its scenery."""
    boxes = tuple(Box(*box) for box in scene.boxes)
    return Annotations(boxes=boxes, categories=tuple(map(tuple, scene.tags)), tags=tuple(scene.scenery))


def described(pool: Pool, folder: Path, ids: NDArray[np.int16]) -> Data:
    """The data without large pictures and embeddings, of which there are none yet."""
    count, file = len(ids), folder / DESCRIBED
    if not file.exists():
        rows = [row for part in pool.imap(describe, split(count)) for row in part]
        small, annotations = zip(*rows, strict=True)
        np.savez(file, *map(np.array, (small, boxes_of(annotations, MOST), tags_of(annotations, MOST))))
    with np.load(file) as saved:
        small, boxes, tags = (saved[name] for name in saved.files)
    nothing = np.zeros([count, 4 * VERSIONS, 0], np.float16)
    return Data(ids, np.zeros([count, 0], np.uint8), small, boxes, tags, nothing)


def train(
    file: Path, folder: Path, seconds: tuple[float, float, float], *, batches: tuple[int, int, int] = BATCHES
) -> None:
    """Train the language model, the generator and its prior for so many seconds, and write the weights of each."""
    config, known = settings(), unpacked(file)
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(config.seed)
    language_model = LanguageNetwork(
        known.vocabulary, length=config.data.caption_length, **config.language.architecture
    )
    count = len(known.ids)
    # One core is left to the training.
    with multiprocessing.get_context("spawn").Pool(max(1, (os.cpu_count() or 2) - 1)) as pool:
        data = described(pool, folder, known.ids)
        drawn = (folder / PICTURES).exists()
        if not drawn:
            np.lib.format.open_memmap(folder / UNFINISHED, "w+", np.uint8, (count, FINE, FINE, 3)).flush()
        drawing = pool.map_async(partial(draw, folder), [] if drawn else split(count), chunksize=1)
        if (folder / LANGUAGE).exists():
            load(language_model, folder / LANGUAGE)
        else:
            learn_to_read(data, known, language_model, config, seconds=seconds[0], batch_size=batches[0])
            save(language_model, folder / LANGUAGE)
        drawing.get()
    if not drawn:
        (folder / UNFINISHED).rename(folder / PICTURES)
    data = data._replace(image=np.load(folder / PICTURES, mmap_mode="r"), embedding=embedded(language_model, known))
    training = scene_training(data, language_model, config)
    spend(training, drawn_batch, data, seconds=seconds[1], batch_size=batches[1])
    save(training.generator, folder / GENERATOR)
    learn_prior(training, data, config, seconds=seconds[2], batch_size=batches[2])
    save(training.generator, folder / PRIOR)


def learn_to_read(
    data: Data, known: Pack, model: LanguageNetwork, config: LearningConfig, *, seconds: float, batch_size: int
) -> None:
    """Train the language model."""
    training = GroundedLanguageModel(
        model, picture_size=SMALL, tag_weight=config.language.tag_weight, tags=data.tags.shape[-1]
    )
    optimizer = muon(config.language.learning_rate, last_layers=["next_piece", "tags"], average=0.998)
    training.compile(optimizer=optimizer)
    pick = partial(read_batch, letters=known.letters)
    spend(training, pick, data, seconds=seconds, batch_size=batch_size)


def scene_training(data: Data, language_model: LanguageNetwork, config: LearningConfig) -> SceneTraining:
    """The training of a new generator."""
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
    return training


def learn_prior(
    training: SceneTraining, data: Data, config: LearningConfig, *, seconds: float, batch_size: int
) -> None:
    """Train the prior alone, on the encodings of each picture with several of its captions."""
    alone = PriorTraining(training.generator.prior, seed=config.seed)
    alone.compile(optimizer=muon(config.drawing.scenes.learning_rate, last_layers=LAST_LAYERS, average=0.999))
    spend(alone, rows_of, readings(training, data), seconds=seconds, batch_size=batch_size)


def readings(training: SceneTraining, data: Data, size: int = 500) -> dict[str, NDArray[Any]]:
    """What `SceneTraining.read` reads off all pictures."""
    import jax

    variables = training.variables
    arrays = jax.device_put(data)

    @jax.jit
    def read(values: list[Tensor], arrays: Data, number: Tensor, rows: Tensor) -> dict[str, Tensor]:
        mapping = [*zip(variables, values, strict=True), (training.optimizer.iterations, number)]
        with keras.StatelessScope(state_mapping=mapping):
            return training.read(drawn_batch(arrays, number, rows))

    values = [each.value for each in variables]
    size = min(size, len(data.ids))
    orders = (np.random.default_rng(number).permutation(len(data.ids)) for number in range(READINGS))
    batches = [order[start : start + size] for order in orders for start in range(0, len(order) - size + 1, size)]
    parts = [
        {name: np.asarray(part) for name, part in read(values, arrays, np.int32(number), rows.astype(np.int32)).items()}
        for number, rows in enumerate(batches)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows_of(read: dict[str, Tensor], _: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """What the prior learns from."""
    return {name: values[rows] for name, values in read.items()}


def save(model: keras.Model, file: Path) -> None:
    """Write weights in half precision."""
    np.savez(file, *(np.asarray(weight, np.float16) for weight in model.get_weights()))


def load(model: keras.Model, file: Path) -> None:
    """Read the weights that `save` wrote."""
    with np.load(file) as saved:
        model.set_weights([saved[name].astype(np.float32) for name in saved.files])


def spend(training: Any, pick: Any, data: Any, *, seconds: float, batch_size: int) -> None:
    """Train for so many seconds, with all data on the GPU."""
    import jax

    from benchmarks.timed import fit_for

    like = jax.tree.map(lambda each: jax.ShapeDtypeStruct(each.shape, each.dtype), data)
    total = len(jax.tree.leaves(data)[0])
    print(fit_for(training, pick, lambda: data, like, total=total, batch_size=batch_size, seconds=seconds), flush=True)


def read_batch(data: Data, number: Tensor, rows: Tensor, *, letters: NDArray[np.int32]) -> dict[str, Tensor]:
    """What the language model learns from: one caption of each row."""
    versions, size = data.ids.shape[1], rows.shape[0]
    chances = sampling.uniform([4, size], sampling.pair(number, 1))
    version = ops.cast(chances[0] * versions, "int32")
    ids = beheaded(ops.cast(data.ids[rows, version], "int32"), chances[2:])
    read, targets = with_unknown_words(ids, letters, number)
    is_changed = (chances[1] < UNKNOWN)[:, None]
    return {
        "ids": ops.where(is_changed, read, ids),
        "targets": ops.where(is_changed, targets, ids),
        "all_ids": ops.cast(data.ids[rows], "int32"),
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


def with_unknown_words(ids_BxT: Tensor, letters: NDArray[np.int32], number: Tensor) -> tuple[Tensor, Tensor]:
    """Captions with some pieces replaced by unknown words, as `models.learning.inputs.with_unknown_words` makes them.

    Returns:
        The captions, int32[b, t], truncated where they would be longer; and the same with PAD for the pieces of unknown
        words.
    """
    rows, length = ids_BxT.shape
    chances = sampling.uniform([rows, length], sampling.pair(number, 3))
    is_unknown = (chances < sampling.uniform([rows, 1], sampling.pair(number, 4))) & (ids_BxT >= len(RESERVED))
    places = np.arange(LONGEST_WORD)
    chosen = sampling.uniform([rows, length, LONGEST_WORD], sampling.pair(number, 5)) * len(letters) * (places > 0)
    ends = 2 + (LONGEST_WORD - 1) * sampling.uniform([rows, length, 1], sampling.pair(number, 6))
    words = ops.where(places < ops.floor(ends), ops.take(letters, ops.cast(chosen, "int32")), PAD)
    whole = ops.pad(ids_BxT[..., None], [[0, 0], [0, 0], [0, LONGEST_WORD - 1]], constant_values=PAD)
    read = ops.reshape(ops.where(is_unknown[..., None], words, whole), [rows, -1])
    learned = ops.reshape(ops.where(is_unknown[..., None], PAD, whole), [rows, -1])
    # What is not padding moves to the front in its order.
    order = ops.argsort(ops.where(read == PAD, read.shape[1], 0) + np.arange(read.shape[1]), axis=1)[:, :length]
    return ops.take_along_axis(read, order, axis=1), ops.take_along_axis(learned, order, axis=1)


def drawn_batch(data: Data, number: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """What the generator learns from: pictures with one embedding each."""
    chances = sampling.uniform([2, rows.shape[0]], sampling.pair(number, 2))
    plain = data.embedding.shape[1] // 2
    version = ops.cast(chances[0] * plain, "int32") + plain * ops.cast(chances[1] < UNKNOWN, "int32")
    embedding = ops.cast(data.embedding[rows, version], "float32")
    return {"image": data.image[rows], "embedding": embedding, "boxes": data.boxes[rows], "tags": data.tags[rows]}


def embedded(model: LanguageNetwork, known: Pack) -> NDArray[np.float16]:
    """The embeddings of captions as they are and with unknown words, float16[n, 4 `VERSIONS`, d]."""
    import jax

    @jax.jit
    def embed(rows: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        unknown, _ = with_unknown_words(rows, known.letters, number)
        return tuple(model(each)[1].astype(np.float16) for each in (rows, unknown))

    flat = known.ids.reshape(-1, known.ids.shape[-1]).astype(np.int32)
    parts = [embed(flat[start : start + count], np.int32(start)) for start, count in split(len(flat), 4000)]
    kinds = (np.concatenate([np.asarray(each) for each in kind]) for kind in zip(*parts, strict=True))
    return np.concatenate([kind.reshape(*known.ids.shape[:2], -1) for kind in kinds], axis=1)


def unpack(file: Path, folder: Path) -> None:
    """Write `generator.keras`, with the weights that `train` wrote."""
    from models.learning.recipes import new_language_model
    from models.learning.scenes import new_scene_generator

    config, known = settings(), unpacked(file)
    language_model = new_language_model(known.vocabulary, config.language, config.data.caption_length)
    generator = new_scene_generator(language_model, config.drawing.scenes, config.data.picture_size)
    load(generator, folder / PRIOR)
    ids = known.ids.reshape(-1, known.ids.shape[-1]).astype(np.int64)
    language_model.fit_unigram(ids)
    language_model.fit_exclusive(ids)
    generator.save(folder / "generator.keras")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    packing = steps.add_parser("pack", help="tokenize captions")
    packing.add_argument("captions", type=Path)
    packing.add_argument("--count", type=int, default=140_000, help="scenes; 200 kB of memory each")
    training = steps.add_parser("train", help="train on a GPU")
    training.add_argument("captions", type=Path)
    training.add_argument("folder", type=Path)
    training.add_argument("--seconds", nargs=3, type=float, default=(150, 300, 60), help="of each training")
    training.add_argument(
        "--batches", nargs=3, type=int, default=BATCHES, help="captions, pictures and readings a step"
    )
    unpacking = steps.add_parser("unpack", help="write generator.keras")
    for name in ("captions", "folder"):
        unpacking.add_argument(name, type=Path)
    asked = parser.parse_args()
    if asked.step == "pack":
        pack(asked.captions, asked.count)
    elif asked.step == "train":
        train(asked.captions, asked.folder, asked.seconds, batches=asked.batches)
    else:
        unpack(asked.captions, asked.folder)


if __name__ == "__main__":
    main()
