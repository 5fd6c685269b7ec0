import hashlib
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.metrics import psnr
from models.pretrained import HERE, load_pretrained, load_restorer, origin, pieces
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED
from tfx_pipeline.datasets.leaves import draw_numbered
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import render
from tfx_pipeline.datasets.storybook.telling import sayable

COUNT = 40


@pytest.fixture(scope="module")
def model() -> TextToImage:
    return load_pretrained()


def test_the_weights_are_small_enough_to_carry() -> None:
    assert sum(file.stat().st_size for file in HERE.glob("*.keras")) < 14_000_000


def test_a_fresh_process_loads_them() -> None:
    program = "from models.pretrained import load_pretrained; print(type(load_pretrained().generator).__module__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "models.scene_generator\n"), done.stderr


def test_its_words_and_files_are_known_without_loading_it(model: TextToImage) -> None:
    assert [*RESERVED, *pieces()] == model.generator.language_model.vocabulary
    for name, file in (("language_model", "generator"), ("generator", "generator"), ("restorer", "refiner")):
        digest = hashlib.sha256((HERE / f"{file}.keras").read_bytes()).hexdigest()
        assert origin(name) == f"pretrained {file}.keras {digest[:16]}"


def test_the_restorer_denoises_pictures_of_a_kind_that_was_held_out() -> None:
    """Leaves of other seeds, and smooth shading, which is not among them."""
    y, x = np.mgrid[0:96, 0:96] / 96
    waves = 128 + 60 * np.sin(9 * x + 4 * np.sin(7 * y))
    clean = [draw_numbered(96, 10**6, 0), np.repeat(waves[..., None], 3, axis=-1).astype(np.uint8)]
    restorer = load_restorer()
    for picture in clean:
        noisy = np.clip(picture + np.random.default_rng(0).normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
        restored = restorer.restore(noisy, noise=25.0)
        assert psnr(restored[None], picture[None])[0] > psnr(noisy[None], picture[None])[0] + 5


def matched(drawn: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """The share of drawings that are nearer to their own scene than to any other one."""
    errors = ((drawn[:, None].astype(float) - real[None]) ** 2).mean((2, 3, 4))
    return float((errors.argmin(1) == np.arange(len(drawn))).mean())


def test_captions_of_withheld_scenes_draw_these_scenes(model: TextToImage) -> None:
    rng = np.random.default_rng(0)
    scenes = [each.scene for each in sample(COUNT, 5, withheld=True, shares={"single": 1.0})]
    complete = [captions(scene, rng, said=frozenset(sayable(scene))) for scene in scenes]
    real = np.stack([render(scene, model.generator.picture_size) for scene in scenes])
    for language in ("english", "chinese"):
        told = [getattr(each, language) for each in complete]
        drawn = model.generate(told, seed=list(range(COUNT)), expand=False)
        assert matched(drawn, real) > 0.5, language


def test_as_many_things_are_there_as_a_caption_says(model: TextToImage) -> None:
    generator = model.generator
    there = [
        np.asarray(generator.presences(generator.mix(generator.language_model.embed([caption]))) > 0).sum()
        for caption in ("a cat", "two cats", "three cats", "一只猫", "三只猫")
    ]
    assert there == [1, 2, 3, 1, 3]
