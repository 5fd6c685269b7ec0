"""Pictures in the graph: decoding, squaring, and the two number ranges, uint8 and -1..1."""

import tensorflow as tf


def to_uint8(pictures: tf.Tensor) -> tf.Tensor:
    """float32[...] in -1..1 -> uint8[...]; values outside are clipped."""
    return tf.cast(tf.round((tf.clip_by_value(pictures, -1.0, 1.0) + 1.0) * 127.5), tf.uint8)


def to_float(pictures: tf.Tensor) -> tf.Tensor:
    """uint8[...] -> float32[...] in -1..1."""
    return tf.cast(pictures, tf.float32) / 127.5 - 1.0


def encode_png(pictures: tf.Tensor) -> tf.Tensor:
    """uint8[b, h, w, 3] -> string[b]."""
    return tf.map_fn(tf.io.encode_png, pictures, fn_output_signature=tf.TensorSpec([], tf.string))


def decode(image_bytes: tf.Tensor, *, channels: int = 3) -> tf.Tensor:
    """One PNG, JPEG, BMP or GIF (its first frame), string[], -> uint8[h, w, channels]."""
    picture = tf.io.decode_image(image_bytes, channels=channels, expand_animations=False)
    return tf.ensure_shape(picture, [None, None, channels])


def square(picture: tf.Tensor, size: int) -> tf.Tensor:
    """Cut the middle square out of uint8[h, w, 3] and scale it, with anti-aliasing, to uint8[size, size, 3]."""
    height, width = tf.shape(picture)[0], tf.shape(picture)[1]
    side = tf.minimum(height, width)
    middle = tf.image.crop_to_bounding_box(picture, (height - side) // 2, (width - side) // 2, side, side)
    scaled = tf.image.resize(tf.cast(middle, tf.float32), [size, size], antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)


def decode_squares(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Encoded pictures of any size, string[b], -> uint8[b, size, size, 3]."""
    return tf.map_fn(
        lambda image: square(decode(image), size),
        image_bytes,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
    )
