"""A network that denoises, sharpens, inpaints and upscales pictures of any size."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.damage import Damaged, enlarge
from models.restorer_network import STRIDE, RestorerNetwork, prepared, touched
from models.tensors import to_float, to_uint8
from models.tiling import tiled

Pixels = NDArray[np.uint8]
TILE = 576
"""Large enough for a 512x512 picture in one tile, and for the margins to cost less than the tile."""
BATCH_PIXELS = 320 * 320


@keras.saving.register_keras_serializable(package="easel")
class Restorer(RestorerNetwork):
    """Restores pictures of any size, in TensorFlow's graph and from Python."""

    def repair(self, damaged: Damaged, *, holes: bool = True, thorough: bool = False) -> tf.Tensor:
        """In the graph: restore damaged pictures of any size from 8 pixels per side.

        Args:
            damaged: As `models.damage.damage` returns it. The contents of holes are ignored; a negative standard
                deviation of the noise means that it is estimated.
            holes: Whether a picture can have holes; if not, the graph does not fill any.
            thorough: Whether to average the results for eight orientations: about 0.1 dB for eight times the work
                (self-ensemble, Timofte et al., 2016).

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

        def restored() -> tf.Tensor:
            stacked = tf.pad(tf.concat([pictures, masks], axis=-1), margins, "SYMMETRIC")
            whole = tiled(
                lambda part: self([part[..., :3], part[..., 3:], known]),
                stacked,
                tile=TILE,
                margin=self.reach,
                multiple=STRIDE,
            )
            return whole[:, :height, :width]

        # The network would return undamaged pictures as they are.
        damage = tf.reduce_any(touched(masks, known) > 0)
        return tf.clip_by_value(tf.cond(damage, restored, lambda: pictures), -1.0, 1.0)

    def restore_batch(
        self,
        pictures: tf.Tensor,
        masks: tf.Tensor | None,
        sigmas: tf.Tensor,
        blurs: tf.Tensor | None = None,
        *,
        thorough: bool = False,
    ) -> tf.Tensor:
        """In the graph: `repair` pictures that were not upscaled.

        Without `masks` there are no holes, and without `blurs` no blur.
        """
        nothing = tf.zeros_like(sigmas)
        whole = tf.zeros_like(pictures[..., :1]) if masks is None else masks
        damaged = Damaged(pictures, whole, sigmas, nothing if blurs is None else blurs, nothing)
        return self.repair(damaged, holes=masks is not None, thorough=thorough)

    def enlarge_batch(self, pictures: tf.Tensor, *, thorough: bool = False) -> tf.Tensor:
        """In the graph: upscale float32[b, h, w, 3] in -1..1 to float32[b, 2h, 2w, 3], clipped; sides from 8."""
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
        """Restore a picture, or a batch of pictures of the same size.

        Args:
            images: uint8, RGB (h, w, 3) or (n, h, w, 3), or one grey picture (h, w); at least 8 pixels per side.
            mask: Holes as true or non-zero pixels, (h, w) or (n, h, w).
            noise: Standard deviation of the noise in grey levels of 0..255, one or n; None to estimate it.
            blur: Standard deviation of the blur to remove, in pixels, 0..2, one or n.
            thorough: Whether to use the self-ensemble, which takes eight times as long; see `repair`.

        Returns:
            uint8 of the same shape.

        Raises:
            ValueError: A shape is wrong, or a level is not a number.
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
        """Upscale a picture, or a batch of pictures of the same size, to twice the size.

        Args:
            images: uint8, RGB (h, w, 3) or (n, h, w, 3), or one grey picture (h, w); at least 8 pixels per side.
            thorough: Whether to use the self-ensemble, which takes eight times as long; see `repair`.

        Returns:
            uint8, (2h, 2w, 3), (n, 2h, 2w, 3) or (2h, 2w).

        Raises:
            ValueError: The shape is wrong.
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


def oriented(pictures: tf.Tensor, turns: int, mirrored: bool, *, back: bool = False) -> tf.Tensor:
    """Optionally mirror pictures, [b, h, w, c], and rotate them by right angles; `back` inverts this."""
    if back:
        pictures = tf.image.rot90(pictures, -turns % 4)
    pictures = tf.reverse(pictures, [2]) if mirrored else pictures
    return pictures if back else tf.image.rot90(pictures, turns)


def oriented_damage(damaged: Damaged, turns: int, mirrored: bool) -> Damaged:
    """Damaged pictures and their holes, `oriented`."""
    pictures, masks = (oriented(planes, turns, mirrored) for planes in (damaged.pictures, damaged.masks))
    return damaged._replace(pictures=pictures, masks=masks)


def sides(pictures: tf.Tensor) -> tuple[Any, Any]:
    """Height and width of [b, h, w, c]: numbers if they are static, else scalar tensors."""
    sizes = zip(pictures.shape[1:3], tf.unstack(tf.shape(pictures)[1:3]), strict=True)
    return tuple(there if known is None else known for known, there in sizes)


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
    """A restored batch with the number of dimensions of `images`; grey is the mean of the channels."""
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
    """Apply a function to a few rows at a time, which bounds memory for a batch of large pictures."""
    step = max(1, BATCH_PIXELS * 8 // (batch.shape[1] * batch.shape[2]))
    starts = range(0, len(batch), step)
    parts = [apply(*(part[start : start + step] for part in (batch, *rows))).numpy() for start in starts]
    return np.concatenate(parts)
