"""Applies a network with a bounded receptive field to pictures of any size, tile by tile, without seams."""

from collections.abc import Callable

import tensorflow as tf


def tiled(
    network: Callable[[tf.Tensor], tf.Tensor], pictures: tf.Tensor, *, tile: int, margin: int, multiple: int
) -> tf.Tensor:
    """In the graph: apply a network tile by tile, with the same result as on the whole picture.

    Each tile is read with `margin` pixels of the picture around it, and only its centre is kept; so the results are
    equal if no output depends on inputs farther away than `margin`.

    Args:
        network: Maps float32[b, h, w, c] to float32[b, h, w, 3].
        pictures: float32[b, h, w, c], with sides that are multiples of `multiple`.
        tile: Largest side of the network's input, a multiple of `multiple`; smaller pictures are not split.
        margin: Overlap in pixels, a multiple of `multiple` and less than half of `tile`.
        multiple: Number that divides the sides of all tiles.

    Returns:
        float32[b, h, w, 3].
    """
    if tile % multiple or margin % multiple or 2 * margin >= tile:
        raise ValueError(f"tile {tile} and margin {margin} must be multiples of {multiple}, tile above 2 * margin.")
    if all(side is not None and side <= tile for side in pictures.shape[1:3]):
        return network(pictures)
    size = tf.shape(pictures)[1:3]
    seen = tf.minimum(size, tile)
    kept = tf.where(size <= tile, size, tile - 2 * margin)
    counts = -(-size // kept)
    count = tf.shape(pictures)[0]

    def one(number: tf.Tensor) -> tf.Tensor:
        origin = tf.stack([number // counts[1], number % counts[1]]) * kept
        start = tf.clip_by_value(origin - margin, 0, size - seen)
        (y, x), (top, left) = tf.unstack(start), tf.unstack(origin - start)
        out = network(pictures[:, y : y + seen[0], x : x + seen[1]])
        middle = out[:, top : top + kept[0], left : left + kept[1]]
        missing = kept - tf.shape(middle)[1:3]
        return tf.pad(middle, [[0, 0], [0, missing[0]], [0, missing[1]], [0, 0]])

    def stitched() -> tf.Tensor:
        numbers = tf.range(counts[0] * counts[1])
        spec = tf.TensorSpec([None, None, None, 3], tf.float32)
        tiles = tf.map_fn(one, numbers, fn_output_signature=spec, parallel_iterations=1)
        grid = tf.reshape(tiles, [counts[0], counts[1], count, kept[0], kept[1], 3])
        rows = tf.transpose(grid, [2, 0, 3, 1, 4, 5])
        whole = tf.reshape(rows, [count, counts[0] * kept[0], counts[1] * kept[1], 3])
        return whole[:, : size[0], : size[1]]

    return tf.cond(tf.reduce_all(size <= tile), lambda: network(pictures), stitched)
