"""The network of the restorer: restores pictures, given the parameters of their damage."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from models.backends import backend
from models.damage import MAX_BLUR, MAX_SIGMA, Damaged
from models.tensors import Tensor

STRIDE = 4
FILL_LEVELS = 8
FULL_SIGMA = 2.0
LEAST_SIGMA = 0.5
"""Grey levels of noise below which a picture counts as clean: nobody sees it, and at most a quarter would be undone."""
FILL_STEPS = 6
NOISE_BLOCK = 8
# For pure noise, the tenth of the 8x8 blocks with the least response estimates this share of the true deviation.
LOWEST_TENTH = 0.79


@keras.saving.register_keras_serializable(package="easel")
class RestorerNetwork(keras.Model):
    """Predicts the residual of a damaged picture, given its noise, blur, holes and whether it was upscaled.

    A U-shaped autoencoder of residual blocks on 2x2 blocks of pixels, conditioned by constant maps as in FFDNet
    (Zhang et al., 2018), without normalisation, as in EDSR (Lim et al., 2017).

    Args:
        widths: Channels at a half and at a quarter of the picture's resolution.
        depth: Number of residual blocks at the quarter.
        half_depth: Number of residual blocks at the half, each before and after the quarter.
    """

    def __init__(
        self, *, widths: Sequence[int] = (64, 128), depth: int = 2, half_depth: int = 1, **kwargs: Any
    ) -> None:
        # Cast by hand: the residual is added in full precision, whatever the precision of the convolutions.
        super().__init__(**{"autocast": False, **kwargs})
        self.widths = tuple(widths)
        self.depth = depth
        self.half_depth = half_depth
        half, quarter = self.widths

        def convolution(width: int, **options: Any) -> keras.layers.Conv2D:
            return keras.layers.Conv2D(width, 3, padding="same", dtype=self.dtype_policy, **options)

        def blocks(width: int, count: int) -> list[list[keras.layers.Conv2D]]:
            # Each block starts close to the identity, so that depth needs no warm-up.
            last = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
            return [[convolution(width, activation="relu"), convolution(width, **last)] for _ in range(count)]

        self.encode = convolution(half)
        self.half_blocks = blocks(half, half_depth)
        self.down = convolution(quarter, strides=2)
        self.quarter_blocks = blocks(quarter, depth)
        self.up = keras.layers.Conv2D(4 * half, 1, dtype=self.dtype_policy)
        self.last_blocks = blocks(half, half_depth)
        self.residual = convolution(12, kernel_initializer="zeros")
        self([ops.zeros([1, 8, 8, 3]), ops.zeros([1, 8, 8, 1]), ops.zeros([1, 3])])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"widths": self.widths, "depth": self.depth, "half_depth": self.half_depth}
        return {**super().get_config(), **own}

    @property
    def reach(self) -> int:
        """Radius of the receptive field in pixels, rounded up to a multiple of 4."""
        halves, quarters = 4 * self.half_depth + 2, 2 * self.depth + 1
        return -(-(2 * halves + 4 * quarters + 4) // STRIDE) * STRIDE

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Restore pictures whose sides are multiples of 4.

        Args:
            inputs: Pictures, float32[b, h, w, 3] in -1..1 with holes filled; masks, float32[b, h, w, 1], 1 in holes;
                conditions, float32[b, 3], as `prepared` returns them.

        Returns:
            float32[b, h, w, 3], about -1..1, not clipped.
        """
        pictures, masks, known = inputs
        folded = ops.space_to_depth(ops.concatenate([pictures, masks], axis=-1), 2)
        maps = ops.ones_like(folded[..., :3]) * known[:, None, None, :]
        half = self.encode(ops.cast(ops.concatenate([folded, maps], axis=-1), self.compute_dtype))
        half = passed(half, self.half_blocks)
        quarter = passed(self.down(half), self.quarter_blocks)
        half = passed(half + ops.depth_to_space(self.up(quarter), 2), self.last_blocks)
        residual = ops.cast(ops.depth_to_space(self.residual(half), 2), "float32")
        return pictures + residual * touched(masks, known)


def touched(masks: Tensor, known: Tensor) -> Tensor:
    """The weight of the residual at each pixel, float32[b, h, w, 1] in 0..1.

    1 in holes and in blurred or upscaled pictures; elsewhere it falls to 0 with the noise, so that undamaged pictures
    are returned unchanged.
    """
    sigmas, blurs, enlarged = ops.unstack(known, axis=1)
    levels = sigmas * MAX_SIGMA
    noisy = ops.where(levels < LEAST_SIGMA, 0.0, ops.minimum(levels / FULL_SIGMA, 1.0))
    share = ops.max(ops.stack([noisy, ops.sign(blurs), enlarged]), axis=0)
    return ops.maximum(masks, share[:, None, None, None])


def passed(x: Tensor, blocks: list[list[keras.layers.Conv2D]]) -> Tensor:
    """Apply residual blocks one after the other."""
    for first, second in blocks:
        x = x + second(first(x))
    return x


def prepared(damaged: Damaged, *, holes: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The inputs of the network: pictures with filled holes, masks, and conditions, float32[b, 3]."""
    pictures, masks, sigmas, blurs, enlarged = damaged
    estimated = ops.where(sigmas < 0, noise_sigma(pictures, masks if holes else None) * (1 - enlarged), sigmas)
    levels = [ops.minimum(estimated, MAX_SIGMA) / MAX_SIGMA, ops.clip(blurs, 0.0, MAX_BLUR) / MAX_BLUR, enlarged]
    return filled(pictures, masks) if holes else pictures, masks, ops.stack(levels, axis=1)


def filled(pictures: Tensor, masks: Tensor) -> Tensor:
    """Fill holes smoothly from their surroundings.

    Averages fill the holes from coarse to fine (push-pull, Gortler et al., 1996), and a few steps of diffusion on each
    level approximate the harmonic function of their borders.

    Args:
        pictures: float32[b, h, w, 3].
        masks: float32[b, h, w, 1], 1 in holes.

    Returns:
        float32[b, h, w, 3], equal to the picture outside the holes; 0 in holes that are too large to fill.
    """
    known = 1 - masks
    pyramid = [ops.concatenate([pictures * known, known], axis=-1)]
    for _ in range(FILL_LEVELS):
        pyramid.append(ops.average_pool(pyramid[-1], 2, 2, "same"))
    coarse = ops.zeros_like(pyramid[-1][..., :3])
    for level in reversed(pyramid):
        coarse = backend.resize(coarse, ops.shape(level)[1:3])
        coarse = backend.repeated(partial(relaxed, level), coarse, FILL_STEPS)
    return coarse


def relaxed(level: Tensor, pictures: Tensor) -> Tensor:
    """One step of diffusion in the unknown pixels of a level of the pyramid, float32[b, h, w, 4]."""
    share = level[..., 3:]
    return ops.where(share > 0, ops.divide_no_nan(level[..., :3], share), diffused(pictures))


def diffused(pictures: Tensor) -> Tensor:
    """The mean of each pixel's four neighbours; float32[b, h, w, c]."""
    around = ops.pad(pictures, [[0, 0], [1, 1], [1, 1], [0, 0]], "symmetric")
    return (around[:, 2:, 1:-1] + around[:, :-2, 1:-1] + around[:, 1:-1, 2:] + around[:, 1:-1, :-2]) / 4


def noise_sigma(pictures: Tensor, masks: Tensor | None = None) -> Tensor:
    """Estimate the standard deviation of noise by Immerkaer's operator (1996), which ignores edges and slopes.

    Its mean over the whole picture would count texture as noise, so the estimate is the response of the least textured
    tenth of the 8x8 blocks. Holes are left out.

    Args:
        pictures: float32[b, h, w, 3] in -1..1, sides from 8.
        masks: float32[b, h, w, 1], 1 in holes; None for pictures without holes.

    Returns:
        float32[b], in grey levels of 0..255; 0 if the holes leave no block.
    """
    kernel = 127.5 * np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)[:, :, None, None].repeat(3, axis=2)
    response = abs(ops.depthwise_conv(pictures, kernel))
    if masks is None:
        means = in_blocks(response)
    else:
        whole = ops.ones_like(response) * (1 - ops.max_pool(masks, 3, 1))
        shares = in_blocks(whole)
        means = ops.where(shares >= 0.5, ops.divide_no_nan(in_blocks(response * whole), shares), np.inf)
    ranked = ops.sort(ops.reshape(means, [ops.shape(means)[0], -1]))
    counts = ops.sum(ops.cast(ops.isfinite(ranked), "int32"), axis=1)
    in_place = ops.equal(ops.arange(ops.shape(ranked)[1]), counts[:, None] // 10)
    lowest = ops.sum(ops.where(in_place, ranked, 0.0), axis=1)
    return ops.where(counts > 0, lowest, 0.0) * (np.sqrt(np.pi / 2) / 6 / LOWEST_TENTH)


def in_blocks(x: Tensor) -> Tensor:
    """The means of blocks of 8x8 pixels; float32[b, h, w, c]."""
    return ops.average_pool(x, NOISE_BLOCK, NOISE_BLOCK, "same")
