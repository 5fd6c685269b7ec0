"""Files of pictures into memory, at one size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.quality import Pictures


def load_pictures(files: Sequence[Path], size: int) -> Pictures:
    """Read pictures, cut their middle squares out and scale these: uint8[n, size, size, 3].

    Transparency is laid on white.

    Args:
        files: Pictures that `read_folder` has found fit.
        size: Side in pixels.
    """
    pictures = np.empty((len(files), size, size, 3), np.uint8)
    for number, file in enumerate(files):
        with Image.open(file) as picture:
            pictures[number] = np.asarray(squared(picture, size))
    return pictures


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The middle square in RGB, upright."""
    upright = ImageOps.exif_transpose(picture)
    if upright.mode != "RGB":
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if upright.size == (size, size):
        return upright
    return ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
