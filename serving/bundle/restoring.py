"""The restorer of a bundle, for pictures of any size from 8 pixels per side."""

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
"""Stands for unknown noise, which is estimated."""


class Restorer:
    """Restores one picture at a time.

    Args:
        folder: the folder of the bundle.
        facts: one of the bundle's `restorers`.

    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._networks = Networks(folder, {facts["file"]: NETWORKS})
        self._tile, self._margin, self._multiple = (facts[name] for name in ("tile", "margin", "multiple"))
        # Older bundles lack this value, and run the network on every picture.
        self._clean = facts.get("clean", 0.0)

    def restore(self, picture: Pixels, mask: NDArray[np.bool_] | None, noise: float, blur: float) -> Pixels:
        """Restore a picture.

        Args:
            picture: uint8[h, w, 3].
            mask: bool[h, w], true in holes; None for a picture without holes.
            noise: standard deviation of the noise in grey levels of 0..255; if it is negative, it is estimated.
            blur: standard deviation of the blur in pixels; the picture is sharpened if it is above 0.

        """
        holes = None if mask is None else mask[None, :, :, None].astype(np.float32)
        return to_uint8(self.repair(to_float(picture), holes, noise, blur))

    def enlarge(self, picture: Pixels) -> Pixels:
        """Upscale a picture, uint8[h, w, 3], to twice its size."""
        doubled = self._networks("double", picture=to_float(picture))["doubled"]
        return to_uint8(self.repair(doubled, None, 0.0, 0.0, enlarged=True))

    def repair(
        self, picture: Floats, mask: Floats | None, noise: float, blur: float, *, enlarged: bool = False
    ) -> Floats:
        """Restore float32[1, h, w, 3] in -1..1 with a mask float32[1, h, w, 1]; see `restore`."""
        levels = {"noise": noise, "blur": blur, "enlarged": float(enlarged)}
        told = {name: np.array([level], np.float32) for name, level in levels.items()}
        if mask is None:
            known, mask = self._networks("prepare", picture=picture, **told)["known"], np.zeros_like(picture[..., :1])
            if known[0, 0] < self._clean and not known[0, 1:].any():
                return np.clip(picture, -1, 1)
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
