"""One network that takes noise, blur and holes out of pictures of any size, and enlarges them."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.damage import MAX_BLUR, MAX_SIGMA, Damaged, damage, enlarge
from models.pictures import to_float, to_uint8
from models.tiling import tiled

Pixels = NDArray[np.uint8]
STRIDE = 4
TILE = 320
BATCH_PIXELS = TILE * TILE
FILL_LEVELS = 8
FULL_SIGMA = 2.0
FILL_STEPS = 6
LEAST_ERROR = 1e-4
NOISE_BLOCK = 8
# Of 8x8 blocks of pure noise, the tenth with the least response shows this share of the true deviation.
LOWEST_TENTH = 0.79


@keras.saving.register_keras_serializable(package="easel")
class Restorer(keras.Model):
    """Predicts what to add to a damaged picture, told its noise, blur, holes and whether it was enlarged.

    A U-shaped autoencoder of residual blocks on the picture folded by two, conditioned by constant maps as FFDNet
    (Zhang et al., 2018) is; no normalisation, as in EDSR (Lim et al., 2017).

    Args:
        widths: Channels at half the picture's resolution and at a quarter of it.
        depth: Residual blocks at the quarter.
        half_depth: Residual blocks at the half, before and after the quarter each.
    """

    def __init__(
        self, *, widths: Sequence[int] = (64, 128), depth: int = 2, half_depth: int = 1, **kwargs: Any
    ) -> None:
        # Cast by hand: the residual is added to the picture in full precision, whatever the convolutions run in.
        super().__init__(**{"autocast": False, **kwargs})
        self.widths = tuple(widths)
        self.depth = depth
        self.half_depth = half_depth
        half, quarter = self.widths

        def convolution(width: int, **options: Any) -> keras.layers.Conv2D:
            return keras.layers.Conv2D(width, 3, padding="same", dtype=self.dtype_policy, **options)

        def blocks(width: int, count: int) -> list[list[keras.layers.Conv2D]]:
            # Each block begins as the identity, so that the depth costs no warm-up.
            last = {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}
            return [[convolution(width, activation="relu"), convolution(width, **last)] for _ in range(count)]

        self.encode = convolution(half)
        self.half_blocks = blocks(half, half_depth)
        self.down = convolution(quarter, strides=2)
        self.quarter_blocks = blocks(quarter, depth)
        self.up = keras.layers.Conv2D(4 * half, 1, dtype=self.dtype_policy)
        self.last_blocks = blocks(half, half_depth)
        self.residual = convolution(12, kernel_initializer="zeros")
        self([tf.zeros([1, 8, 8, 3]), tf.zeros([1, 8, 8, 1]), tf.zeros([1, 3])])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        own = {"widths": self.widths, "depth": self.depth, "half_depth": self.half_depth}
        return {**super().get_config(), **own}

    @property
    def reach(self) -> int:
        """Pixels from which an output is influenced, to each side; a multiple of 4, rounded up."""
        halves, quarters = 4 * self.half_depth + 2, 2 * self.depth + 1
        return -(-(2 * halves + 4 * quarters + 4) // STRIDE) * STRIDE

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Restore pictures whose sides are multiples of 4.

        Args:
            inputs: Pictures, float32[b, h, w, 3] in -1..1 with holes filled; masks, float32[b, h, w, 1], 1 in holes;
                conditions, float32[b, 3], as `prepared` gives them.

        Returns:
            float32[b, h, w, 3], about -1..1, not clipped.
        """
        pictures, masks, known = inputs
        folded = tf.nn.space_to_depth(tf.concat([pictures, masks], axis=-1), 2)
        maps = tf.ones_like(folded[..., :3]) * known[:, None, None, :]
        half = self.encode(tf.cast(tf.concat([folded, maps], axis=-1), self.compute_dtype))
        half = passed(half, self.half_blocks)
        quarter = passed(self.down(half), self.quarter_blocks)
        half = passed(half + tf.nn.depth_to_space(self.up(quarter), 2), self.last_blocks)
        residual = tf.cast(tf.nn.depth_to_space(self.residual(half), 2), tf.float32)
        return pictures + residual * touched(masks, known)

    def repair(self, damaged: Damaged, *, holes: bool = True, thorough: bool = False) -> tf.Tensor:
        """In the graph: undo all that is known of the damage, at any size from 8 pixels a side.

        Args:
            damaged: As `models.damage.damage` gives it; what is in a hole does not matter, and a negative deviation
                of the noise is estimated.
            holes: Whether any picture may have holes; where none has, filling them is left out of the graph.
            thorough: Whether to repair each picture in its eight orientations and take their mean: eight times the
                work for a tenth of a decibel or so (self-ensemble, Timofte et al., 2016).

        Returns:
            float32[b, h, w, 3], clipped to -1..1.
        """
        if thorough:
            views = [
                oriented(self.repair(oriented_damage(damaged, *view), holes=holes), *view, back=True)
                for view in itertools.product(range(4), (False, True))
            ]
            return tf.add_n(views) / len(views)
        height, width = sides(damaged.pictures)
        margins = [[0, 0], [0, -height % STRIDE], [0, -width % STRIDE], [0, 0]]
        pictures, masks, known = prepared(damaged, holes=holes)
        stacked = tf.pad(tf.concat([pictures, masks], axis=-1), margins, "SYMMETRIC")
        restored = tiled(
            lambda part: self([part[..., :3], part[..., 3:], known]),
            stacked,
            tile=TILE,
            margin=self.reach,
            multiple=STRIDE,
        )
        return tf.clip_by_value(restored[:, :height, :width], -1.0, 1.0)

    def restore_batch(
        self,
        pictures: tf.Tensor,
        masks: tf.Tensor | None,
        sigmas: tf.Tensor,
        blurs: tf.Tensor | None = None,
        *,
        thorough: bool = False,
    ) -> tf.Tensor:
        """In the graph: `repair` pictures that were not enlarged.

        Without `masks` they are whole, without `blurs` they are sharp.
        """
        nothing = tf.zeros_like(sigmas)
        whole = tf.zeros_like(pictures[..., :1]) if masks is None else masks
        damaged = Damaged(pictures, whole, sigmas, nothing if blurs is None else blurs, nothing)
        return self.repair(damaged, holes=masks is not None, thorough=thorough)

    def enlarge_batch(self, pictures: tf.Tensor, *, thorough: bool = False) -> tf.Tensor:
        """In the graph: float32[b, h, w, 3] in -1..1 -> float32[b, 2h, 2w, 3], clipped; sides from 8."""
        large = enlarge(pictures)
        nothing = tf.zeros_like(large[:, 0, 0, 0])
        damaged = Damaged(large, tf.zeros_like(large[..., :1]), nothing, nothing, nothing + 1)
        return self.repair(damaged, holes=False, thorough=thorough)

    def restore(
        self,
        images: Pixels,
        mask: NDArray[Any] | None = None,
        noise: float | Sequence[float] | None = None,
        blur: float | Sequence[float] = 0.0,
        *,
        thorough: bool = False,
    ) -> Pixels:
        """Restore a picture or a batch of pictures of one size.

        Args:
            images: uint8, RGB (h, w, 3) or (n, h, w, 3), or one grey picture (h, w); at least 8 pixels a side.
            mask: Holes as true or non-zero pixels, (h, w) or (n, h, w); what is inside is drawn anew.
            noise: Deviation of the noise in grey levels of 0..255, one or n; None estimates it.
            blur: Deviation of the blur in pixels, 0..2, one or n; above 0 sharpens.
            thorough: Whether to take eight times as long for a slightly better picture; see `repair`.

        Returns:
            uint8 of the same shape.

        Raises:
            ValueError: If a shape is wrong, or a level is not a number.
        """
        batch = as_batch(images)
        masks = np.zeros(batch.shape[:3], bool) if mask is None else np.asarray(mask, bool)
        shape = batch.shape[:3] if np.ndim(images) == 4 else batch.shape[1:3]
        if mask is not None and masks.shape != shape:
            raise ValueError(f"mask has shape {masks.shape}; for these images it must be {shape}.")
        holes = masks.reshape(*batch.shape[:3], 1).astype(np.float32)
        sigmas, blurs = levels("noise", -1.0 if noise is None else noise, batch), levels("blur", blur, batch)
        restore = partial(self._restore, thorough=thorough)
        return like(images, in_chunks(restore, batch, holes, sigmas, blurs))

    def enlarge(self, images: Pixels, *, thorough: bool = False) -> Pixels:
        """Draw a picture, or a batch of pictures of one size, twice as large.

        Args:
            images: uint8, RGB (h, w, 3) or (n, h, w, 3), or one grey picture (h, w); at least 8 pixels a side.
            thorough: Whether to take eight times as long for a slightly better picture; see `repair`.

        Returns:
            uint8, (2h, 2w, 3), (n, 2h, 2w, 3) or (2h, 2w).

        Raises:
            ValueError: If the shape is wrong.
        """
        return like(images, in_chunks(partial(self._enlarge, thorough=thorough), as_batch(images)))

    @tf.function(reduce_retracing=True)
    def _restore(
        self, pictures: tf.Tensor, masks: tf.Tensor, sigmas: tf.Tensor, blurs: tf.Tensor, *, thorough: bool
    ) -> tf.Tensor:
        return to_uint8(self.restore_batch(to_float(pictures), masks, sigmas, blurs, thorough=thorough))

    @tf.function(reduce_retracing=True)
    def _enlarge(self, pictures: tf.Tensor, *, thorough: bool) -> tf.Tensor:
        return to_uint8(self.enlarge_batch(to_float(pictures), thorough=thorough))


def touched(masks: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """How far the network may change each pixel, float32[b, h, w, 1] in 0..1.

    Holes, blurred and enlarged pictures entirely; where there is only noise, less the closer it is to none, so that
    what is not damaged comes back as it was.
    """
    sigmas, blurs, enlarged = tf.unstack(known, axis=1)
    share = tf.reduce_max(
        tf.stack([tf.minimum(sigmas * MAX_SIGMA / FULL_SIGMA, 1.0), tf.sign(blurs), enlarged]), axis=0
    )
    return tf.maximum(masks, share[:, None, None, None])


def passed(x: tf.Tensor, blocks: list[list[keras.layers.Conv2D]]) -> tf.Tensor:
    """Through residual blocks, one after the other."""
    for first, second in blocks:
        x = x + second(first(x))
    return x


def prepared(damaged: Damaged, *, holes: bool = True) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What the network takes: pictures with filled holes, masks, and its conditions, float32[b, 3]."""
    pictures, masks, sigmas, blurs, enlarged = damaged
    estimated = tf.where(sigmas < 0, noise_sigma(pictures, masks) * (1 - enlarged), sigmas)
    levels = [tf.minimum(estimated, MAX_SIGMA) / MAX_SIGMA, tf.clip_by_value(blurs, 0.0, MAX_BLUR) / MAX_BLUR, enlarged]
    return filled(pictures, masks) if holes else pictures, masks, tf.stack(levels, axis=1)


def oriented(pictures: tf.Tensor, turns: int, mirrored: bool, *, back: bool = False) -> tf.Tensor:
    """Pictures mirrored, if they are to be, and turned by so many right angles, or `back` again; [b, h, w, c]."""
    if back:
        pictures = tf.image.rot90(pictures, -turns % 4)
    pictures = tf.reverse(pictures, [2]) if mirrored else pictures
    return pictures if back else tf.image.rot90(pictures, turns)


def oriented_damage(damaged: Damaged, turns: int, mirrored: bool) -> Damaged:
    """Damaged pictures and their holes, `oriented`."""
    pictures, masks = (oriented(planes, turns, mirrored) for planes in (damaged.pictures, damaged.masks))
    return damaged._replace(pictures=pictures, masks=masks)


def sides(pictures: tf.Tensor) -> tuple[Any, Any]:
    """Height and width of [b, h, w, c]: numbers where the graph knows them, else scalars."""
    sizes = zip(pictures.shape[1:3], tf.unstack(tf.shape(pictures)[1:3]), strict=True)
    return tuple(there if known is None else known for known, there in sizes)


def filled(pictures: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Fill holes smoothly from what surrounds them.

    Averages fill the holes from coarse to fine (push-pull, Gortler et al., 1996), and a few steps of diffusion on each
    level bring them close to the harmonic function of their borders.

    Args:
        pictures: float32[b, h, w, 3].
        masks: float32[b, h, w, 1], 1 in holes.

    Returns:
        float32[b, h, w, 3], the picture outside the holes; 0 in holes so large that nothing surrounds them.
    """
    known = 1 - masks
    pyramid = [tf.concat([pictures * known, known], axis=-1)]
    for _ in range(FILL_LEVELS):
        pyramid.append(tf.nn.avg_pool2d(pyramid[-1], 2, 2, "SAME"))
    coarse = tf.zeros_like(pyramid[-1][..., :3])
    for level in reversed(pyramid):
        coarse = tf.image.resize(coarse, tf.shape(level)[1:3])
        share = level[..., 3:]
        surrounding = tf.math.divide_no_nan(level[..., :3], share)
        for _ in range(FILL_STEPS):
            coarse = tf.where(share > 0, surrounding, diffused(coarse))
    return coarse


def diffused(pictures: tf.Tensor) -> tf.Tensor:
    """The mean of each pixel's four neighbours; float32[b, h, w, c]."""
    around = tf.pad(pictures, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return (around[:, 2:, 1:-1] + around[:, :-2, 1:-1] + around[:, 1:-1, 2:] + around[:, 1:-1, :-2]) / 4


def noise_sigma(pictures: tf.Tensor, masks: tf.Tensor | None = None) -> tf.Tensor:
    """Estimate the deviation of a picture's noise by Immerkaer's operator (1996), which is blind to edges and slopes.

    Its mean over the whole picture takes texture for noise; so it is read in blocks of 8x8 pixels, and the tenth of
    the blocks with the least response decides. Holes do not count.

    Args:
        pictures: float32[b, h, w, 3] in -1..1, sides from 8.
        masks: float32[b, h, w, 1], 1 in holes; None for pictures without.

    Returns:
        float32[b], grey levels of 0..255; 0 where the holes leave nothing to judge by.
    """
    masks = tf.zeros_like(pictures[..., :1]) if masks is None else masks
    kernel = tf.constant([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, 3, 1])
    response = abs(tf.nn.depthwise_conv2d(pictures * 127.5, kernel, strides=[1, 1, 1, 1], padding="VALID"))
    whole = tf.ones_like(response) * (1 - tf.nn.max_pool2d(masks, 3, 1, "VALID"))
    sums, shares = (tf.nn.avg_pool2d(x, NOISE_BLOCK, NOISE_BLOCK, "SAME") for x in (response * whole, whole))
    means = tf.where(shares >= 0.5, tf.math.divide_no_nan(sums, shares), np.inf)
    ranked = tf.sort(tf.reshape(means, [tf.shape(means)[0], -1]))
    counts = tf.reduce_sum(tf.cast(tf.math.is_finite(ranked), tf.int32), axis=1)
    lowest = tf.gather(ranked, counts // 10, batch_dims=1)
    return tf.where(counts > 0, lowest, 0.0) * (np.sqrt(np.pi / 2) / 6 / LOWEST_TENTH)


def as_batch(images: Pixels) -> Pixels:
    """uint8 (h, w), (h, w, 3) or (n, h, w, 3) -> (n, h, w, 3)."""
    pictures = np.asarray(images)
    coloured = np.repeat(pictures[..., None], 3, axis=-1) if pictures.ndim == 2 else pictures
    batch = coloured[None] if coloured.ndim == 3 else coloured
    if batch.ndim != 4 or batch.shape[-1] != 3 or min(batch.shape[1:3]) < 8:
        raise ValueError(
            f"images has shape {pictures.shape}; it must be (h, w), (h, w, 3) or (n, h, w, 3), sides from 8."
        )
    return batch


def like(images: Pixels, batch: Pixels) -> Pixels:
    """A restored batch with as many dimensions as the pictures that were given; grey is the mean of the channels."""
    if np.ndim(images) == 2:
        return np.rint(batch[0].mean(axis=-1)).astype(np.uint8)
    return batch[0] if np.ndim(images) == 3 else batch


def levels(name: str, values: float | Sequence[float], batch: Pixels) -> NDArray[np.float32]:
    """One number or n numbers as float32[n]."""
    rows = np.asarray(values, np.float32)
    if rows.size not in (1, len(batch)):
        raise ValueError(f"{name} has {rows.size} values; give one for all {len(batch)} images, or one for each.")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} is {values}; it must be a finite number.")
    return np.broadcast_to(rows.ravel(), len(batch))


def in_chunks(apply: Any, batch: Pixels, *rows: NDArray[Any]) -> Pixels:
    """Apply a function to a few rows at a time, so that memory stays bounded for a batch of large pictures."""
    step = max(1, BATCH_PIXELS * 8 // (batch.shape[1] * batch.shape[2]))
    starts = range(0, len(batch), step)
    parts = [apply(*(part[start : start + step] for part in (batch, *rows))).numpy() for start in starts]
    return np.concatenate(parts)


class RestorerTraining(keras.Model):
    """How the restorer learns: from clean pictures that it damages itself.

    The loss is `ssim_weight` * (1 - SSIM) - `psnr_weight` * PSNR. By the logarithm in the PSNR of each picture a slight
    damage counts as much as a heavy one: with the mean squared error, heavy noise and holes drown all else.

    Args:
        restorer: The model to train.
        psnr_weight: Weight of a decibel of PSNR; what is above 46 dB counts little.
        ssim_weight: Weight of one minus the structural similarity (Wang et al., 2004), on pictures from 11 pixels.
    """

    def __init__(self, restorer: Restorer, *, psnr_weight: float = 0.25, ssim_weight: float = 0.0) -> None:
        super().__init__()
        self.restorer = restorer
        self.psnr_weight = psnr_weight
        self.ssim_weight = ssim_weight
        self.built = True

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on `image` uint8[b, s, s, 3] and `seed` int64[b], which decides the damage.

        A quarter of the pictures come with an estimate of the noise and the others with the truth, so that both serve
        later.
        """
        real = to_float(batch["image"])
        damaged = damage(real, batch["seed"])
        inputs = prepared(damaged._replace(sigmas=tf.where(batch["seed"] % 4 == 0, -1.0, damaged.sigmas)))
        with tf.GradientTape() as tape:
            restored = self.restorer(inputs)
            squared_B = tf.reduce_mean((restored - real) ** 2, axis=[1, 2, 3])
            psnr = tf.reduce_mean(10 / np.log(10) * tf.math.log(4 / (squared_B + LEAST_ERROR)))
            loss, metrics = -self.psnr_weight * psnr, {"psnr": psnr}
            if self.ssim_weight:
                similarity = tf.reduce_mean(keras.ops.image.ssim((restored + 1) / 2, (real + 1) / 2))
                loss, metrics = loss + self.ssim_weight * (1 - similarity), {**metrics, "ssim": similarity}
        variables = self.restorer.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss, **metrics}
