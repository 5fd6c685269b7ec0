"""Recovers scenes from pictures of shapes: the scene whose canonical picture is closest.

The search is exhaustive and uses no other information: every arrangement of one to three objects, every background,
and at every place every shape and colour, 9.5 million scenes in all. It is cheap, because objects do not overlap. A
scene with objects k of coverage a_k and colour c_k on a background b is the picture b + sum_k a_k (c_k - b), so its
squared distance from a picture x is

    |x - b|^2 + sum_k ( |a_k|^2 |c_k - b|^2 - 2 (c_k - b) . sum_pixels a_k (x - b) )

and the best shape and colour of each place can be chosen separately, from sums of the picture under some 300 coverages.
The bare background is a candidate too, so a half-drawn object is not recognized.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import Pictures
from tfx_pipeline.datasets.shapes import (
    BACKGROUNDS_RGB,
    COLOURS_RGB,
    POSITIONS,
    RADII,
    SHAPES,
    Scene,
    Sprite,
    Thing,
    pair_scene,
    single_scene,
    sprite_coverage,
    triple_scene,
)

Floats = NDArray[Any]

THINGS = tuple(itertools.product(SHAPES, COLOURS_RGB))
COLOURS = np.array(list(COLOURS_RGB.values()), np.float32)
BACKGROUNDS = np.array(list(BACKGROUNDS_RGB.values()), np.float32)
# One wording per arrangement: the converse wording describes the same picture.
PAIR_RELATIONS = ("above", "to the left of")
TRIPLE_RELATIONS = (
    ("above", "below"),
    ("to the left of", "to the right of"),
    *itertools.product(("above", "below"), ("to the left of", "to the right of")),
)
CLEAR = 2 / 3
"""A colour is unambiguous up to this distance from its named colour, relative to the distance to the next one."""
BATCH = 128


class Place(NamedTuple):
    """A place of an object: centre and radius as shares of the picture's side."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Arrangement:
    """An arrangement of objects: their places, and a function from things and a background to a scene."""

    places: tuple[Place, ...]
    scene: Callable[[Sequence[Thing], str], Scene]


def arrangements() -> Iterator[Arrangement]:
    """All arrangements of the dataset: 27 of one object, 2 of two and 6 of three."""
    for position, size in itertools.product(POSITIONS, RADII):
        yield arrangement(functools.partial(lay_single, position=position, size=size), 1)
    for relation in PAIR_RELATIONS:
        yield arrangement(functools.partial(lay_pair, relation=relation), 2)
    for relation, third_relation in TRIPLE_RELATIONS:
        yield arrangement(functools.partial(lay_triple, relation=relation, third_relation=third_relation), 3)


def arrangement(scene: Callable[[Sequence[Thing], str], Scene], count: int) -> Arrangement:
    """The arrangement of a scene of `count` objects."""
    sprites = scene(THINGS[:count], next(iter(BACKGROUNDS_RGB))).sprites
    return Arrangement(tuple(Place(*sprite[2:]) for sprite in sprites), scene)


def lay_single(things: Sequence[Thing], background: str, *, position: str, size: str) -> Scene:
    """The scene of one thing."""
    return single_scene(*things[0], position, size, background)


def lay_pair(things: Sequence[Thing], background: str, *, relation: str) -> Scene:
    """The scene of a thing in a relation to another."""
    return pair_scene(things[0], relation, things[1], background)


def lay_triple(things: Sequence[Thing], background: str, *, relation: str, third_relation: str) -> Scene:
    """The scene of a first and a third thing, each in a relation to the second."""
    return triple_scene(things[0], relation, things[1], things[2], third_relation, background)


ARRANGEMENTS = tuple(arrangements())
PLACES = tuple(dict.fromkeys(place for each in ARRANGEMENTS for place in each.places))
# The last row is the bare background, which has no places.
MEMBERS = np.array([[place in each.places for place in PLACES] for each in ARRANGEMENTS] + [[False] * len(PLACES)])


def read(pictures: Pictures) -> list[Scene | None]:
    """The scene of each picture.

    Args:
        pictures: uint8[n, s, s, 3], n at least 0.

    Returns:
        For each picture, the scene whose canonical picture is closest (of two wordings of the same picture, the one
        with `above` or `to the left of`); None if that is a bare background, or if a colour is ambiguous.
    """
    starts = range(0, len(pictures), BATCH)
    return [scene for start in starts for scene in read_batch(pictures[start : start + BATCH])]


def all_right(pictures: Pictures, scenes: Sequence[Scene]) -> NDArray[np.bool_]:
    """Whether each picture shows its whole scene: the background, and every object in its place.

    Args:
        pictures: uint8[n, s, s, 3].
        scenes: n scenes of objects.

    Returns:
        bool[n].

    Raises:
        ValueError: A scene shows the weather, which this judge does not support.
    """
    if any(scene.kind == "weather" for scene in scenes):
        raise ValueError("The weather is not judged: leave scenes of that kind out.")
    return np.array([same(told, scene) for told, scene in zip(read(pictures), scenes, strict=True)], bool)


def same(one: Scene | None, other: Scene) -> bool:
    """Whether two scenes are the same picture, regardless of how relations are worded."""
    return one is not None and shown(one) == shown(other)


def shown(scene: Scene) -> tuple[str, frozenset[Sprite]]:
    """The background and the objects of a scene."""
    return scene.attributes["background"], frozenset(scene.sprites)


def centres(pictures: Pictures) -> Floats:
    """The centre of the object in each picture, with subpixel precision.

    The background is the median of the border. Pixels that differ from it by less than 16 grey levels (of at most 441,
    in RGB) count as background too.

    Args:
        pictures: uint8[n, s, s, 3], of single objects.

    Returns:
        float32[n, 2]: x and y in pixels from the top left corner; the middle if the picture shows nothing.
    """
    values = pictures.astype(np.float32)
    size = values.shape[1]
    edge = np.ones((size, size), bool)
    edge[1:-1, 1:-1] = False
    background = np.median(values[:, edge], axis=1)[:, None, None]
    weights = np.maximum(np.linalg.norm(values - background, axis=-1) - 16, 0) + 1e-6
    along = np.arange(size, dtype=np.float32) + 0.5
    x, y = weights.sum(1) @ along, weights.sum(2) @ along
    return np.stack([x, y], axis=1) / weights.sum((1, 2))[:, None]


@functools.cache
def coverages(size: int) -> Floats:
    """The coverage of every shape at every place: float32[size * size, places * shapes], 0..1."""
    masks = [sprite_coverage(Sprite(shape, "red", *place), size) for place in PLACES for shape in SHAPES]
    return np.stack(masks).reshape(len(masks), -1).T.astype(np.float32)


def read_batch(pictures: Pictures) -> list[Scene | None]:
    """`read` for a batch of pictures."""
    count, size = pictures.shape[:2]
    values = pictures.astype(np.float32).reshape(count, size * size, 3).transpose(0, 2, 1)
    masks = coverages(size)
    sums = (values.reshape(3 * count, -1) @ masks).reshape(count, 3, -1).transpose(0, 2, 1)
    errors = object_errors(sums, masks.sum(0), (masks**2).sum(0))
    thing_errors = errors.reshape(count, len(BACKGROUNDS), len(PLACES), len(THINGS))
    bare = np.stack([((values - background[:, None]) ** 2).sum((1, 2)) for background in BACKGROUNDS], axis=1)
    totals = bare[:, :, None] + thing_errors.min(-1) @ MEMBERS.T.astype(np.float32)
    best = totals.reshape(count, -1).argmin(1)
    backgrounds, layouts = np.unravel_index(best, totals.shape[1:])
    return [
        scene_of(int(layout), int(background), thing_errors[row, background], values[row])
        for row, (layout, background) in enumerate(zip(layouts, backgrounds, strict=True))
    ]


def object_errors(sums: Floats, areas: Floats, squares: Floats) -> Floats:
    """The change of the squared distance from each bare background when each mask is painted in each colour.

    Args:
        sums: float32[n, masks, 3], the picture summed under each mask.
        areas: float32[masks], the sum of each mask.
        squares: float32[masks], the sum of its squares.

    Returns:
        float32[n, backgrounds, masks, colours]; negative if at least half of the object is visible.
    """
    steps = COLOURS[None] - BACKGROUNDS[:, None]
    projected = np.einsum("nmk,bck->nbmc", sums, steps, optimize=True)
    offsets = np.einsum("bk,bck,m->bmc", BACKGROUNDS, steps, areas)
    return np.einsum("bck,bck,m->bmc", steps, steps, squares) - 2 * (projected - offsets)


def scene_of(layout: int, background: int, errors: Floats, values: Floats) -> Scene | None:
    """The scene of one picture from its arrangement and background, if it has objects, and unambiguous colours.

    `errors` is float32[places, things], `values` the picture as float32[3, size * size].
    """
    if layout == len(ARRANGEMENTS):
        return None
    places = [PLACES.index(place) for place in ARRANGEMENTS[layout].places]
    best = [int(errors[place].argmin()) for place in places]
    masks = coverages(math.isqrt(values.shape[1]))
    for place, thing in zip(places, best, strict=True):
        shape, colour = divmod(thing, len(COLOURS))
        if not is_clear(colour, seen_colour(values, masks[:, place * len(SHAPES) + shape], BACKGROUNDS[background])):
            return None
    return ARRANGEMENTS[layout].scene([THINGS[thing] for thing in best], list(BACKGROUNDS_RGB)[background])


def seen_colour(values: Floats, mask: Floats, background: Floats) -> Floats:
    """The mean colour under a mask, weighted by the difference from the background: float32[3]."""
    weights = mask * ((values - background[:, None]) ** 2).sum(0)
    return values @ weights / weights.sum()


def is_clear(colour: int, seen: Floats) -> bool:
    """Whether a colour is unambiguously the one with this name."""
    distances = np.linalg.norm(COLOURS - seen, axis=1)
    return bool(distances[colour] <= CLEAR * np.delete(distances, colour).min())
