"""Train weights on the storybook for `models/pretrained`: `make pretrained`."""

import io
import json
import multiprocessing
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from benchmarks.pretraining_on_gpu import annotations_of
from benchmarks.quality.drawing import captioned, no_lines
from benchmarks.speed.rows import processor
from models.learning.fit import fit, save_grid
from models.learning.networks import NETWORKS
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.settings import LearningConfig
from models.restorer import Restorer
from models.text_to_image import TextToImage
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import render
from tfx_pipeline.datasets.storybook.story import MOST
from tfx_pipeline.ingesting.annotations import Annotations, boxes_of, tags_of

COUNT, BATCH = 24_000, 200
PRETRAINED = Path(__file__).parents[1] / "models" / "pretrained"
SETTINGS = Path(__file__).with_suffix(".toml")
SHEET = Path(__file__).parents[1] / "docs" / "images" / "storybook.png"
PROMPTS = (
    "a cat under a tree at night",
    "一只可爱的猫咪",
    "a red house on a snowy day",
    "今天的天气很好",
    "a lighthouse by the sea at sunset",
    "三只绵羊",
    "a panda in the forest",
    "森林里的一只狐狸",
    "a rocket above the mountains",
    "雨天，街道上有一辆蓝色的汽车",
    "a castle with a rainbow above it",
    "沙漠里的仙人掌",
)
"""The prompts of the picture at the top of the README, six in a row, with seed 0."""


class Drawn(NamedTuple):
    """Pictures of the storybook, uint8[n, s, s, 3], their captions and annotations."""

    image: NDArray[np.uint8]
    captions: list[tuple[str, str]]
    annotations: list[Annotations]


def draw(count: int, size: int, seed: int) -> Drawn:
    """Draw training scenes of the storybook on all cores."""
    batches = [(start, min(BATCH, count - start)) for start in range(0, count, BATCH)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        parts = pool.map(partial(draw_batch, size, seed), batches)
    columns = list(zip(*parts, strict=True))
    return Drawn(np.concatenate(columns[0]), *([row for part in column for row in part] for column in columns[1:]))


def draw_batch(size: int, seed: int, batch: tuple[int, int]) -> Drawn:
    """Draw `count` of them, beginning with a number."""
    start, count = batch
    drawn = list(sample(count, seed, withheld=False, start=start))
    return Drawn(
        np.stack([render(each.scene, size) for each in drawn]),
        [(each.captions.english, each.captions.chinese) for each in drawn],
        [annotations_of(each.scene) for each in drawn],
    )


def train(drawn: Drawn, config: LearningConfig, folder: Path) -> TextToImage:
    """Train all three models; an interrupted training resumes from its checkpoint in the folder."""
    keras.utils.set_random_seed(config.seed)
    bound = partial(fit, checkpoints=folder / "checkpoints", run_dir=folder)
    fine, vocabulary = captioned(drawn.image, drawn.captions, config)
    fine = fine._replace(boxes=boxes_of(drawn.annotations, MOST), tags=tags_of(drawn.annotations, MOST))
    plain = fine._replace(image=shrunk(drawn.image, NETWORKS[config.drawing.network].fineness))
    language_model = learn_language(plain, no_lines(config), vocabulary, config, fit=bound)
    generator = learn_to_draw(fine, language_model, config, fit=bound)
    restorer: Restorer = learn_to_restore(plain.image, config, fit=bound)
    return TextToImage(generator, restorer)


def shrunk(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Pictures at 1 / `factor` of the resolution, uint8[n, s / factor, s / factor, 3]."""
    side = image.shape[1] // factor

    def parts() -> Iterator[NDArray[np.uint8]]:
        for part in np.array_split(image, max(1, len(image) // BATCH)):
            blocks = part.reshape(-1, side, factor, side, factor, 3)
            yield blocks.mean((2, 4)).round().astype(np.uint8)

    return np.concatenate(list(parts()))


def save_half(model: keras.Model, file: Path) -> None:
    """Save a model with its weights in half precision, in less than half the bytes; loading converts them to float32.

    Args:
        model: The model.
        file: A `.keras` file.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.keras")
        model.save(whole)
        with zipfile.ZipFile(whole) as saved, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as halved:
            for name in saved.namelist():
                content = saved.read(name)
                halved.writestr(name, with_half_precision(content) if name.endswith(".h5") else content)


def with_half_precision(content: bytes) -> bytes:
    """An HDF5 file, with all float32 datasets as float16."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as saved, h5py.File(target, "w") as halved:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                copied = halved.create_dataset(name, data=rounded(values) if values.dtype == np.float32 else values)
            else:
                copied = halved.require_group(name)
            for key, value in item.attrs.items():
                copied.attrs[key] = value

        saved.visititems(copy)
    return target.getvalue()


def rounded(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Half precision, rounded to the digits of bfloat16, which suffice for networks and compress better."""
    return values.astype(ml_dtypes.bfloat16).astype(np.float16)


def write_sheet(model: TextToImage, file: Path = SHEET) -> None:
    """Draw `PROMPTS` at four times the training resolution, with seed 0."""
    save_grid(model.generate(list(PROMPTS), seed=0, scale=4), file, columns=6)


def main(arguments: Sequence[str]) -> None:
    """Train into a folder, and copy the weights to `models/pretrained` with a record of the training."""
    folder = Path(arguments[0])
    settings = SETTINGS.read_text(encoding="utf-8")
    config = LearningConfig.model_validate(tomllib.loads(settings))
    started = time.monotonic()
    size = config.data.picture_size * NETWORKS[config.drawing.network].fineness
    models = train(draw(COUNT, size, config.seed), config, folder)
    save_half(models.generator, PRETRAINED / "generator.keras")
    save_half(models.restorer, PRETRAINED / "refiner.keras")
    (PRETRAINED / "settings.toml").write_text(settings, encoding="utf-8")
    write_sheet(models)
    cost = {
        "pictures": COUNT,
        "seed": config.seed,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "machine": processor(),
    }
    (PRETRAINED / "training.json").write_text(json.dumps(cost, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
