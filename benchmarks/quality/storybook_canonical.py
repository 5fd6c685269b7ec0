"""Similarity of drawings without noise to the canonical pictures of their scenes, and the sharpness of their edges.

A canonical picture has no jitter. What even a complete caption leaves open, such as the direction a thing faces, the
drawing of the place or the pattern of the rain, has the values that are closest to the drawing.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.quality import Pictures
from benchmarks.quality.storybook_matching import SIZE, resampled
from models.drawing import Drawer
from models.metrics import psnr, ssim
from models.tensors import to_uint8
from tfx_pipeline.datasets.storybook.layout import Dice, Item, lay_out_with
from tfx_pipeline.datasets.storybook.scene import Scene, render, svg

BATCH = 16
FINE = 256
"""Side in pixels of the pictures whose edges are compared."""
EDGE = 24.0
"""The minimum difference between neighbouring pixels at an edge: the norm over three channels, in grey levels."""
NEAR = 2
"""The distance in pixels from a real edge up to which a drawn one counts."""


def likeness(generator: Drawer, captions: Sequence[str], scenes: Sequence[Scene], *, sharp: int) -> dict[str, float]:
    """Compare drawings without noise with canonical pictures.

    Args:
        generator: The generator under test.
        captions: Complete captions of the scenes.
        scenes: Scenes of one thing.
        sharp: How many of the first scenes are also drawn at 256 pixels.

    Returns:
        `psnr` in dB and `ssim` at 64 pixels, means over the scenes; `sharpness`, the mean of `edge_energy` at 256.
    """
    drawn = likeliest(generator, captions, SIZE)
    nearest = [nearest_scene(picture, scene) for picture, scene in zip(drawn, scenes, strict=True)]
    real = np.stack([render(scene, SIZE) for scene in nearest])
    fine = zip(likeliest(generator, captions[:sharp], FINE), nearest[:sharp], strict=True)
    return {
        "psnr": float(psnr(drawn, real).mean()),
        "ssim": float(ssim(drawn, real).mean()),
        "sharpness": float(np.mean([edge_energy(picture, render(scene, FINE)) for picture, scene in fine])),
    }


def likeliest(generator: Drawer, captions: Sequence[str], side: int) -> Pictures:
    """Drawings without noise, at the highest resolution of the generator up to `side`: uint8[n, side, side, 3]."""
    scale = tf.constant(max(1, side // generator.picture_size), tf.int64)
    batches = (tf.constant(captions[start : start + BATCH]) for start in range(0, len(captions), BATCH))
    drawn = [to_uint8(generator.draw_likeliest(batch, scale)).numpy() for batch in batches]
    return resampled(np.concatenate(drawn), side)


def nearest_scene(picture: NDArray[np.uint8], scene: Scene) -> Scene:
    """The canonical scene with the complete caption of a scene whose picture has the smallest squared error."""

    def error(candidate: Scene) -> float:
        return float(((render(candidate, SIZE).astype(np.float32) - picture) ** 2).sum())

    return min(canonical_scenes(scene), key=error)


def canonical_scenes(scene: Scene) -> list[Scene]:
    """All scenes without jitter that have the same complete caption as a scene of one thing."""
    first = Choices()
    lay_out_with(first, scene.story)
    every = (Choices(choices) for choices in itertools.product(*map(range, first.sizes)))
    laid_out = (lay_out_with(choices, scene.story) for choices in every)
    # Without rain or snow, their pattern makes no difference.
    return list({svg(each): each for each in laid_out if said_variants(each) == said_variants(scene)}.values())


def said_variants(scene: Scene) -> list[str | None]:
    """The variant of each figure; None if captions have no words for it."""
    pairs = zip(scene.story.roles, scene.figures, strict=True)
    return [figure.variant if figure.variant in role.thing.words else None for role, figure in pairs]


class Choices(Dice):
    """Dice with predetermined choices and no jitter.

    Args:
        choices: The index of the item to pick, for each pick in turn; later picks take the first item.

    Attributes:
        sizes: The number of items to pick from, for each pick so far.
    """

    def __init__(self, choices: Sequence[int] = ()) -> None:
        super().__init__(None)
        self.choices = choices
        self.sizes: list[int] = []

    def pick(self, items: Sequence[Item]) -> Item:
        """The next chosen item."""
        turn = len(self.sizes)
        self.sizes.append(len(items))
        return items[self.choices[turn] if turn < len(self.choices) else 0]


def edge_energy(drawn: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """The edge energy of a drawing as a share of the real picture's, in the same places.

    The energy is the sum of squared differences between neighbouring pixels. Only pixels within `NEAR` pixels of the
    real picture's edges count, so noise and edges elsewhere gain nothing.

    Args:
        drawn: uint8[s, s, 3].
        real: The same.

    Returns:
        1 if the drawing is as sharp as the real picture, a half if its edges are twice as wide, and 0 if the real
        picture has no edges.
    """
    ours, theirs = gradient_energy(drawn), gradient_energy(real)
    edges = np.pad(theirs > EDGE**2, NEAR)
    near = sliding_window_view(edges, (2 * NEAR + 1, 2 * NEAR + 1)).any(axis=(2, 3))
    return float(ours[near].sum() / max(1.0, theirs[near].sum()))


def gradient_energy(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Squared differences from the pixels to the right and below, summed over channels: float32[s - 1, s - 1]."""
    values = picture.astype(np.float32)
    across, down = values[:-1, 1:] - values[:-1, :-1], values[1:, :-1] - values[:-1, :-1]
    return (across**2 + down**2).sum(-1)
