"""Restoring 16-bit grey pictures, such as from satellites and scanners, with a restorer trained on 8 bits."""

import numpy as np
from numpy.typing import NDArray

from serving.bundle.networks import Floats
from serving.bundle.restoring import Restorer
from serving.tiles import Advance, tiled

Deep = NDArray[np.uint16]
MOST = 2**16 - 1
USED = (0.1, 99.9)
"""Percentiles of the levels that are stretched to the restorer's range; few such pictures use all 16 bits."""


def restore_deep(restorer: Restorer, picture: Deep, noise: float, blur: float, advance: Advance | None = None) -> Deep:
    """Restore a 16-bit grey picture.

    The changes that the restorer makes to the stretched picture are added to the original, so that no level is rounded
    to 8 bits, and levels beyond the percentiles are not clipped.

    Args:
        restorer: the restorer of a bundle.
        picture: uint16[h, w].
        noise: standard deviation of the noise in the picture's own levels.
        blur: standard deviation of the blur in pixels; the picture is sharpened if it is above 0.
        advance: called after each tile.

    """
    low, high = np.percentile(picture, USED)
    step = max(high - low, 1.0) / 255

    def restored(part: Deep) -> Deep:
        levels = np.clip((part.astype(np.float32) - np.float32(low)) / np.float32(step * 127.5) - 1, -1, 1)
        coloured: Floats = np.repeat(levels[None, :, :, None], 3, axis=-1)
        change = restorer.repair(coloured, None, noise / step, blur)[0].mean(axis=-1) - levels
        return np.rint(np.clip(part + change * (step * 127.5), 0, MOST)).astype(np.uint16)

    return tiled(restored, picture, advance=advance)
