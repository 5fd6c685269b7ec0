"""Photographs of any size become batches of patches for the restorer."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.inputs import Batches


def patch_batches(pictures: Sequence[NDArray[np.uint8]], *, size: int, batch_size: int, seed: int) -> Batches:
    """Batches for `models.restorer.RestorerTraining`: random crops, mirrored and turned, half of them grey.

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
    pixels = tf.constant(np.concatenate([picture.reshape(-1, 3) for picture in pictures]))
    shapes = np.array([picture.shape[:2] for picture in pictures])
    starts = tf.constant(np.cumsum(shapes.prod(axis=1)) - shapes.prod(axis=1))
    sides = tf.constant(shapes)

    def pick(number: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        chances_Bx6 = tf.random.stateless_uniform([batch_size, 6], [seed, number])
        seeds = tf.random.stateless_uniform([batch_size], [seed, number], 0, 2**31, tf.int64)
        places = tf.gather(starts, rows)[:, None, None] + crops(tf.gather(sides, rows), chances_Bx6[:, :5], size)
        patches = tf.gather(pixels, places)
        grey = tf.tile(to_grey(patches), [1, 1, 1, 3])
        return {"image": tf.where(chances_Bx6[:, 5, None, None, None] < 0.5, grey, patches), "seed": seeds}

    return Batches(len(pictures), batch_size, seed, pick)


def crops(sides_Bx2: tf.Tensor, chances_Bx5: tf.Tensor, size: int) -> tf.Tensor:
    """Where the pixels of random crops, mirrored and turned, lie in their pictures.

    Args:
        sides_Bx2: Heights and widths, int64.
        chances_Bx5: Uniform in [0, 1).
        size: Side of the crops.

    Returns:
        int64[b, size, size], pixels counted row by row.
    """
    steps = tf.range(size, dtype=tf.int64)
    corner_Bx2 = tf.cast(chances_Bx5[:, :2] * tf.cast(sides_Bx2 - size + 1, tf.float32), tf.int64)
    flipped_Bx2xS = tf.where(chances_Bx5[:, 2:4, None] < 0.5, steps, size - 1 - steps) + corner_Bx2[..., None]
    places = flipped_Bx2xS[:, 0, :, None] * sides_Bx2[:, 1, None, None] + flipped_Bx2xS[:, 1, None, :]
    return tf.where(chances_Bx5[:, 4, None, None] < 0.5, places, tf.transpose(places, [0, 2, 1]))


def to_grey(pictures: tf.Tensor) -> tf.Tensor:
    """The luma (BT.601) of RGB: uint8[..., 3] -> uint8[..., 1]."""
    weighted = tf.cast(pictures, tf.float32) * tf.constant([0.299, 0.587, 0.114])
    return tf.cast(tf.round(tf.reduce_sum(weighted, axis=-1, keepdims=True)), tf.uint8)
