"""Estimation of the noise of a picture, with the method of the restorer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 8
STRIP = 64 * BLOCK
LOWEST_TENTH = 0.79
"""For pure noise, the tenth of the 8x8 blocks with the least response estimates this share of the true deviation."""
SMALLEST = 8
CLEAN = 0.5
"""Grey levels of 0..255; pictures with less noise are not denoised."""


def noise_sigma(picture: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Estimate the standard deviation of noise by Immerkaer's operator (1996), which ignores edges and slopes.

    A mean over the picture would count texture as noise, so the estimate is the response of the least textured tenth of
    the 8x8 blocks. Memory does not grow with the picture.

    Args:
        picture: [h, w] or [h, w, c], sides from 8.
        mask: bool[h, w], true in holes, which are left out.

    Returns:
        The deviation in the picture's own grey levels; 0 if the holes leave no block.

    """
    means = np.sort(np.concatenate(list(block_means(picture, mask))))
    return float(means[len(means) // 10] * np.sqrt(np.pi / 2) / 6 / LOWEST_TENTH) if len(means) else 0.0


def block_means(picture: NDArray[Any], mask: NDArray[np.bool_] | None) -> Iterator[NDArray[np.float32]]:
    """The mean response of each block and channel with at most half in holes, strip by strip."""
    height, width = picture.shape[0] - 2, picture.shape[1] - 2
    # The first and the last blocks are cut equally, as by the pooling of the restorer's network.
    top, left = (-height % BLOCK) // 2, (-width % BLOCK) // 2
    for start in range(-top, height, STRIP):
        rows = slice(max(start, 0), min(start + STRIP, height) + 2)
        response = abs(second_difference(second_difference(picture[rows].astype(np.float32), 0), 1))
        response = response.reshape(*response.shape[:2], -1)
        whole = np.ones(response.shape[:2], np.float32) if mask is None else 1 - near(mask[rows]).astype(np.float32)
        before = (max(-start, 0), left)
        pads = [(first, -(size + first) % BLOCK) for first, size in zip(before, whole.shape, strict=True)]
        inside, counted = np.pad(np.ones_like(whole), pads), np.pad(whole, pads)
        sums = blocks(np.pad(response * whole[..., None], [*pads, (0, 0)]))
        judged = blocks(counted[..., None]) >= 0.5 * blocks(inside[..., None])
        means = sums / np.maximum(blocks(counted[..., None]), 1)
        yield means[judged[..., 0]].ravel().astype(np.float32)


def second_difference(levels: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """x[i] - 2 x[i + 1] + x[i + 2] along an axis."""
    first = np.diff(levels, axis=axis)
    return np.diff(first, axis=axis)


def near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any pixel of each 3x3 window is in a hole: bool[h, w] -> bool[h - 2, w - 2]."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(mask, (3, 3)).any(axis=(2, 3)))


def blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over blocks: float32[8 h, 8 w, c] -> float32[h, w, c]."""
    height, width, channels = values.shape
    return values.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels).sum(axis=(1, 3))
