"""Photographs of any size become batches of patches for the restorer."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.learning.inputs import Batches, Tensors
from models.sampling import Chance
from models.tensors import Tensor


def patch_batches(pictures: Sequence[NDArray[np.uint8]], *, size: int, batch_size: int, seed: int) -> Batches:
    """Batches for `models.restorer_training.RestorerTraining`: random crops, mirrored and turned, half of them grey.

    Args:
        pictures: uint8 RGB, (h, w, 3) each, sides from `size`.
        size: Side of the patches in pixels, even.
        batch_size: Patches in a batch.
        seed: Of the choice and of the damage.

    Returns:
        Batches of `image`, uint8[batch_size, size, size, 3], and `seed`, int64[batch_size].

    Raises:
        ValueError: If a picture is smaller than a patch.
    """
    smallest = min(min(picture.shape[:2]) for picture in pictures)
    if smallest < size:
        raise ValueError(f"A picture has a side of {smallest} pixels; patches need {size}: leave small pictures out.")
    sides = np.array([picture.shape[:2] for picture in pictures])
    arrays = {
        "pixels": np.concatenate([picture.reshape(-1, 3) for picture in pictures]),
        "sides": sides,
        "starts": np.cumsum(sides.prod(axis=1)) - sides.prod(axis=1),
    }
    return Batches(arrays, len(pictures), batch_size, seed, partial(pick_patches, size=size))


def pick_patches(arrays: Tensors, chance: Chance, rows: Tensor, *, size: int) -> Tensors:
    """Pick for `patch_batches`."""
    count = ops.shape(rows)[0]
    starts, sides = (ops.take(arrays[name], rows, axis=0) for name in ("starts", "sides"))
    places = starts[:, None, None] + crops(sides, chance.uniform("crops", [count, 5]), size)
    patches = ops.take(arrays["pixels"], places, axis=0)
    grey = ops.tile(to_grey(patches), [1, 1, 1, 3])
    is_grey = chance.uniform("grey", [count])[:, None, None, None] < 0.5
    return {"image": ops.where(is_grey, grey, patches), "seed": chance.seeds(count)}


def crops(sides_Bx2: Tensor, chances_Bx5: Tensor, size: int) -> Tensor:
    """Where the pixels of random crops, mirrored and turned, lie in their pictures.

    Args:
        sides_Bx2: Heights and widths, integers.
        chances_Bx5: Uniform in [0, 1).
        size: Side of the crops.

    Returns:
        Integers [b, size, size], pixels counted row by row.
    """
    steps = ops.arange(size, dtype=sides_Bx2.dtype)
    corner_Bx2 = ops.cast(chances_Bx5[:, :2] * ops.cast(sides_Bx2 - size + 1, "float32"), sides_Bx2.dtype)
    flipped_Bx2xS = ops.where(chances_Bx5[:, 2:4, None] < 0.5, steps, size - 1 - steps) + corner_Bx2[..., None]
    places = flipped_Bx2xS[:, 0, :, None] * sides_Bx2[:, 1, None, None] + flipped_Bx2xS[:, 1, None, :]
    return ops.where(chances_Bx5[:, 4, None, None] < 0.5, places, ops.transpose(places, [0, 2, 1]))


def to_grey(pictures: Tensor) -> Tensor:
    """The luma (BT.601) of RGB: uint8[..., 3] -> uint8[..., 1]."""
    weighted = ops.cast(pictures, "float32") * ops.convert_to_tensor([0.299, 0.587, 0.114])
    return ops.cast(ops.round(ops.sum(weighted, axis=-1, keepdims=True)), "uint8")
