"""A folder of photographs of any size becomes batches of patches for the restorer."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png")


def read_photographs(folder: Path) -> list[Pixels]:
    """All pictures of a folder, in the order of their names.

    Args:
        folder: BMP, JPEG and PNG files, colour or grey; other files are left alone.

    Returns:
        uint8 RGB arrays, (h, w, 3) each.

    Raises:
        FileNotFoundError: If the folder holds no picture.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} holds no pictures: put BMP, JPEG or PNG files there.")
    return [read_photograph(file) for file in files]


def read_photograph(file: Path) -> Pixels:
    """uint8 RGB, (h, w, 3)."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def patch_batches(pictures: Sequence[Pixels], *, size: int, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches for `models.restorer.RestorerTraining`: random crops, mirrored and turned, half of them grey.

    Args:
        pictures: uint8 RGB, (h, w, 3) each, sides from `size`.
        size: Side of the patches in pixels, even.
        batch_size: Patches in a batch.
        seed: Of the choice and of the damage.

    Returns:
        `image`, uint8[batch_size, size, size, 3], and `seed`, int64[batch_size].

    Raises:
        ValueError: If a picture is smaller than a patch.
    """
    smallest = min(min(picture.shape[:2]) for picture in pictures)
    if smallest < size:
        raise ValueError(f"A picture has a side of {smallest} pixels; patches need {size}: leave small pictures out.")

    def batches() -> Iterator[dict[str, NDArray[np.generic]]]:
        random = np.random.default_rng(seed)
        while True:
            image = np.stack(
                [patch(pictures[int(random.integers(len(pictures)))], size, random) for _ in range(batch_size)]
            )
            yield {"image": image, "seed": random.integers(2**31, size=batch_size)}

    spec = {
        "image": tf.TensorSpec([batch_size, size, size, 3], tf.uint8),
        "seed": tf.TensorSpec([batch_size], tf.int64),
    }
    return tf.data.Dataset.from_generator(batches, output_signature=spec).prefetch(4)


def patch(picture: Pixels, size: int, random: np.random.Generator) -> Pixels:
    """One random crop, mirrored and turned, grey in half of the cases; uint8 (size, size, 3)."""
    top, left = (random.integers(side - size + 1) for side in picture.shape[:2])
    crop = np.rot90(picture[top : top + size, left : left + size], int(random.integers(4)))
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    return to_grey(crop) if random.random() < 0.5 else crop


def to_grey(picture: Pixels) -> Pixels:
    """The luma (BT.601) of uint8 RGB (h, w, 3) in all three channels."""
    luma = np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=-1)
