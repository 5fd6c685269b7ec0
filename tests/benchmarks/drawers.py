"""What stands in for a trained model: functions that draw the scene a caption names, well or badly, on purpose."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import COLOURS_RGB, OPEN, Scene, pick, random_scenes, render, single_scene

Pictures = NDArray[np.uint8]


class Told(NamedTuple):
    """A scene by its caption, and the name of the attribute that the caption leaves open."""

    scene: Scene
    left_open: str | None


def scenes_and_pictures(kind: str, count: int, size: int, *, seed: int = 0) -> tuple[list[Scene], Pictures]:
    """Real scenes and their jittered pictures, uint8[count, size, size, 3]."""
    both = [(scene, render(scene, size, rng)) for scene, rng in random_scenes(count, seed=seed, shares={kind: 1})]
    return [scene for scene, _ in both], np.stack([picture for _, picture in both])


def understood(scenes: Sequence[Scene]) -> dict[str, Told]:
    """Every caption of the scenes."""
    return {
        caption: Told(scene, left_open)
        for scene in scenes
        for left_open in (None, *OPEN[scene.kind])
        for caption in itertools.chain(*phrases.PHRASINGS[scene.kind](scene.attributes, left_open))
    }


def data_itself(scenes: Sequence[Scene], size: int) -> Callable[[list[str], list[int]], Pictures]:
    """Draws as the data are drawn: jittered by the seed, an open colour by the seed too."""
    known = understood(scenes)

    def draw(captions: list[str], seeds: list[int]) -> Pictures:
        return np.stack([one(known[caption], seed) for caption, seed in zip(captions, seeds, strict=True)])

    def one(told: Told, seed: int) -> Pictures:
        rng = np.random.default_rng(seed)
        scene = recoloured(told.scene, pick(rng, COLOURS_RGB)) if told.left_open == "colour" else told.scene
        return render(scene, size, rng)

    return draw


def always_the_same(scenes: Sequence[Scene], size: int) -> Callable[[list[str], list[int]], Pictures]:
    """Draws the canonical picture of a caption, whatever the seed."""
    known = understood(scenes)
    return lambda captions, seeds: np.stack([render(known[caption].scene, size) for caption in captions])


def recoloured(scene: Scene, colour: str) -> Scene:
    """A single object in another colour."""
    told = scene.attributes
    return single_scene(told["shape"], colour, told["position"], told["size"], told["background"])
