"""Batches of patches from photographs of any size, for the restorer."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.learning.crops import Pictures, cropped, joined
from models.learning.inputs import Batches


def patch_batches(pictures: Sequence[NDArray[np.uint8]], *, size: int, batch_size: int, seed: int) -> Batches:
    """Batches for `models.restorer_training.RestorerTraining`: `cropped` pictures, all with the same frequency.

    Args:
        pictures: uint8 RGB, (h, w, 3) each, with sides of at least `size`.
        size: Side of the patches in pixels, even.
        batch_size: Patches in a batch.
        seed: Seed of the choice of patches and of the damage.

    Returns:
        Batches of `image`, uint8[batch_size, size, size, 3], and `seed`, int64[batch_size].

    Raises:
        ValueError: A picture is smaller than a patch.
    """
    smallest = min(min(picture.shape[:2]) for picture in pictures)
    if smallest < size:
        raise ValueError(f"A picture has a side of {smallest} pixels; patches need {size}: leave small pictures out.")
    whole = Pictures(*map(tf.constant, joined(pictures)))

    def pick(number: tf.Tensor, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        return cropped(whole, number, rows, size=size, seed=seed)

    return Batches(len(pictures), batch_size, seed, pick)
