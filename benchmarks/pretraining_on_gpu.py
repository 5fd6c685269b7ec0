"""Trains the storybook's language model and generator in a few minutes on a GPU, by Keras on its JAX backend.

A machine that has JAX and no TensorFlow can run it. `pack` tokenizes captions beforehand, which needs TensorFlow;
`train` draws the pictures of the same scenes, keeps all of them on the GPU and spends the given seconds; `unpack` writes
the weights as Keras files, which needs TensorFlow again:

    python -m benchmarks.pretraining_on_gpu pack captions.npz --count 60000
    KERAS_BACKEND=jax python -m benchmarks.pretraining_on_gpu train captions.npz weights.npz --seconds 60 330
    python -m benchmarks.pretraining_on_gpu unpack captions.npz weights.npz FOLDER
"""

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.language_network import LanguageNetwork
from models.language_training import GroundedLanguageModel
from models.learning.settings import LearningConfig
from models.optimizers import muon
from models.part_prior import NoiseSizes
from models.scene_encoders import BackEncoder, LookEncoder, PlaceEncoder
from models.scene_network import SceneNetwork
from models.scene_training import Encoders, SceneTraining
from models.tensors import to_float, to_uint8
from models.training import Training
from models.vocabulary import PAD, START
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import MOST
from tfx_pipeline.ingesting.annotations import Annotations, Box, boxes_of, tags_of

SETTINGS = Path(__file__).with_name("pretraining.toml")
FINE = 256
"""Side of the pictures that are drawn."""
VERSIONS = 2
"""Captions of each scene in either language; as many again have unknown words."""
SHARES = {"single": 0.3, "count": 0.12, "pair": 0.35, "triple": 0.2, "landscape": 0.03}
"""Of the kinds of scenes; three things are more often asked for than in the data set, since they are learned last."""
LAST_LAYERS = ["enter", "palette", "place", "ramps", "front_colour", "light", "moments", "tags", "_of"]


class Pack(NamedTuple):
    """What is known of the scenes before they are drawn.

    Attributes:
        vocabulary: The pieces of their captions.
        ids: int16[n, 4 `VERSIONS`, t], captions in two languages, then the same with unknown words.
        targets: The same with PAD for the pieces of unknown words.
    """

    vocabulary: list[str]
    ids: NDArray[np.int16]
    targets: NDArray[np.int16]


def scenes(numbers: tuple[int, int]) -> Iterator[tuple[Scene, list[str]]]:
    """The scenes from a number on, and their captions."""
    start, count = numbers
    for number, each in enumerate(sample(count, 0, withheld=False, shares=SHARES, start=start), start):
        rng = np.random.default_rng([1, number])
        told = [each.captions, *(captions(each.scene, rng) for _ in range(VERSIONS - 1))]
        yield each.scene, [text for pair in told for text in (pair.english, pair.chinese)]


def split(count: int, size: int = 500) -> list[tuple[int, int]]:
    """Numbers in batches, as (first, count)."""
    return [(start, min(size, count - start)) for start in range(0, count, size)]


def pack(file: Path, count: int) -> None:
    """Tokenize the captions of scenes."""
    import tensorflow as tf

    from benchmarks.quality.drawing import vocabulary_of
    from models.learning.inputs import unknown_words, with_unknown_words
    from models.text import Tokenizer

    config = settings()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        texts = [row for part in pool.imap(texts_of, split(count)) for row in part]
    vocabulary = vocabulary_of([text for row in texts for text in row])
    length = config.data.caption_length
    ids = Tokenizer(vocabulary, length).tokenize(tf.reshape(texts, [-1]))
    unknown = unknown_words(vocabulary, 1.0, ids.numpy())
    assert unknown is not None
    tf.random.set_seed(config.seed)
    read, targets = with_unknown_words(ids, unknown)
    shape = [count, 2 * VERSIONS, length]
    both = [np.concatenate([ids.numpy().reshape(shape), other[:, :length].numpy().reshape(shape)], axis=1) for other in (read, targets)]
    np.savez_compressed(file, *(each.astype(np.int16) for each in both), vocabulary=np.array(json.dumps(vocabulary)))


def texts_of(numbers: tuple[int, int]) -> list[list[str]]:
    """The captions of scenes."""
    return [texts for _, texts in scenes(numbers)]


def unpacked(file: Path) -> Pack:
    """What `pack` wrote."""
    with np.load(file) as saved:
        return Pack(json.loads(str(saved["vocabulary"])), saved["arr_0"], saved["arr_1"])


def settings() -> LearningConfig:
    """The settings of the pretrained weights."""
    return LearningConfig.model_validate(tomllib.loads(SETTINGS.read_text(encoding="utf-8")))


def drawn(folder: Path, numbers: tuple[int, int]) -> list[Annotations]:
    """Draw scenes into `pictures.npy` of a folder, from a number on, and say what they show."""
    start, _ = numbers
    pictures, annotations = np.load(folder / "pictures.npy", mmap_mode="r+"), []
    for number, (scene, _) in enumerate(scenes(numbers), start):
        pictures[number] = render(scene, FINE)
        boxes = tuple(Box(*box) for box in scene.boxes)
        annotations.append(Annotations(boxes=boxes, categories=tuple(map(tuple, scene.tags)), tags=tuple(scene.scenery)))
    return annotations


@dataclass
class Clock:
    """Trains until the time is up: the share of the time that is gone is the share of the steps that are done.

    Attributes:
        training: Compiled; its optimizer's schedule and its losses go by `steps`.
        steps: In which the schedule comes to its end.
        pick: From the data and a key to a batch.
        chunk: Steps that are compiled as one program.
    """

    training: Training
    steps: int
    pick: Callable[[dict[str, Any], Any], dict[str, Any]]
    chunk: int = 100
    program: Any = field(default=None)

    def __post_init__(self) -> None:
        self.training.optimizer.build(self.training.updates()[0].variables)

    @property
    def groups(self) -> list[list[keras.Variable]]:
        """The variables as a step takes them."""
        training, optimizer = self.training, self.training.optimizer
        return [
            training.trainable_variables,
            training.non_trainable_variables,
            optimizer.variables,
            training.metrics_variables,
        ]

    def compile(self, shapes: dict[str, Any]) -> None:
        """Compile for data of these shapes."""
        import jax

        def run(state: Any, data: dict[str, Any], key: Any) -> Any:
            def step(state: Any, key: Any) -> Any:
                losses, state = self.training.train_step(state, self.pick(data, key))
                return state, losses

            return jax.lax.scan(step, state, jax.random.split(key, self.chunk))

        state = tuple([jax.ShapeDtypeStruct(each.shape, each.dtype) for each in group] for group in self.groups)
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        self.program = jax.jit(run, donate_argnums=0).lower(state, shapes, key).compile()

    def spend(self, data: dict[str, Any], seconds: float, label: str) -> None:
        """Train for some seconds, and leave the averaged weights behind."""
        import jax

        state = tuple([each.value for each in group] for group in self.groups)
        place = next(i for i, each in enumerate(self.groups[2]) if each is self.training.optimizer.iterations)
        started, shown, gone = time.monotonic(), 0.0, 0.0
        for number in itertools.count():
            state, losses = self.program(state, data, jax.random.PRNGKey(number))
            values = {name: float(np.mean(each)) for name, each in losses.items()}
            gone = time.monotonic() - started
            if gone - shown > 15 or gone >= seconds:
                shown = gone
                rate = (number + 1) * self.chunk / gone
                print(f"{label} {gone:.0f} s, {rate:.0f} steps/s", *(f"{n} {v:.4f}" for n, v in values.items()), flush=True)
            if gone >= seconds:
                break
            clock = state[2][place]
            state[2][place] = jax.numpy.asarray(self.steps * gone / seconds, clock.dtype)
        for group, values_of in zip(self.groups, state, strict=True):
            for variable, value in zip(group, values_of, strict=True):
                variable.assign(value)
        self.training.optimizer.finalize_variable_values(self.training.updates()[0].variables)


def new_language_network(vocabulary: list[str], config: LearningConfig) -> LanguageNetwork:
    """A language model of the settings, untrained, without its tokenizer."""
    asked = config.language
    return LanguageNetwork(
        vocabulary,
        length=config.data.caption_length,
        token_size=asked.token_size,
        width=asked.width,
        depth=asked.depth,
        slots=asked.slots,
        slot_size=asked.slot_size,
        reading_depth=asked.reading_depth,
        reading_width=asked.reading_width,
    )


def rate(peak: float, steps: int) -> Any:
    """A learning rate that rises at once and falls along a cosine."""
    return keras.optimizers.schedules.CosineDecay(peak / 50, steps, alpha=0.02 * 50, warmup_target=peak, warmup_steps=steps // 50)


def language_clock(model: LanguageNetwork, tags: int, config: LearningConfig, *, steps: int, batch: int) -> Clock:
    """What trains the language model."""
    import jax

    training = GroundedLanguageModel(model, picture_size=16, tags=tags)
    optimizer = muon(rate(config.language.learning_rate, steps), last_layers=["next_piece", "tags"], average=0.998)
    training.compile(optimizer=optimizer)

    def pick(data: dict[str, Any], key: Any) -> dict[str, Any]:
        keys = jax.random.split(key, 5)
        rows = jax.random.randint(keys[0], [batch], 0, len(data["ids"]))
        every = data["ids"].shape[1]
        # A third have unknown words.
        version = jax.random.randint(keys[1], [batch], 0, every // 2)
        version = version + every // 2 * (jax.random.uniform(keys[2], [batch]) < 1 / 3)
        ids, targets = (beheaded(data[name][rows, version].astype(np.int32), keys[3], keys[4]) for name in ("ids", "targets"))
        return {
            "ids": ids,
            "targets": targets,
            "all_ids": data["ids"][rows, : every // 2].astype(np.int32),
            "image": data["small"][rows],
            "has_picture": ops.ones([batch]),
            "tags": data["tags"][rows],
        }

    return Clock(training, steps, pick)


def beheaded(ids: Any, key: Any, other: Any, share: float = 0.1) -> Any:
    """Captions, a share of them without some of their first pieces, int32[b, t]; one piece is always left."""
    import jax

    rows, length = ids.shape
    pieces = ops.sum(ids != PAD, axis=1) - 2
    taken = ops.cast(jax.random.uniform(key, [rows]) * pieces, "int32")
    taken = ops.where(jax.random.uniform(other, [rows]) < share, taken, 0)
    padded = ops.pad(ids, [[0, 0], [0, length]], constant_values=PAD)
    rest = ops.take_along_axis(padded, np.arange(1, length)[None] + taken[:, None], axis=1)
    return ops.concatenate([ops.full([rows, 1], START, "int32"), rest], axis=1)


def scene_clock(generator: SceneNetwork, tags: int, config: LearningConfig, *, steps: int, batch: int) -> Clock:
    """What trains the generator."""
    import jax

    asked, size, width = config.drawing.scenes, generator.picture_size, generator.width
    look, dtype = generator.shape_size + generator.colour_size, generator.dtype_policy
    encoders = Encoders(
        BackEncoder(size, width, look, dtype=dtype),
        PlaceEncoder(size, generator.things, width, dtype=dtype),
        LookEncoder(width, look, dtype=dtype),
    )
    training = SceneTraining(
        generator, encoders, steps=steps, fineness=FINE // size, kl_weight=asked.kl_weight, tags=tags, window=64, coarse=1
    )
    training.compile(optimizer=muon(rate(asked.learning_rate, steps), last_layers=LAST_LAYERS, average=0.999))

    def pick(data: dict[str, Any], key: Any) -> dict[str, Any]:
        first, second = jax.random.split(key)
        rows = jax.random.randint(first, [batch], 0, len(data["image"]))
        version = jax.random.randint(second, [batch], 0, data["embedding"].shape[1])
        batch_of = {name: data[name][rows] for name in ("image", "boxes", "tags")}
        return {**batch_of, "embedding": data["embedding"][rows, version].astype(np.float32)}

    return Clock(training, steps, pick)


def train(file: Path, out: Path, seconds: Sequence[float], *, batches: Sequence[int], steps: Sequence[int]) -> None:
    """Train both; see the module."""
    import jax

    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:.0f} s: {text}", flush=True)

    def prepare(name: str, clock: Clock, data: dict[str, Any]) -> None:
        clock.compile(data)
        say(f"{name} compiled")

    config, known = settings(), unpacked(file)
    count, folder = len(known.ids), Path(tempfile.mkdtemp())
    np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, (count, FINE, FINE, 3)).flush()
    os.environ["JAX_PLATFORMS"] = "cpu"  # Of the processes that draw: the GPU is not for them.
    pool = multiprocessing.get_context("spawn").Pool(max(1, (os.cpu_count() or 1) - 4))
    del os.environ["JAX_PLATFORMS"]
    drawing = pool.map_async(partial(drawn, folder), split(count), chunksize=1)
    keras.utils.set_random_seed(config.seed)
    tags = TAGS
    model, twin = (new_language_network(known.vocabulary, config) for _ in range(2))
    asked = config.drawing.scenes
    generator = SceneNetwork(twin, picture_size=config.data.picture_size, things=MOST, components=asked.components, dtype="mixed_bfloat16")
    reading = language_clock(model, tags, config, steps=steps[0], batch=batches[0])
    sketching = scene_clock(generator, tags, config, steps=steps[1], batch=batches[1])
    shape = jax.ShapeDtypeStruct
    parts, slots = (count, MOST + 1, tags), model.embedding_size
    shapes = {
        "image": shape((count, FINE, FINE, 3), np.uint8),
        "embedding": shape((count, known.ids.shape[1], slots), np.float16),
        "boxes": shape((count, MOST, 5), np.float32),
        "tags": shape(parts, bool),
    }
    small = {"ids": shape(known.ids.shape, np.int16), "targets": shape(known.ids.shape, np.int16)}
    small |= {"small": shape((count, 16, 16, 3), np.uint8), "tags": shape(parts, bool)}
    compiling = [
        threading.Thread(target=prepare, args=each)
        for each in (("generator", sketching, shapes), ("language model", reading, small))
    ]
    for each in compiling:
        each.start()
    annotations = [each for part in drawing.get() for each in part]
    pool.terminate()
    say("drawn")
    data = {"image": jax.device_put(np.load(folder / "pictures.npy", mmap_mode="r"))}
    data["boxes"], data["tags"] = (jax.device_put(of(annotations, MOST)) for of in (boxes_of, tags_of))
    shrink = jax.jit(lambda image: to_uint8(ops.average_pool(to_float(image), FINE // 16, FINE // 16)))
    pictures = np.concatenate([np.asarray(shrink(data["image"][s : s + n])) for s, n in split(count, 2000)])
    say("on the GPU")
    compiling[1].join()
    read = {"ids": jax.device_put(known.ids), "targets": jax.device_put(known.targets)}
    reading.spend({**read, "small": jax.device_put(pictures), "tags": data["tags"]}, seconds[0], "language")
    twin.set_weights(model.get_weights())
    embed = jax.jit(lambda ids: model(ids)[1].astype(np.float16))
    flat = known.ids.reshape(-1, known.ids.shape[-1]).astype(np.int32)
    data["embedding"] = jax.numpy.concatenate([embed(flat[s : s + n]) for s, n in split(len(flat), 4000)]).reshape(shapes["embedding"].shape)
    generator.mixer.adapt(np.asarray(data["embedding"][:10_000, 0], np.float32))
    say("embedded")
    compiling[0].join()
    left = seconds[1] - (time.monotonic() - begun)
    sketching.spend(data, left, "generator")
    kept = {f"{name}{i}": w.astype(np.float16) for name, m in (("language", model), ("generator", generator)) for i, w in enumerate(m.get_weights())}
    kept |= {f"encoders{i}": np.asarray(w, np.float16) for i, w in enumerate(w for e in (sketching.training.back_encoder, sketching.training.place_encoder, sketching.training.look_encoder) for w in e.get_weights())}
    kept |= {f"tag_head{i}": np.asarray(w) for i, w in enumerate(reading.training.tag_heads[0].get_weights())}
    np.savez_compressed(out, **kept)
    say(f"done; {reconstruction(sketching.training, data):.2f} dB")


TAGS = 184


def reconstruction(training: SceneTraining, data: dict[str, Any], count: int = 256) -> float:
    """PSNR of training pictures as they are drawn from what the encoders read, in dB."""
    generator = training.generator
    fineness = training.fineness
    real = ops.average_pool(to_float(data["image"][:count]), fineness, fineness)
    mixed = generator.mix(data["embedding"][:count, 0].astype(np.float32))
    found = training.find(real, mixed, data["boxes"][:count])
    noise = ops.concatenate([found.things, found.back[:, None]], axis=1)
    again = generator.whole(generator.decode(noise, mixed, present=found.present), generator.picture_size)
    error = np.mean((np.clip(np.asarray(again), -1, 1) - np.asarray(real)) ** 2, axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(4 / error)))


def unpack(file: Path, weights: Path, folder: Path) -> None:
    """Write `generator.keras` with trained weights."""
    from models.language_model import LanguageModel
    from models.learning.recipes import new_language_model
    from models.learning.scenes import new_scene_generator

    config, known = settings(), unpacked(file)
    with np.load(weights) as saved:
        language_model: LanguageModel = new_language_model(known.vocabulary, config.language, config.data.caption_length)
        generator = new_scene_generator(language_model, config.drawing.scenes, config.data.picture_size)
        count = len(generator.get_weights())
        generator.set_weights([saved[f"generator{i}"].astype(np.float32) for i in range(count)])
    ids = known.ids[:, 0].astype(np.int64)
    language_model.fit_unigram(ids)
    generator.save(folder / "generator.keras")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["pack", "train", "unpack"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--seconds", nargs=2, type=float, default=[60, 330])
    parser.add_argument("--batches", nargs=2, type=int, default=[256, 64])
    parser.add_argument("--steps", nargs=2, type=int, default=[8_000, 60_000])
    asked = parser.parse_args()
    if asked.what == "pack":
        pack(asked.files[0], asked.count)
    elif asked.what == "train":
        train(asked.files[0], asked.files[1], asked.seconds, batches=asked.batches, steps=asked.steps)
    else:
        unpack(*asked.files)


if __name__ == "__main__":
    main()
