"""Pictures as Transform keeps them: the plain bytes of squares, since it knows no uint8."""

import tensorflow as tf

from models.pictures import decode, square


def raw_squares(images: tf.Tensor, size: int) -> tf.Tensor:
    """Encoded pictures of any size, string[b], -> string[b, 1], size * size * 3 bytes of uint8 each."""

    def raw_square(image: tf.Tensor) -> tf.Tensor:
        picture = decode(image)
        fits = tf.reduce_all(tf.shape(picture) == [size, size, 3])
        # Scaling to the size that it has would take most of the time.
        scaled = tf.cond(fits, lambda: picture, lambda: square(picture, size))
        # The tensor's contents are the last field of its proto.
        return tf.strings.substr(tf.io.serialize_tensor(scaled), -(size * size * 3), size * size * 3)

    return tf.map_fn(raw_square, images, fn_output_signature=tf.TensorSpec([], tf.string))[:, None]


def from_bytes(images: tf.Tensor, picture_size: int) -> tf.Tensor:
    """string[b, 1] -> uint8[b, s, s, 3], what `raw_squares` made."""
    flat_pixels = tf.io.decode_raw(tf.reshape(images, [-1]), tf.uint8)
    return tf.reshape(flat_pixels, [-1, picture_size, picture_size, 3])
