"""Changes to real and drawn pictures alike, lest a critic learns the training pictures by heart.

DiffAugment (Zhao et al., 2020): colour, translation and cutout, all of which gradients pass.
"""

from keras import ops

from models import sampling
from models.tensors import Tensor

BRIGHTNESS, SATURATION, CONTRAST = 0.5, 1.0, 0.5
SHIFT, HOLE = 1 / 8, 1 / 2
"""In shares of the side of a picture."""
CHANCES = 7
"""Random numbers that the changes of a picture take."""


def augmented(pictures: Tensor, seed: Tensor, share: float) -> Tensor:
    """Change a share of the pictures, each in its own way.

    Args:
        pictures: float32[b, s, s, 3] in -1..1.
        seed: int[2].
        share: Of the pictures that are changed, 0 to 1. Below about 0.8 the changes do not leak into what a generator
            learns to draw (Karras et al., 2020).

    Returns:
        Of the same shape.
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
    """Brighten, saturate and contrast pictures by chances in -1..1; with zeros they stay as they are."""
    brightness, saturation, contrast = ops.split(chances_Bx3[:, :, None, None], 3, axis=1)
    pictures = pictures + BRIGHTNESS * brightness
    grey = ops.mean(pictures, axis=3, keepdims=True)
    pictures = grey + (pictures - grey) * (1 + SATURATION * saturation)
    mean = ops.mean(pictures, axis=[1, 2, 3], keepdims=True)
    return mean + (pictures - mean) * (1 + CONTRAST * contrast)


def shifting(shift_B: Tensor, side: int) -> Tensor:
    """Matrices that move rows of pictures, float32[b, side, side]; what comes in from outside is grey."""
    return ops.one_hot(ops.arange(side) + shift_B[:, None], side)


def hole(chances_Bx2: Tensor, side: int) -> Tensor:
    """A square of ones somewhere, in zeros, float32[b, side, side, 1]; its middle lies at chances in -1..1."""
    places = ops.cast(ops.arange(side), "float32") + 0.5
    middle = (chances_Bx2 + 1) * (side / 2)
    inside = ops.cast(abs(places - middle[..., None]) < side * HOLE / 2, "float32")
    return inside[:, 0, :, None, None] * inside[:, 1, None, :, None]
