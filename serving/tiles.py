"""Processing of pictures of any size tile by tile, with bounded memory and without seams."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[Any]
Advance = Callable[[int, int], None]
"""Called with the number of finished tiles and the total number."""

TILE = 576
"""Largest side in pixels that the models process in one piece; they tile larger pictures themselves."""
MARGIN = 60
"""Radius in pixels of the receptive field of the shipped restorer."""
STRIDE = 4
"""Restorers reduce the resolution by this factor, so tiles begin at multiples of it."""


def tiled(
    network: Callable[[Planes], Planes],
    picture: Planes,
    *,
    tile: int = TILE,
    margin: int = MARGIN,
    stride: int = STRIDE,
    scale: int = 1,
    advance: Advance | None = None,
) -> Planes:
    """Apply a network tile by tile, with the same result as on the whole picture.

    Args:
        network: maps [h, w, ...] to [scale * h, scale * w, ...]; no output depends on inputs farther than `margin`.
        picture: [h, w, ...].
        tile: largest side of the network's input, a multiple of `stride`.
        margin: overlap in pixels, a multiple of `stride`, less than half of `tile`.
        stride: tiles begin at multiples of it.
        scale: upscale factor of the network.
        advance: called after each tile.

    """
    height, width = picture.shape[:2]
    tiles = list(product(spans(height, tile, margin, stride), spans(width, tile, margin, stride)))
    whole: Planes | None = None
    for number, ((top, bottom, y, y_end), (left, right, x, x_end)) in enumerate(tiles, 1):
        part = network(picture[y:y_end, x:x_end])
        if whole is None:
            whole = np.empty((scale * height, scale * width, *part.shape[2:]), part.dtype)
        kept = part[scale * (top - y) : scale * (bottom - y), scale * (left - x) : scale * (right - x)]
        whole[scale * top : scale * bottom, scale * left : scale * right] = kept
        if advance:
            advance(number, len(tiles))
    assert whole is not None
    return whole


def spans(length: int, tile: int, margin: int, stride: int = 1) -> list[tuple[int, int, int, int]]:
    """Tiles along one side: start and end of the part to keep, and start and end of the tile around it."""
    kept = length if length <= tile else tile - 2 * margin
    last = -(-max(length - tile, 0) // stride) * stride
    starts = [(at, min(max(at - margin, 0), last)) for at in range(0, length, kept)]
    return [(at, min(at + kept, length), first, min(first + tile, length)) for at, first in starts]
