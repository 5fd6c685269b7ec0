"""Stateless randomness by row: what a row draws depends on its own seed alone, whatever the batch it rides in."""

import tensorflow as tf


def normal_rows(seeds: tf.Tensor, size: int, *, stream: int) -> tf.Tensor:
    """Standard normal draws.

    Args:
        seeds: int64[b], any values.
        size: Draws for each row.
        stream: Tells independent uses of the same seed apart.

    Returns:
        float32[b, size].
    """
    return draw_rows(tf.random.stateless_normal, seeds, size, stream)


def uniform_rows(seeds: tf.Tensor, size: int, *, stream: int) -> tf.Tensor:
    """Uniform draws in [0, 1); arguments and result as for `normal_rows`."""
    return draw_rows(tf.random.stateless_uniform, seeds, size, stream)


def draw_rows(draw: tf.types.experimental.GenericFunction, seeds: tf.Tensor, size: int, stream: int) -> tf.Tensor:
    """Call a stateless sampler once for each seed."""
    rows = tf.map_fn(
        lambda seed: draw([size], seed=tf.stack([seed, tf.constant(stream, tf.int64)])),
        tf.cast(seeds, tf.int64),
        fn_output_signature=tf.TensorSpec([size], tf.float32),
    )
    return tf.ensure_shape(rows, [None, size])
