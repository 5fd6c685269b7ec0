"""What happens to pictures: noise, holes and blur, drawn from a seed for each picture."""

from typing import NamedTuple

import tensorflow as tf

from models.sampling import normal_rows, uniform_rows

MAX_SIGMA = 50.0
HOLE_SIDES = (0.15, 0.35)


class Damaged(NamedTuple):
    """Pictures as the restorer meets them.

    Attributes:
        pictures: float32[b, h, w, 3] in -1..1; holes are 0.
        masks: float32[b, h, w, 1], 1 inside a hole.
        sigmas: float32[b], deviation of the noise in grey levels of 0..255.
    """

    pictures: tf.Tensor
    masks: tf.Tensor
    sigmas: tf.Tensor


def damage(pictures: tf.Tensor, seeds: tf.Tensor) -> Damaged:
    """Damage pictures: a third are blurred, all get Gaussian noise of 0 to 50 grey levels, half get a hole.

    Args:
        pictures: float32[b, h, w, 3] in -1..1, of a static size.
        seeds: int64[b]; the same seed damages a picture in the same way.

    Returns:
        The damaged pictures with what is known of the damage.
    """
    height, width = pictures.shape[1], pictures.shape[2]
    chances_Bx8 = uniform_rows(seeds, 8, stream=2)
    sigmas = chances_Bx8[:, 0] * MAX_SIGMA
    noise = tf.reshape(normal_rows(seeds, height * width * 3, stream=3), [-1, height, width, 3])
    blurred = tf.where((chances_Bx8[:, 1] < 1 / 3)[:, None, None, None], blur(pictures), pictures)
    noisy = tf.clip_by_value(blurred + noise * (sigmas / 127.5)[:, None, None, None], -1.0, 1.0)
    masks = holes(chances_Bx8[:, 2:7], height, width)
    return Damaged(noisy * (1 - masks), masks, sigmas)


def blur(pictures: tf.Tensor) -> tf.Tensor:
    """A 5x5 binomial blur, deviation 1 pixel; float32[b, h, w, 3]."""
    row = tf.constant([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = tf.tile(tf.tensordot(row, row, axes=0)[:, :, None, None], [1, 1, 3, 1])
    padded = tf.pad(pictures, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    return tf.nn.depthwise_conv2d(padded, kernel, strides=[1, 1, 1, 1], padding="VALID")


def holes(chances_Bx5: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Rectangular holes for half of the rows, float32[b, height, width, 1]; draws are uniform in [0, 1)."""
    wanted, top, left, tall, wide = (chances_Bx5[:, i, None, None] for i in range(5))
    smallest, largest = HOLE_SIDES
    tall, wide = (smallest + (largest - smallest) * side for side in (tall, wide))
    y = ((tf.range(height, dtype=tf.float32) + 0.5) / height)[None, :, None]
    x = ((tf.range(width, dtype=tf.float32) + 0.5) / width)[None, None, :]
    inside_y = (y >= top * (1 - tall)) & (y < top * (1 - tall) + tall)
    inside_x = (x >= left * (1 - wide)) & (x < left * (1 - wide) + wide)
    return tf.cast(inside_y & inside_x & (wanted < 0.5), tf.float32)[..., None]
