"""An autoencoder that takes noise, blur and holes out of pictures of any size."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.damage import damage
from models.pictures import to_float, to_uint8

Pixels = NDArray[np.uint8]
STRIDE = 4


@keras.saving.register_keras_serializable(package="easel")
class Restorer(keras.Model):
    """Predicts what to add to a damaged picture, given a map of its noise and of its holes (as FFDNet, 2018, does).

    Args:
        widths: Channels at half the picture's resolution and at a quarter of it.
        depth: Residual blocks at the quarter.
    """

    def __init__(self, *, widths: Sequence[int] = (32, 64), depth: int = 3, **kwargs: Any) -> None:
        # Cast by hand: the residual is added to the picture in full precision, whatever the convolutions run in.
        super().__init__(**{"autocast": False, **kwargs})
        self.widths = tuple(widths)
        self.depth = depth
        half, quarter = self.widths

        def convolution(width: int, **options: Any) -> keras.layers.Conv2D:
            return keras.layers.Conv2D(width, 3, padding="same", dtype=self.dtype_policy, **options)

        self.encode_half = convolution(half, activation="relu")
        self.encode_quarter = convolution(quarter, strides=2, activation="relu")
        self.blocks = [[convolution(quarter, activation="relu"), convolution(quarter)] for _ in range(depth)]
        self.decode_half = convolution(4 * half, activation="relu")
        self.merge = convolution(half, activation="relu")
        self.residual = convolution(12, kernel_initializer="zeros")
        self([tf.zeros([1, 8, 8, 3]), tf.zeros([1, 8, 8, 1]), tf.zeros([1])])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "widths": self.widths, "depth": self.depth}

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Restore pictures whose sides are multiples of 4.

        Args:
            inputs: Pictures, float32[b, h, w, 3] in -1..1 with holes at 0; masks, float32[b, h, w, 1], 1 in holes;
                deviations of the noise, float32[b], in grey levels of 0..255.

        Returns:
            float32[b, h, w, 3], about -1..1, not clipped.
        """
        pictures, masks, sigmas = inputs
        noise_map = tf.ones_like(masks) * (sigmas / 127.5)[:, None, None, None]
        stacked = tf.cast(tf.concat([pictures, masks, noise_map], axis=-1), self.compute_dtype)
        folded = tf.nn.space_to_depth(stacked, 2)
        half = self.encode_half(folded)
        x = self.encode_quarter(half)
        for first, second in self.blocks:
            x = x + second(first(x))
        x = tf.nn.depth_to_space(self.decode_half(x), 2)
        x = self.merge(tf.concat([x, half], axis=-1))
        return tf.cast(pictures, tf.float32) + tf.cast(tf.nn.depth_to_space(self.residual(x), 2), tf.float32)

    def restore_batch(self, pictures: tf.Tensor, masks: tf.Tensor, sigmas: tf.Tensor) -> tf.Tensor:
        """In the graph: as `call`, for any size, clipped to -1..1; a negative deviation is estimated."""
        sigmas = tf.where(sigmas < 0, noise_sigma(pictures), sigmas)
        height, width = tf.shape(pictures)[1], tf.shape(pictures)[2]
        margins = [[0, 0], [0, -height % STRIDE], [0, -width % STRIDE], [0, 0]]
        pictures, masks = (tf.pad(x, margins, "SYMMETRIC") for x in (pictures * (1 - masks), masks))
        restored = self([pictures, masks, sigmas])[:, :height, :width]
        return tf.clip_by_value(restored, -1.0, 1.0)

    def restore(
        self, images: Pixels, mask: NDArray[Any] | None = None, noise: float | Sequence[float] | None = None
    ) -> Pixels:
        """Restore a picture or a batch of pictures of one size.

        Args:
            images: uint8 RGB, (h, w, 3) or (n, h, w, 3), at least 8 pixels a side.
            mask: Holes as true or non-zero pixels, (h, w) or (n, h, w); what is inside is drawn anew.
            noise: Deviation of the noise in grey levels of 0..255, one or n; None estimates it.

        Returns:
            uint8 RGB of the same shape.

        Raises:
            ValueError: If a shape is wrong.
        """
        pictures = np.asarray(images)
        batch = pictures[None] if pictures.ndim == 3 else pictures
        if batch.ndim != 4 or batch.shape[-1] != 3 or min(batch.shape[1:3]) < 8:
            raise ValueError(f"images has shape {pictures.shape}; it must be (h, w, 3) or (n, h, w, 3), sides from 8.")
        masks = np.zeros(pictures.shape[:-1], bool) if mask is None else np.asarray(mask, bool)
        if masks.shape != pictures.shape[:-1]:
            raise ValueError(f"mask has shape {masks.shape}; for these images it must be {pictures.shape[:-1]}.")
        sigmas = np.broadcast_to(np.asarray(-1.0 if noise is None else noise, np.float32), len(batch))
        holes = masks.reshape(*batch.shape[:3], 1).astype(np.float32)
        restored = self._restore(to_float(batch), holes, sigmas).numpy()
        return restored[0] if pictures.ndim == 3 else restored

    @tf.function(reduce_retracing=True)
    def _restore(self, pictures: tf.Tensor, masks: tf.Tensor, sigmas: tf.Tensor) -> tf.Tensor:
        return to_uint8(self.restore_batch(pictures, masks, sigmas))


def noise_sigma(pictures: tf.Tensor) -> tf.Tensor:
    """Estimate the deviation of a picture's noise (Immerkaer, 1996), which takes fine texture for noise too.

    Args:
        pictures: float32[b, h, w, 3] in -1..1.

    Returns:
        float32[b], grey levels of 0..255.
    """
    kernel = tf.constant([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, 3, 1])
    response = tf.nn.depthwise_conv2d(pictures * 127.5, kernel, strides=[1, 1, 1, 1], padding="VALID")
    return tf.reduce_mean(abs(response), axis=[1, 2, 3]) * (np.sqrt(np.pi / 2) / 6)


class RestorerTraining(keras.Model):
    """How the restorer learns: from clean pictures that it damages itself.

    Args:
        restorer: The model to train.
        mse_weight: Weight of the mean squared error, on pictures in -1..1.
        ssim_weight: Weight of one minus the structural similarity (Wang et al., 2004).
    """

    def __init__(self, restorer: Restorer, *, mse_weight: float = 10.0, ssim_weight: float = 1.0) -> None:
        super().__init__()
        self.restorer = restorer
        self.mse_weight = mse_weight
        self.ssim_weight = ssim_weight
        self.built = True

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on `image` uint8[b, s, s, 3] and `seed` int64[b], which decides the damage.

        Half of the pictures come with the true noise level and half with an estimate, so that both serve later.
        """
        real = to_float(batch["image"])
        damaged = damage(real, batch["seed"])
        estimated = tf.equal(batch["seed"] % 2, 0)
        sigmas = tf.where(estimated, noise_sigma(damaged.pictures), damaged.sigmas)
        with tf.GradientTape() as tape:
            restored = self.restorer([damaged.pictures, damaged.masks, sigmas])
            squared = tf.reduce_mean((restored - real) ** 2)
            similarity = tf.reduce_mean(keras.ops.image.ssim((restored + 1) / 2, (real + 1) / 2))
            loss = self.mse_weight * squared + self.ssim_weight * (1 - similarity)
        variables = self.restorer.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss, "psnr": 10 * tf.math.log(4 / squared) / tf.math.log(10.0), "ssim": similarity}
