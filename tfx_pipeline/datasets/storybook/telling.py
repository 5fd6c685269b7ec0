"""What a caption mentions of a scene, and what it leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import ORDINALS, Rng, pick
from tfx_pipeline.datasets.storybook.things import PLACES, THINGS, Place, in_air

Item = TypeVar("Item")

COMPLETE = 0.2
"""The share of captions that leave nothing open."""
SHORT = 0.06
"""The share of captions of one thing that mention only its noun."""
SAID = {
    "colour": 0.6,
    "variant": 0.15,
    "relation": 0.8,
    "third_relation": 0.8,
    "place": 0.65,
    "time": 0.4,
    "weather": 0.4,
}
"""The probability that a caption mentions an attribute, if it leaves something open."""


@dataclass(frozen=True)
class Telling:
    """A scene, the paths of what its caption mentions, such as `first.colour`, and the source of random phrasings."""

    scene: Scene
    said: frozenset[str]
    rng: Rng

    @property
    def place(self) -> Place:
        """The place of the scene."""
        return PLACES[self.scene.story.place]

    @property
    def in_air(self) -> bool:
        """Whether all figures are in the air, and therefore above the place and not in it."""
        figures = self.scene.figures
        return bool(figures) and all(in_air(THINGS[figure.noun], figure.variant) for figure in figures)

    def says(self, *paths: str) -> bool:
        """Whether the caption mentions all of these."""
        return self.said.issuperset(paths)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, uniformly."""
        return pick(self.rng, items)

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < share)


def sayable(scene: Scene) -> list[str]:
    """The paths of what captions of a scene can mention besides its nouns and unusual sizes."""
    story, paths = scene.story, []
    for ordinal, role, figure in zip(ORDINALS, story.roles, scene.figures, strict=False):
        if role.colour:
            paths.append(f"{ordinal}.colour")
        if figure.variant in role.thing.words and story.kind != "count":
            paths.append(f"{ordinal}.variant")
    paths += ["relation", "third_relation"][: len(story.relations)]
    place = PLACES[story.place]
    return [*paths, "place", "time", *(["weather"] if len(place.weathers) > 1 else [])]


def choose_said(scene: Scene, rng: Rng) -> frozenset[str]:
    """A random choice of what a caption mentions: everything, only the noun, or something in between."""
    paths = sayable(scene)
    if rng.random() < COMPLETE:
        return frozenset(paths)
    if scene.kind == "single" and rng.random() < SHORT / (1 - COMPLETE):
        return frozenset()
    while True:
        said = {path for path in paths if rng.random() < SAID[path.rpartition(".")[-1]]}
        if scene.kind == "triple" and said & {"relation", "third_relation"}:
            said |= {"relation", "third_relation"}
        if len(said) < len(paths) and (said or scene.kind != "landscape"):
            return frozenset(said)


def left_open(scene: Scene, said: frozenset[str]) -> list[str]:
    """The paths of everything that a caption does not mention."""
    variants = [f"{ordinal}.variant" for ordinal, _ in zip(ORDINALS, scene.story.roles, strict=False)]
    return [path for path in dict.fromkeys((*sayable(scene), *variants)) if path not in said]
