"""The restorer of a bundle, on pictures of any size from 8 pixels a side."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.bundle.networks import Floats, Networks
from serving.tiles import tiled

Pixels = NDArray[np.uint8]
NETWORKS = ("prepare", "fill", "restore", "double")
ESTIMATED = -1.0
"""Stands for noise of which nothing is known."""


class Restorer:
    """Pictures in, pictures out, one at a time.

    Args:
        folder: of the bundle.
        facts: one of the bundle's `restorers`.

    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._networks = Networks(folder, {facts["file"]: NETWORKS})
        self._tile, self._margin, self._multiple = (facts[name] for name in ("tile", "margin", "multiple"))

    def restore(self, picture: Pixels, mask: NDArray[np.bool_] | None, noise: float, blur: float) -> Pixels:
        """Restore a picture.

        Args:
            picture: uint8[h, w, 3].
            mask: bool[h, w], true in holes; None for a picture without.
            noise: deviation in grey levels of 0..255; a negative one is estimated.
            blur: deviation in pixels; above 0 sharpens.

        """
        holes = None if mask is None else mask[None, :, :, None].astype(np.float32)
        return to_uint8(self.repair(to_float(picture), holes, noise, blur))

    def enlarge(self, picture: Pixels) -> Pixels:
        """Draw a picture, uint8[h, w, 3], at twice its size."""
        doubled = self._networks("double", picture=to_float(picture))["doubled"]
        return to_uint8(self.repair(doubled, None, 0.0, 0.0, enlarged=True))

    def repair(
        self, picture: Floats, mask: Floats | None, noise: float, blur: float, *, enlarged: bool = False
    ) -> Floats:
        """Undo what is known of the damage: float32[1, h, w, 3] in -1..1, mask float32[1, h, w, 1], as in `restore`."""
        levels = {"noise": noise, "blur": blur, "enlarged": float(enlarged)}
        told = {name: np.array([level], np.float32) for name, level in levels.items()}
        if mask is None:
            known, mask = self._networks("prepare", picture=picture, **told)["known"], np.zeros_like(picture[..., :1])
        else:
            filled = self._networks("fill", picture=picture, mask=mask, **told)
            picture, known = filled["filled"], filled["known"]
        _, height, width, _ = picture.shape
        margins = [(0, 0), (0, -height % self._multiple), (0, -width % self._multiple), (0, 0)]
        planes = np.pad(np.concatenate([picture, mask], axis=-1), margins, "symmetric")

        def restored(part: Floats) -> Floats:
            inputs = {"picture": part[None, ..., :3], "mask": part[None, ..., 3:], "known": known}
            return self._networks("restore", **inputs)["restored"][0]

        whole = tiled(restored, planes[0], tile=self._tile, margin=self._margin, stride=self._multiple)
        return np.clip(whole[None, :height, :width], -1, 1)


def to_float(picture: Pixels) -> Floats:
    """uint8[h, w, 3] -> float32[1, h, w, 3] in -1..1."""
    return (picture[None].astype(np.float32) / np.float32(127.5)) - np.float32(1)


def to_uint8(picture: Floats) -> Pixels:
    """float32[1, h, w, 3] in -1..1 -> uint8[h, w, 3]; values outside are clipped."""
    return np.rint((np.clip(picture[0], -1, 1) + np.float32(1)) * np.float32(127.5)).astype(np.uint8)
