"""Greys of 16 bits through a restorer that learned from 8: satellites' and scanners' pictures."""

import numpy as np
from numpy.typing import NDArray

from serving.bundle.networks import Floats
from serving.bundle.restoring import Restorer
from serving.tiles import Advance, tiled

Deep = NDArray[np.uint16]
MOST = 2**16 - 1
USED = (0.1, 99.9)
"""Percentiles of the levels that are stretched over what the restorer knows; few such pictures use all 16 bits."""


def restore_deep(restorer: Restorer, picture: Deep, noise: float, blur: float, advance: Advance | None = None) -> Deep:
    """Restore a grey picture of 16 bits.

    What the restorer changes of the stretched picture is added to the picture itself, so that no level is rounded to
    8 bits, and levels beyond the percentiles keep their distance from them.

    Args:
        restorer: of a bundle.
        picture: uint16[h, w].
        noise: deviation in the picture's own levels.
        blur: deviation in pixels; above 0 sharpens.
        advance: told after each tile.

    """
    low, high = np.percentile(picture, USED)
    step = max(high - low, 1.0) / 255

    def restored(part: Deep) -> Deep:
        levels = np.clip((part.astype(np.float32) - np.float32(low)) / np.float32(step * 127.5) - 1, -1, 1)
        coloured: Floats = np.repeat(levels[None, :, :, None], 3, axis=-1)
        change = restorer.repair(coloured, None, noise / step, blur)[0].mean(axis=-1) - levels
        return np.rint(np.clip(part + change * (step * 127.5), 0, MOST)).astype(np.uint16)

    return tiled(restored, picture, advance=advance)
