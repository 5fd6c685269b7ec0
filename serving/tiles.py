"""Pictures of any size, a tile at a time: bounded memory and no seams."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[Any]
Advance = Callable[[int, int], None]
"""Called with the number of tiles done and the number of all."""

TILE = 576
"""Side in pixels that the models take in one piece; they cut larger pictures themselves."""
MARGIN = 60
"""Pixels from which an output of the restorer that comes along is influenced, to each side."""
STRIDE = 4
"""Restorers fold pictures by this many pixels, so tiles begin at multiples of it."""


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
    """Apply a network as if to the whole of a picture, at most `tile` pixels a side at once.

    Args:
        network: from [h, w, ...] to [scale * h, scale * w, ...]; no output depends on inputs farther than `margin`.
        picture: [h, w, ...].
        tile: largest side that the network gets, a multiple of `stride`.
        margin: overlap in pixels, a multiple of `stride`, less than half of `tile`.
        stride: what the first pixels of tiles are multiples of.
        scale: how many times larger the network makes its input.
        advance: told after each tile.

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
    """Along one side: where each part to keep begins and ends, and where the tile around it does."""
    kept = length if length <= tile else tile - 2 * margin
    last = -(-max(length - tile, 0) // stride) * stride
    starts = [(at, min(max(at - margin, 0), last)) for at in range(0, length, kept)]
    return [(at, min(at + kept, length), first, min(first + tile, length)) for at, first in starts]
