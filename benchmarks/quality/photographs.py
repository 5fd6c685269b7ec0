"""A folder of photographs of any size."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tfx_pipeline.datasets.folder import open_picture

Pixels = NDArray[np.uint8]
SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png")


def read_photographs(folder: Path) -> list[Pixels]:
    """All pictures of a folder, in the order of their names.

    Args:
        folder: A folder of BMP, JPEG and PNG files, colour or grey; other files are ignored.

    Returns:
        uint8 RGB arrays, (h, w, 3) each.

    Raises:
        FileNotFoundError: The folder contains no picture.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder} holds no pictures: put BMP, JPEG or PNG files there.")
    return [read_photograph(file) for file in files]


def read_photograph(file: Path) -> Pixels:
    """Read a picture as uint8 RGB, (h, w, 3)."""
    return np.asarray(open_picture(file.read_bytes()))
