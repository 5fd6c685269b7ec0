"""Stands in for a trained generator of the storybook: the data set itself, which draws what a caption says."""

import contextlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.quality.storybook_grammar import Said, parse
from tfx_pipeline.datasets.storybook.layout import CrowdedError, lay_out
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import ORDINALS, Rng, Role, Story, pick
from tfx_pipeline.datasets.storybook.things import COLOURS, PLACES, THINGS

KINDS = {1: "single", 2: "pair", 3: "triple"}


class DataItself:
    """Draws as the data set does, from captions that say their place, time and weather; the seed decides the rest."""

    picture_size = 64

    def generate(self, captions: Sequence[str], *, seed: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures of captions: uint8[n, 64, 64, 3]."""
        scenes = (understood(caption, one) for caption, one in zip(captions, seed, strict=True))
        return np.stack([render(scene, self.picture_size) for scene in scenes])

    def draw_likeliest(self, captions: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """The canonical pictures of captions, 64 times `scale` pixels large."""
        stories = (told_by(parse(caption.decode())[0]) for caption in captions.numpy())
        side = self.picture_size * int(scale)
        return tf.constant(np.stack([render(lay_out(story), side) for story in stories]) / np.float32(127.5) - 1)


def understood(caption: str, seed: int) -> Scene:
    """A scene that a caption may be of."""
    said, rng = parse(caption)[0], np.random.default_rng(seed)
    while True:
        with contextlib.suppress(CrowdedError):
            scene = lay_out(told_by(said, rng), rng)
            variants = (said.get(f"{ordinal}.variant") for ordinal in ORDINALS)
            if all(told in (None, each.variant) for told, each in zip(variants, scene.figures, strict=False)):
                return scene


def told_by(said: Said, rng: Rng | None = None) -> Story:
    """The story that a caption tells, in any colour where it says none."""
    roles = []
    for ordinal in (each for each in ORDINALS if f"{each}.noun" in said):
        own = {path: said.get(f"{ordinal}.{path}") for path in ("noun", "colour", "size", "count")}
        any_colour = (pick(rng, list(COLOURS)) if rng else "red") if THINGS[str(own["noun"])].part else None
        roles.append(Role(str(own["noun"]), own["colour"] or any_colour, own["size"] or "usual", own["count"] or 1))
    kind = "count" if roles[0].count > 1 else KINDS[len(roles)]
    relations = tuple(said[path] for path in ("relation", "third_relation") if path in said)
    weather = said.get("weather", PLACES[said["place"]].weathers[0])
    return Story(kind, tuple(roles), relations, said["place"], said["time"], weather)
