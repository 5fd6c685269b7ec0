"""How close drawings without noise are to the canonical pictures of their scenes, and how sharp their edges are.

In a canonical picture nothing is jittered. What even a complete caption leaves open, such as which way a thing faces,
which drawing of the place is behind it or which drops fall, has the values that come nearest to the drawing.
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
"""The least difference between neighbouring pixels that is an edge: the norm over three channels, in grey levels."""
NEAR = 2
"""How many pixels from a real edge a drawn one still counts."""


def likeness(generator: Drawer, captions: Sequence[str], scenes: Sequence[Scene], *, sharp: int) -> dict[str, float]:
    """Compare drawings without noise with canonical pictures.

    Args:
        generator: What is judged.
        captions: Complete captions of the scenes.
        scenes: Scenes of one thing.
        sharp: How many of them, from the first on, are also drawn at 256 pixels.

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
    """Drawings without noise, as fine as the generator draws them up to `side`: uint8[n, side, side, 3]."""
    scale = tf.constant(max(1, side // generator.picture_size), tf.int64)
    batches = (tf.constant(captions[start : start + BATCH]) for start in range(0, len(captions), BATCH))
    drawn = [to_uint8(generator.draw_likeliest(batch, scale)).numpy() for batch in batches]
    return resampled(np.concatenate(drawn), side)


def nearest_scene(picture: NDArray[np.uint8], scene: Scene) -> Scene:
    """Of the canonical scenes of a scene's complete caption, the one whose picture has the least squared error."""

    def error(candidate: Scene) -> float:
        return float(((render(candidate, SIZE).astype(np.float32) - picture) ** 2).sum())

    return min(canonical_scenes(scene), key=error)


def canonical_scenes(scene: Scene) -> list[Scene]:
    """The scenes without jitter that have the same complete caption as a scene of one thing."""
    first = Choices()
    lay_out_with(first, scene.story)
    every = (Choices(choices) for choices in itertools.product(*map(range, first.sizes)))
    laid_out = (lay_out_with(choices, scene.story) for choices in every)
    # Which rain would fall makes no difference where none falls.
    return list({svg(each): each for each in laid_out if said_variants(each) == said_variants(scene)}.values())


def said_variants(scene: Scene) -> list[str | None]:
    """The variant of each figure; None where captions have no words for it."""
    pairs = zip(scene.story.roles, scene.figures, strict=True)
    return [figure.variant if figure.variant in role.thing.words else None for role, figure in pairs]


class Choices(Dice):
    """Dice that fall as they are told and never jitter.

    Args:
        choices: The number of the item to pick, for each pick in turn; beyond the last of them, the first item.

    Attributes:
        sizes: How many items there were to pick from, for each pick so far.
    """

    def __init__(self, choices: Sequence[int] = ()) -> None:
        super().__init__(None)
        self.choices = choices
        self.sizes: list[int] = []

    def pick(self, items: Sequence[Item]) -> Item:
        """The item that is next in the choices."""
        turn = len(self.sizes)
        self.sizes.append(len(items))
        return items[self.choices[turn] if turn < len(self.choices) else 0]


def edge_energy(drawn: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """How much of the energy of a real picture's edges a drawing has in the same places.

    The energy is the sum of squared differences between neighbouring pixels. It is counted within `NEAR` pixels of
    the real picture's edges alone, so noise and edges elsewhere gain nothing.

    Args:
        drawn: uint8[s, s, 3].
        real: The same.

    Returns:
        1 where the drawing is as sharp as the real picture, a half where its edges are twice as wide; 0 where the real
        picture has no edges.
    """
    ours, theirs = gradient_energy(drawn), gradient_energy(real)
    edges = np.pad(theirs > EDGE**2, NEAR)
    near = sliding_window_view(edges, (2 * NEAR + 1, 2 * NEAR + 1)).any(axis=(2, 3))
    return float(ours[near].sum() / max(1.0, theirs[near].sum()))


def gradient_energy(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Squared differences to the pixels on the right and below, summed over channels: float32[s - 1, s - 1]."""
    values = picture.astype(np.float32)
    across, down = values[:-1, 1:] - values[:-1, :-1], values[1:, :-1] - values[:-1, :-1]
    return (across**2 + down**2).sum(-1)
