"""Damage to pictures: noise, blur, downscaling and holes, chosen by a seed for each picture."""

from typing import NamedTuple

import numpy as np
from keras import ops

from models.sampling import normal_rows, uniform_rows
from models.tensors import Tensor

MAX_SIGMA = 50.0
LEAST_BLUR, MAX_BLUR = 0.4, 2.0
BLUR_REACH = 5
HOLE_SIDES = (0.1, 0.35)
SCRATCH_WIDTHS = (0.02, 0.06)
HOLES, SCRATCHES = 3, 8
# Keys' cubic kernel (1981) at the distances from a half-size pixel to its neighbours: 1/4, 3/4, 5/4 and 7/4.
CUBIC = (0.8671875, 0.2265625, -0.0703125, -0.0234375)


class Damaged(NamedTuple):
    """Damaged pictures, with the parameters of the damage.

    Attributes:
        pictures: float32[b, h, w, 3], about -1..1; holes are 0.
        masks: float32[b, h, w, 1], 1 inside a hole.
        sigmas: float32[b], standard deviation of the noise in grey levels of 0..255.
        blurs: float32[b], standard deviation of the blur in pixels.
        enlarged: float32[b], 1 if the picture was downscaled to half the size and upscaled again.
    """

    pictures: Tensor
    masks: Tensor
    sigmas: Tensor
    blurs: Tensor
    enlarged: Tensor


def damage(pictures: Tensor, seeds: Tensor) -> Damaged:
    """Damage pictures: some are downscaled and upscaled; the others get noise, and some of them blur or holes.

    A fifth are downscaled and upscaled. Of the others, seven in twenty get holes (rectangles and scratches); a fifth
    are blurred; and all get Gaussian noise of 0 to 50 grey levels, except most of those with holes and some of the
    rest. Noise is the same in the three channels of a grey picture. Half of the pictures are clipped to -1..1, as in a
    file.

    Args:
        pictures: float32[b, h, w, 3] in -1..1, with static, even sides.
        seeds: int64[b]; the same seed always does the same damage.

    Returns:
        The damaged pictures and the parameters of the damage.
    """
    height, width = pictures.shape[1], pictures.shape[2]
    chances_Bx7, holes_BxHxK, scratches_BxSxK = uniform_draws(seeds)
    chance, strength, softness = chances_Bx7[:, 0], chances_Bx7[:, 1], chances_Bx7[:, 2]
    enlarged = indicator(chance < 0.2)
    holed = indicator(chances_Bx7[:, 3] < 0.35) * (1 - enlarged)
    blurred = indicator(chances_Bx7[:, 4] < 0.2) * (1 - enlarged)
    quiet = indicator(chances_Bx7[:, 5] < 0.1 + 0.65 * holed)
    sigmas = strength * MAX_SIGMA * (1 - quiet) * (1 - enlarged)
    blurs = (LEAST_BLUR + softness * (MAX_BLUR - LEAST_BLUR)) * blurred
    softened = ops.where(per_picture(enlarged) > 0, enlarge(shrink(pictures)), blur(pictures, blurs))
    noisy = softened + noise(pictures, seeds) * per_picture(sigmas) / 127.5
    kept = ops.where(per_picture(chances_Bx7[:, 6]) < 0.5, noisy, ops.clip(noisy, -1.0, 1.0))
    marks = [rectangles(holes_BxHxK[:, i], height, width) for i in range(HOLES)]
    marks += [scratches(scratches_BxSxK[:, i], height, width) for i in range(SCRATCHES)]
    masks = ops.max(ops.stack(marks), axis=0) * per_picture(holed)
    return Damaged(kept * (1 - masks), masks, sigmas, blurs, enlarged)


def uniform_draws(seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Uniform numbers for the kind of damage, float32[b, 7], for holes, [b, 3, 5], and for scratches, [b, 8, 5]."""
    chances = uniform_rows(seeds, 7 + 5 * (HOLES + SCRATCHES), stream=2)
    places = ops.reshape(chances[:, 7:], [-1, HOLES + SCRATCHES, 5])
    return chances[:, :7], places[:, :HOLES], places[:, HOLES:]


def indicator(condition: Tensor) -> Tensor:
    """float32, 1 where a condition holds and 0 elsewhere."""
    return ops.cast(condition, "float32")


def per_picture(rows: Tensor) -> Tensor:
    """[b] -> [b, 1, 1, 1]."""
    return rows[:, None, None, None]


def noise(pictures: Tensor, seeds: Tensor) -> Tensor:
    """Standard normal noise, float32[b, h, w, 3], with static sides; equal in the channels of grey pictures."""
    _, height, width, channels = pictures.shape
    drawn = ops.reshape(normal_rows(seeds, height * width * channels, stream=3), [-1, height, width, channels])
    grey = ops.all(ops.equal(pictures, pictures[..., :1]), axis=[1, 2, 3], keepdims=True)
    return ops.where(grey, drawn[..., :1], drawn)


def blur(pictures: Tensor, deviations: Tensor) -> Tensor:
    """Gaussian blur, with a deviation for each row.

    Args:
        pictures: float32[b, h, w, c].
        deviations: float32[b] in pixels, up to 2; 0 leaves a picture unchanged.

    Returns:
        float32[b, h, w, c].
    """
    offsets = ops.arange(-BLUR_REACH, BLUR_REACH + 1, dtype="float32")
    weights_BxK = ops.softmax(-(offsets**2) / (2 * ops.maximum(deviations, 0.05)[:, None] ** 2))

    def rows(x: Tensor) -> Tensor:
        height = ops.shape(x)[1]
        padded = mirrored(x, BLUR_REACH)
        return sum([per_picture(weights_BxK[:, k]) * padded[:, k : k + height] for k in range(2 * BLUR_REACH + 1)])

    return transpose(rows(transpose(rows(pictures))))


def shrink(pictures: Tensor) -> Tensor:
    """Downscale float32[b, h, w, c] to half the size by antialiased bicubic interpolation, rounded to grey levels.

    The sides must be even. Borders are mirrored, as in MATLAB's imresize.
    """
    weights = [weight / 2 for weight in (*reversed(CUBIC), *CUBIC)]

    def rows(x: Tensor) -> Tensor:
        height = ops.shape(x)[1]
        padded = mirrored(x, 3)
        return sum([weight * padded[:, k : k + height : 2] for k, weight in enumerate(weights)])

    small = transpose(rows(transpose(rows(pictures))))
    return ops.clip(ops.round((small + 1) * 127.5) / 127.5 - 1, -1.0, 1.0)


def enlarge(pictures: Tensor) -> Tensor:
    """Upscale float32[b, h, w, c] to twice the size by bicubic interpolation (Keys, 1981), mirrored at the borders."""
    near, next_, far, farthest = CUBIC
    weights = (farthest, next_, near, far)

    def rows(x: Tensor) -> Tensor:
        height = ops.shape(x)[1]
        padded = mirrored(x, 2)
        parts = [padded[:, k : k + height] for k in range(5)]
        before = sum([weight * part for weight, part in zip(weights, parts[:4], strict=True)])
        after = sum([weight * part for weight, part in zip(reversed(weights), parts[1:], strict=True)])
        both = ops.stack([before, after], axis=2)
        return ops.reshape(both, [ops.shape(x)[0], 2 * height, ops.shape(x)[2], x.shape[3]])

    return transpose(rows(transpose(rows(pictures))))


def mirrored(pictures: Tensor, margin: int) -> Tensor:
    """Pad pictures above and below with mirrored rows."""
    return ops.pad(pictures, [[0, 0], [margin, margin], [0, 0], [0, 0]], "symmetric")


def transpose(pictures: Tensor) -> Tensor:
    """Exchange rows and columns."""
    return ops.transpose(pictures, [0, 2, 1, 3])


def rectangles(chances_Bx5: Tensor, height: int, width: int) -> Tensor:
    """A mask with a rectangle, empty in half of the rows, float32[b, height, width, 1]; `chances` are in [0, 1)."""
    wanted, top, left, tall, wide = (chances_Bx5[:, i, None, None] for i in range(5))
    smallest, largest = HOLE_SIDES
    tall, wide = (smallest + (largest - smallest) * side for side in (tall, wide))
    y, x = grid(height, width)
    inside_y = (y >= top * (1 - tall)) & (y < top * (1 - tall) + tall)
    inside_x = (x >= left * (1 - wide)) & (x < left * (1 - wide) + wide)
    return indicator(inside_y & inside_x & (wanted < 0.5))[..., None]


def scratches(chances_Bx5: Tensor, height: int, width: int) -> Tensor:
    """A mask with a straight scratch from edge to edge; arguments and result as for `rectangles`."""
    wanted, angle, thickness, through_y, through_x = (chances_Bx5[:, i, None, None] for i in range(5))
    y, x = grid(height, width)
    distance = (y - through_y) * ops.cos(angle * np.pi) - (x - through_x) * ops.sin(angle * np.pi)
    half = (SCRATCH_WIDTHS[0] + (SCRATCH_WIDTHS[1] - SCRATCH_WIDTHS[0]) * thickness) / 2
    return indicator((abs(distance) < half) & (wanted < 0.5))[..., None]


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The centres of pixels in 0..1: y, float32[1, height, 1], and x, float32[1, 1, width]."""
    y = (ops.arange(height, dtype="float32") + 0.5) / height
    x = (ops.arange(width, dtype="float32") + 0.5) / width
    return y[None, :, None], x[None, None, :]
