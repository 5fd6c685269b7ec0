"""Decoding, encoding and cropping pictures in the graph."""

import tensorflow as tf

# Bytes 29 and 30 hold the bits per pixel; the header before them may contain any bytes.
PALETTE_BMP = r"BM\C{26}[\x01-\x08]\C"


COMPRESSION = 2
"""Of drawings as PNG, 0 to 9: 6, the default, takes three times as long and saves about a tenth of the bytes."""


def encode_png(pictures: tf.Tensor) -> tf.Tensor:
    """uint8[b, h, w, 3] -> string[b]."""

    def encoded(picture: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(picture, compression=COMPRESSION)

    return tf.map_fn(encoded, pictures, fn_output_signature=tf.TensorSpec([], tf.string))


def decode(image_bytes: tf.Tensor) -> tf.Tensor:
    """Decode a PNG, JPEG, BMP, WebP or GIF (its first frame), string[], to uint8[h, w, 3].

    A BMP with a palette is an error, because TensorFlow would read its colour indices as grey levels.
    """
    has_palette = tf.strings.regex_full_match(tf.strings.substr(image_bytes, 0, 30), PALETTE_BMP)
    message = "a picture is a BMP with a palette, which is not read here: send it as PNG"
    with tf.control_dependencies([tf.debugging.Assert(tf.logical_not(has_palette), [message])]):
        picture = tf.io.decode_image(image_bytes, channels=3, expand_animations=False)
    return tf.ensure_shape(picture, [None, None, 3])


def decode_mask(mask_bytes: tf.Tensor) -> tf.Tensor:
    """Decode a mask, string[], to float32[h, w, 1]: 1 where it is white and 0 where it is black."""
    return tf.cast(tf.image.rgb_to_grayscale(decode(mask_bytes)) > 127, tf.float32)


def square(picture: tf.Tensor, size: int) -> tf.Tensor:
    """Crop the central square of uint8[h, w, 3] and resize it, with anti-aliasing, to uint8[size, size, 3]."""
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
