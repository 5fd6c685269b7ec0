"""Trains a restorer on photographs, and compares it with published figures.

    python -m benchmarks.quality.restoration --photos DIR --minutes 10

DIR holds `train` (any photographs), `Set12` (the grey denoising set) and `Set5` (the super-resolution set).
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.quality.effort import Effort
from benchmarks.quality.photographs import Pixels, read_photographs
from models.damage import enlarge, shrink
from models.device import device_policy
from models.learning.fit import Cosine
from models.learning.patches import patch_batches
from models.metrics import psnr
from models.optimizers import muon
from models.restorer import Restorer
from models.restorer_training import RestorerTraining
from models.saving import load_model
from models.tensors import to_float, to_uint8

PATCH = 64
SIGMA, BORDER = 25.0, 2
HOLES, SCRATCHES = 12, 12


class Recipe(NamedTuple):
    """Settings that depend on the machine.

    Attributes:
        shape: The shape of the restorer.
        batch: Patches per step.
        phases: For each phase, the peak of the learning rate and the steps per minute of the budget.
    """

    shape: dict[str, Any]
    batch: int
    phases: tuple[tuple[float, int], ...]


CPU = Recipe({"widths": (64, 128), "depth": 2, "half_depth": 1}, batch=16, phases=((3e-3, 530),))
"""Numbers of steps such that ten minutes of the budget take at most ten minutes on two idle CPU cores."""
GPU = Recipe({"widths": (96, 192), "depth": 5, "half_depth": 3}, batch=32, phases=((3e-3, 1400), (6e-4, 1000)))


def measure(photos: Path, effort: Effort) -> dict[str, float]:
    """Train on `train`, and evaluate on `Set12` and `Set5`.

    Args:
        photos: The folder of the three.
        effort: The budget; its seed determines the weights, the patches, their damage, and the noise and holes of the
            test.

    Returns:
        The figures by name:

        - `set12_sigma25_psnr`: PSNR in dB at a known noise of 25 grey levels, neither clipped nor rounded.
        - `set5_x2_psnr`: PSNR in dB of the luma, without a border of two pixels.
        - `inpaint_gain_db`: PSNR in dB inside the holes minus that of OpenCV's Telea, over both sets.
        - `training_minutes`.

    Raises:
        FileNotFoundError: One of the folders contains no picture.
        ImportError: OpenCV is not installed.
    """
    training, set12, set5 = (read_photographs(photos / name) for name in ("train", "Set12", "Set5"))
    restorer, minutes_spent = effort.timed(lambda: train(training, GPU if effort.programs else CPU, effort))
    return {**score(restorer, set12, set5, seed=effort.seed), **minutes_spent}


def train(pictures: list[Pixels], recipe: Recipe, effort: Effort) -> Restorer:
    """A restorer trained on photographs."""
    keras.utils.set_random_seed(effort.seed)
    trained = Restorer(**recipe.shape, dtype=device_policy().precision)
    training = RestorerTraining(trained)
    batches = patch_batches(pictures, size=PATCH, batch_size=recipe.batch, seed=effort.seed)
    with effort.fitting() as fit:
        for number, (rate, in_a_minute) in enumerate(recipe.phases, 1):
            steps = effort.steps(in_a_minute)
            optimizer = muon(Cosine(rate, steps, floor=0.01))
            training.compile(optimizer=optimizer, jit_compile=device_policy().jit_convolution)
            fit(training, batches, label=f"restorer_{number}", steps=steps)
    restorer = Restorer(**recipe.shape)
    restorer.set_weights(trained.get_weights())
    return restorer


def score(
    restorer: Restorer, set12: list[Pixels], set5: list[Pixels], *, seed: int, thorough: bool = True
) -> dict[str, float]:
    """The three figures of `measure` for a trained restorer, with self-ensemble if `thorough`."""
    random, double = np.random.default_rng(seed), partial(restorer.enlarge, thorough=thorough)
    denoise, fill = (
        partial(of, restorer, random=random, thorough=thorough) for of in (denoising_psnr, inpainting_gain)
    )
    return {
        "set12_sigma25_psnr": float(np.mean([denoise(picture=picture) for picture in set12])),
        "set5_x2_psnr": float(np.mean([enlarging_psnr(double, picture) for picture in set5])),
        "inpaint_gain_db": float(np.mean([fill(picture=picture) for picture in [*set12, *set5]])),
    }


def measure_shipped(photos: Path, weights: Path, *, seed: int) -> dict[str, float]:
    """Evaluate the `restorer.keras` of a folder with its defaults, so without self-ensemble; nothing is trained.

    Args:
        photos: The folder of `Set12` and `Set5`.
        weights: The folder of the restorer.
        seed: Seed of the noise and the holes.

    Returns:
        The first three of `measure` with the prefix `shipped_`, and `shipped_512_s`, seconds for a picture of 512x512.

    Raises:
        FileNotFoundError: One of the folders contains no picture or no restorer.
        ImportError: OpenCV is not installed.
    """
    set12, set5 = (read_photographs(photos / name) for name in ("Set12", "Set5"))
    restorer: Restorer = load_model(weights / "restorer.keras")
    figures = score(restorer, set12, set5, seed=seed, thorough=False)
    return {
        **{f"shipped_{name}": value for name, value in figures.items()},
        "shipped_512_s": seconds(restorer, set12[0]),
    }


def seconds(restorer: Restorer, picture: Pixels) -> float:
    """Seconds to restore a picture scaled to 512x512 pixels, with estimated noise: the median of five calls.

    Noise is added, because the network does not run on clean pictures.
    """
    large = np.asarray(Image.fromarray(picture).resize((512, 512)))
    noise = np.random.default_rng(0).normal(0.0, SIGMA, large.shape)
    large = np.clip(large + noise, 0, 255).astype(np.uint8)
    restorer.restore(large)
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        restorer.restore(large)
        spent.append(time.perf_counter() - started)
    return float(np.median(spent))


def denoising_psnr(restorer: Restorer, picture: Pixels, random: np.random.Generator, *, thorough: bool = True) -> float:
    """PSNR in dB of a grey picture, uint8 (h, w, 3), restored from known noise, which is not clipped, as usual."""
    noise = random.normal(0.0, SIGMA / 127.5, (*picture.shape[:2], 1)).astype(np.float32)
    noisy = to_float(picture)[None] + noise
    restored = to_uint8(restorer.restore_batch(noisy, None, tf.constant([SIGMA]), thorough=thorough))
    return float(psnr(restored.numpy(), picture[None])[0])


def enlarging_psnr(double: Callable[[Pixels], Pixels], picture: Pixels) -> float:
    """PSNR in dB of the luma of a picture, uint8 (h, w, 3), halved and doubled again, without a border."""
    height, width = (side - side % 2 for side in picture.shape[:2])
    real = picture[:height, :width]
    small = to_uint8(shrink(to_float(real)[None])).numpy()[0]
    inner = slice(BORDER, -BORDER)
    first, second = (luma(image)[None, inner, inner] for image in (double(small), real))
    return float(psnr(first, second)[0])


def bicubic(picture: Pixels) -> Pixels:
    """The baseline of `enlarging_psnr`: 33.64 dB on Set5."""
    return to_uint8(enlarge(to_float(picture)[None])).numpy()[0]


def luma(picture: Pixels) -> NDArray[np.float64]:
    """Y of ITU-R BT.601 in 16..235, as MATLAB's rgb2ycbcr: uint8 (h, w, 3) -> (h, w, 1)."""
    return 16 + picture @ np.array([65.481, 128.553, 24.966])[:, None] / 255


def inpainting_gain(
    restorer: Restorer, picture: Pixels, random: np.random.Generator, *, thorough: bool = True
) -> float:
    """PSNR in dB inside the holes minus that of OpenCV's Telea (2004) in the same holes; uint8 (h, w, 3)."""
    height, width = picture.shape[:2]
    mask = random_holes(height, width, random)
    filled = restorer.restore(picture, mask=mask, noise=0.0, thorough=thorough)
    return hole_psnr(filled, picture, mask) - hole_psnr(telea(picture, mask), picture, mask)


def random_holes(height: int, width: int, random: np.random.Generator) -> NDArray[np.bool_]:
    """Rectangles of 8 to 24 pixels a side and straight scratches 3 pixels wide: bool (height, width)."""
    mask = Image.new("1", (width, height))
    canvas = ImageDraw.Draw(mask)
    for _ in range(HOLES):
        tall, wide = random.integers(8, 25, 2)
        top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
        canvas.rectangle((left, top, left + wide - 1, top + tall - 1), fill=1)
    for _ in range(SCRATCHES):
        ends = random.integers([[0, 0], [0, 0]], [[width, height], [width, height]])
        canvas.line([tuple(map(int, end)) for end in ends], fill=1, width=3)
    return np.asarray(mask)


def telea(picture: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """OpenCV's inpainting by fast marching (Telea, 2004), with radius 3 as in its documentation, in BGR or RGB."""
    try:
        import cv2
    except ImportError:
        raise ImportError("The inpainting row needs OpenCV: pip install opencv-python-headless.") from None
    return np.asarray(cv2.inpaint(np.ascontiguousarray(picture), mask.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.uint8)


def hole_psnr(picture: Pixels, reference: Pixels, mask: NDArray[np.bool_]) -> float:
    """PSNR in dB over the pixels in holes."""
    return float(psnr(picture[mask][None, None], reference[mask][None, None])[0])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder with train, Set12 and Set5")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time on two idle cores")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        print(json.dumps(measure(options.photos, Effort(options.minutes, options.seed))))
    except (FileNotFoundError, ImportError, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
