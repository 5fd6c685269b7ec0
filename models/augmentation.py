"""Augmentation of real and generated pictures, so that a critic does not memorise the training pictures.

DiffAugment (Zhao et al., 2020): colour, translation and cutout, all differentiable.
"""

from keras import ops

from models import sampling
from models.tensors import Tensor

BRIGHTNESS, SATURATION, CONTRAST = 0.5, 1.0, 0.5
SHIFT, HOLE = 1 / 8, 1 / 2
"""As shares of the side of a picture."""
CHANCES = 7
"""Random numbers per picture."""


def augmented(pictures: Tensor, seed: Tensor, share: float) -> Tensor:
    """Augment a share of the pictures, each independently.

    Args:
        pictures: float32[b, s, s, 3] in -1..1.
        seed: int[2].
        share: Share of the pictures to augment, 0 to 1. Below about 0.8, augmentations do not leak into the generated
            pictures (Karras et al., 2020).

    Returns:
        float32 of the same shape.
    """
    rows, side = ops.shape(pictures)[0], pictures.shape[1]
    uniform = sampling.uniform([rows, CHANCES + 1], seed)
    changed = ops.cast(uniform[:, :1] < share, "float32")
    chances = (2 * uniform[:, 1:] - 1) * changed
    pictures = recoloured(pictures, chances[:, :3])
    shift = ops.cast(ops.round(chances[:, 3:5] * (side * SHIFT)), "int32")
    rows_moved = ops.einsum("bij,bjwc->biwc", shifting(shift[:, 0], side), pictures)
    moved = ops.einsum("bij,bhjc->bhic", shifting(shift[:, 1], side), rows_moved)
    return moved * (1 - changed[:, :, None, None] * hole(chances[:, 5:7], side))


def recoloured(pictures: Tensor, chances_Bx3: Tensor) -> Tensor:
    """Change brightness, saturation and contrast by random numbers in -1..1; zeros leave the pictures unchanged."""
    brightness, saturation, contrast = ops.split(chances_Bx3[:, :, None, None], 3, axis=1)
    pictures = pictures + BRIGHTNESS * brightness
    grey = ops.mean(pictures, axis=3, keepdims=True)
    pictures = grey + (pictures - grey) * (1 + SATURATION * saturation)
    mean = ops.mean(pictures, axis=[1, 2, 3], keepdims=True)
    return mean + (pictures - mean) * (1 + CONTRAST * contrast)


def shifting(shift_B: Tensor, side: int) -> Tensor:
    """Matrices that shift the rows of pictures, float32[b, side, side]; rows from outside are grey."""
    return ops.one_hot(ops.arange(side) + shift_B[:, None], side)


def hole(chances_Bx2: Tensor, side: int) -> Tensor:
    """A mask with a square of ones, float32[b, side, side, 1]; its centre is given by random numbers in -1..1."""
    places = ops.cast(ops.arange(side), "float32") + 0.5
    middle = (chances_Bx2 + 1) * (side / 2)
    inside = ops.cast(abs(places - middle[..., None]) < side * HOLE / 2, "float32")
    return inside[:, 0, :, None, None] * inside[:, 1, None, :, None]
