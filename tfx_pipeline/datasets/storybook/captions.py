"""English and Chinese captions of scenes, as a person would write them.

Four in five captions leave something open, which the picture shows at random. Sizes are an exception: a caption
mentions every unusual size.
"""

from dataclasses import dataclass

from tfx_pipeline.datasets.storybook import chinese, english
from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import Rng
from tfx_pipeline.datasets.storybook.telling import Telling, choose_said, left_open


@dataclass(frozen=True)
class Captions:
    """The captions of a scene, and the paths, such as `first.colour`, of what both leave open."""

    english: str
    chinese: str
    open: tuple[str, ...]


def captions(scene: Scene, rng: Rng, *, said: frozenset[str] | None = None) -> Captions:
    """An English and a Chinese caption of a scene with the same content, each in a random phrasing.

    Args:
        scene: The scene to describe.
        rng: Source of randomness.
        said: The paths of the attributes to mention; None chooses them at random.
    """
    said = choose_said(scene, rng) if said is None else said
    telling = Telling(scene, said, rng)
    return Captions(english.caption(telling), chinese.caption(telling), tuple(left_open(scene, said)))
