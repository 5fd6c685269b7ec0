"""Pictures as data URIs, so that a page is a single file."""

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tfx_pipeline.datasets.entries import ReadLimits, RefusedError
from tfx_pipeline.datasets.files import escapes
from tfx_pipeline.datasets.folder import open_picture

SIDE = 96


def as_uri(picture: NDArray[np.uint8]) -> str:
    """A picture, uint8[h, w, 3], as a PNG."""
    return image_uri(Image.fromarray(picture))


def image_uri(image: Image.Image) -> str:
    """A Pillow image as a PNG."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", optimize=True)
    return png_uri(out.getvalue())


def file_uri(file: Path) -> str:
    """A PNG file, unchanged."""
    return png_uri(file.read_bytes())


def png_uri(png: bytes) -> str:
    """The bytes of a PNG."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def thumbnail(folder: Path, name: str) -> str | None:
    """A thumbnail of a file in a dataset folder; None if it is not a picture, or not safe to decode."""
    file = folder / name
    if escapes(name) or not file.is_file() or file.stat().st_size > ReadLimits().max_bytes:
        return None
    try:
        image = open_picture(file.read_bytes())
    except RefusedError:
        return None
    image.thumbnail((SIDE, SIDE))
    return image_uri(image)


def encoded_thumbnail(data: bytes) -> str:
    """A thumbnail of an encoded picture that is known to be valid."""
    image = open_picture(data)
    image.thumbnail((SIDE, SIDE))
    return image_uri(image)
