"""Pictures in Transform's output: the raw bytes of squares, because it has no uint8."""

import math

import tensorflow as tf

from models.pictures import decode, square


def raw_squares(images: tf.Tensor, size: int) -> tf.Tensor:
    """Encoded pictures of any size, string[b], -> string[b, 1], size * size * 3 bytes of uint8 each."""

    def raw_square(image: tf.Tensor) -> tf.Tensor:
        picture = decode(image)
        fits = tf.reduce_all(tf.shape(picture) == [size, size, 3])
        # Resizing to the same size would take most of the time.
        scaled = tf.cond(fits, lambda: picture, lambda: square(picture, size))
        # The tensor's contents are the last field of its proto.
        return tf.strings.substr(tf.io.serialize_tensor(scaled), -(size * size * 3), size * size * 3)

    return tf.map_fn(raw_square, images, fn_output_signature=tf.TensorSpec([], tf.string))[:, None]


def from_bytes(images: tf.Tensor, picture_size: int) -> tf.Tensor:
    """Decode `raw_squares`, string[b, 1], to uint8[b, s, s, 3]; larger pictures are averaged down to this size.

    Raises:
        ValueError: The sides are not a multiple of `picture_size`.
    """
    flat_pixels = tf.io.decode_raw(tf.reshape(images, [-1]), tf.uint8)
    side = math.isqrt(flat_pixels.shape[1] // 3) or picture_size
    if side % picture_size:
        raise ValueError(f"Pictures of {side} pixels cannot be averaged down to {picture_size}.")
    pictures = tf.reshape(flat_pixels, [-1, side, side, 3])
    return pictures if side == picture_size else coarser(pictures, side // picture_size)


def coarser(pictures: tf.Tensor, times: int) -> tf.Tensor:
    """Means over blocks of pixels, uint8[b, s, s, 3] -> uint8[b, s / times, s / times, 3]."""
    means = tf.nn.avg_pool2d(tf.cast(pictures, tf.float32), times, times, "VALID")
    return tf.cast(tf.round(means), tf.uint8)
