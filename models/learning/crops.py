"""Random crops of pictures of any size, in `keras.ops`, for every backend."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models import sampling
from models.tensors import Tensor

LUMA = (0.299, 0.587, 0.114)


class Pictures(NamedTuple):
    """Pictures of any size, concatenated.

    Attributes:
        pixels: uint8[n, 3], row by row.
        starts: int32[k], index of the first pixel of each picture.
        sides: int32[k, 2], heights and widths.
    """

    pixels: Tensor
    starts: Tensor
    sides: Tensor


def joined(pictures: Sequence[NDArray[np.uint8]]) -> Pictures:
    """Concatenate pictures, uint8 RGB of shape (h, w, 3) each, as NumPy arrays."""
    sides = np.array([picture.shape[:2] for picture in pictures], np.int32)
    areas = sides.prod(axis=1)
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures])
    return Pictures(pixels, (np.cumsum(areas) - areas).astype(np.int32), sides)


def cropped(pictures: Pictures, number: Tensor, rows: Tensor, *, size: int, seed: int) -> dict[str, Tensor]:
    """A batch for `models.restorer_training.RestorerTraining`: crops, mirrored and rotated, half of them grey.

    Args:
        pictures: Pictures with sides of at least `size`.
        number: Number of the batch, int[]; with the seed it determines the crops and their damage.
        rows: Indices of the pictures, int[b] with a static length.
        size: Side of the crops in pixels, even.
        seed: Seed of all batches.

    Returns:
        `image`, uint8[b, size, size, 3], and `seed` of the damage, int[b].
    """
    chances_Bx7 = sampling.uniform([rows.shape[0], 7], sampling.pair(number, seed))
    places = places_of(ops.take(pictures.sides, rows, axis=0), chances_Bx7[:, :5], size)
    patches = ops.take(pictures.pixels, ops.take(pictures.starts, rows)[:, None, None] + places, axis=0)
    grey = ops.repeat(to_grey(patches), 3, axis=-1)
    image = ops.where(chances_Bx7[:, 5, None, None, None] < 0.5, grey, patches)
    return {"image": image, "seed": ops.cast(chances_Bx7[:, 6] * 2**24, number.dtype)}


def places_of(sides_Bx2: Tensor, chances_Bx5: Tensor, size: int) -> Tensor:
    """Indices of the pixels of random crops, mirrored and rotated, in their pictures.

    Args:
        sides_Bx2: Heights and widths, int32.
        chances_Bx5: Uniform random numbers in [0, 1).
        size: Side of the crops.

    Returns:
        int32[b, size, size]; pixels of a picture are counted row by row.
    """
    steps = ops.arange(size, dtype="int32")
    corner_Bx2 = ops.cast(chances_Bx5[:, :2] * ops.cast(sides_Bx2 - size + 1, "float32"), "int32")
    flipped_Bx2xS = ops.where(chances_Bx5[:, 2:4, None] < 0.5, steps, size - 1 - steps) + corner_Bx2[..., None]
    places = flipped_Bx2xS[:, 0, :, None] * sides_Bx2[:, 1, None, None] + flipped_Bx2xS[:, 1, None, :]
    return ops.where(chances_Bx5[:, 4, None, None] < 0.5, places, ops.transpose(places, [0, 2, 1]))


def to_grey(pictures: Tensor) -> Tensor:
    """The luma (BT.601) of RGB: uint8[..., 3] -> uint8[..., 1]."""
    weighted = ops.cast(pictures, "float32") * np.array(LUMA, np.float32)
    return ops.cast(ops.round(ops.sum(weighted, axis=-1, keepdims=True)), "uint8")
