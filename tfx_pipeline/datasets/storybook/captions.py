"""English and Chinese captions of scenes, as a person would write them: four in five leave something open.

What a caption does not say is open, and the picture shows it at random. Sizes alone are said unless they are the usual.
"""

from dataclasses import dataclass

from tfx_pipeline.datasets.storybook import chinese, english
from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import Rng
from tfx_pipeline.datasets.storybook.telling import Telling, choose_said, left_open


@dataclass(frozen=True)
class Captions:
    """A scene's captions, and the paths, such as `first.colour`, of what both leave open."""

    english: str
    chinese: str
    open: tuple[str, ...]


def captions(scene: Scene, rng: Rng, *, said: frozenset[str] | None = None) -> Captions:
    """An English and a Chinese caption that say the same of a scene, each in a random phrasing.

    Args:
        scene: What they describe.
        rng: Source of every choice.
        said: The paths of what they say; random ones when None.
    """
    said = choose_said(scene, rng) if said is None else said
    telling = Telling(scene, said, rng)
    return Captions(english.caption(telling), chinese.caption(telling), tuple(left_open(scene, said)))
