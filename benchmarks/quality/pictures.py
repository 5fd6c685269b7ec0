"""Reading picture files at one size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.quality import Pictures
from tfx_pipeline.datasets.folder import open_picture


def load_pictures(files: Sequence[Path], size: int) -> Pictures:
    """Read pictures, crop their central squares and scale these: uint8[n, size, size, 3].

    Transparent pixels are composited on white.

    Args:
        files: Pictures that `read_folder` has accepted.
        size: Side in pixels.
    """
    pictures = np.empty((len(files), size, size, 3), np.uint8)
    for number, file in enumerate(files):
        pictures[number] = np.asarray(squared(open_picture(file.read_bytes()), size))
    return pictures


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The central square of an RGB picture."""
    if picture.size == (size, size):
        return picture
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
