"""Procedurally drawn, captioned pictures of shapes.

There are four kinds of scenes: one object (shape, colour, position, size and background), two or three objects in
spatial relations, and the weather over a plain landscape. Each picture has an English and a Chinese caption in one of
several phrasings. Four captions in five name every attribute and leave open only a slight jitter of place and size; the
fifth leaves one attribute open, which the picture shows at random, uniformly.

A tenth of the (shape, colour, background) triples is withheld, and a tenth of the (object, relation, object) pairs. A
model that draws them correctly has understood the words and not memorized the pictures.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tfx_pipeline.datasets import phrases

Floats = NDArray[Any]
Rng = np.random.Generator

COLOURS_RGB = {
    "red": (214, 40, 44),
    "green": (46, 168, 74),
    "blue": (48, 84, 222),
    "yellow": (246, 214, 48),
    "purple": (148, 62, 182),
    "orange": (244, 138, 32),
    "cyan": (60, 204, 214),
    "white": (250, 250, 250),
}
BACKGROUNDS_RGB = {
    "black": (12, 12, 12),
    "gray": (128, 128, 128),
    "navy": (16, 26, 80),
    "brown": (96, 60, 36),
    "pink": (250, 190, 206),
    "teal": (10, 82, 76),
}
LANDS_RGB = {"meadow": (86, 160, 66), "desert": (226, 188, 108), "sea": (36, 98, 170), "field": (130, 92, 56)}
SKIES_RGB = {
    "sun": (120, 190, 245),
    "cloud": (170, 190, 210),
    "rain": (96, 106, 122),
    "snow": (196, 204, 216),
    "night": (14, 18, 52),
}
RADII = {"small": 0.15, "medium": 0.21, "large": 0.28}
POSITIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
RELATIONS = {"above": (0, -1), "below": (0, 1), "to the left of": (-1, 0), "to the right of": (1, 0)}

OPPOSITES = {
    "above": "below",
    "below": "above",
    "to the left of": "to the right of",
    "to the right of": "to the left of",
}

POSITION_STEP = 0.19
# Distance between neighbours and their radius, by the number of steps that an arrangement of objects spans.
SPACINGS = {1: 0.46, 2: 0.31}
ARRANGED_RADII = {1: 0.17, 2: 0.135}
JITTER = 0.015
"""Maximum displacement of an object's centre, uniform, as a share of the side: a deviation of 0.28 pixels at 32."""
SCALE_JITTER = 0.05

SHARES = {"single": 0.55, "pair": 0.25, "triple": 0.1, "weather": 0.1}
OPEN_SHARE = 0.2
OPEN = {
    "single": ("colour", "size", "position", "background"),
    "pair": ("first.colour", "second.colour", "background"),
    "triple": ("first.colour", "second.colour", "third.colour", "background"),
    "weather": (),
}
"""The attributes that a caption of each kind may leave open, one at a time."""


Thing = tuple[str, str]
"""A shape and its colour."""


class Sprite(NamedTuple):
    """One drawn object: centre and radius as shares of the picture's side, with the origin at the top left."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """The content of one picture. `attributes` is complete, including what a caption leaves open."""

    attributes: dict[str, Any]
    sprites: tuple[Sprite, ...]
    withheld: bool

    @property
    def kind(self) -> str:
        """`single`, `pair`, `triple` or `weather`."""
        return str(self.attributes["kind"])


@dataclass(frozen=True)
class ShapesSummary:
    """The number of pictures that were written, and how many of them are withheld from training."""

    count: int
    withheld: int


def single_scene(shape: str, colour: str, position: str, size: str, background: str) -> Scene:
    """One object at one of nine positions."""
    row, column = divmod(POSITIONS.index(position), 3)
    x, y = 0.5 + POSITION_STEP * (column - 1), 0.5 + POSITION_STEP * (row - 1)
    return Scene(
        attributes={
            "kind": "single",
            "shape": shape,
            "colour": colour,
            "position": position,
            "size": size,
            "background": background,
        },
        sprites=(Sprite(shape, colour, x, y, RADII[size]),),
        withheld=(shape, colour, background) in WITHHELD,
    )


def pair_scene(first: Thing, relation: str, second: Thing, background: str) -> Scene:
    """Two objects, the first `above`, `below`, `to the left of` or `to the right of` the second."""
    return Scene(
        attributes={
            "kind": "pair",
            "first": named(first),
            "relation": relation,
            "second": named(second),
            "background": background,
        },
        sprites=arranged((first, second), (RELATIONS[relation], (0, 0))),
        withheld=any_withheld((first, second), background, [(first, relation, second)]),
    )


def triple_scene(
    first: Thing, relation: str, second: Thing, third: Thing, third_relation: str, background: str
) -> Scene:
    """Three objects in a row, a column or a corner: the first and the third each in a relation to the second.

    Raises:
        ValueError: The first and the third would be at the same place.
    """
    if relation == third_relation:
        raise ValueError(f"Two objects cannot both be {relation} the second: choose another third_relation.")
    pairs = [(first, relation, second), (third, third_relation, second)]
    if third_relation == OPPOSITES[relation]:
        pairs.append((first, relation, third))
    return Scene(
        attributes={
            "kind": "triple",
            "first": named(first),
            "relation": relation,
            "second": named(second),
            "third": named(third),
            "third_relation": third_relation,
            "background": background,
        },
        sprites=arranged((first, second, third), (RELATIONS[relation], (0, 0), RELATIONS[third_relation])),
        withheld=any_withheld((first, second, third), background, pairs),
    )


def named(thing: Thing) -> dict[str, str]:
    """A thing in the form of `attributes`."""
    return dict(zip(("shape", "colour"), thing, strict=True))


def arranged(things: Sequence[Thing], cells: Sequence[tuple[int, int]]) -> tuple[Sprite, ...]:
    """Objects in neighbouring cells (column, row) of a grid, which is centred in the picture."""
    columns, rows = zip(*cells, strict=True)
    span = max(max(columns) - min(columns), max(rows) - min(rows))
    x, y = ((max(places) + min(places)) / 2 for places in (columns, rows))
    spacing, radius = SPACINGS[span], ARRANGED_RADII[span]
    return tuple(
        Sprite(*thing, 0.5 + spacing * (column - x), 0.5 + spacing * (row - y), radius)
        for thing, (column, row) in zip(things, cells, strict=True)
    )


def weather_scene(weather: str, land: str) -> Scene:
    """The sky of one weather over one plain landscape; never withheld."""
    return Scene({"kind": "weather", "weather": weather, "land": land}, (), withheld=False)


def random_scene(rng: Rng, *, shares: Mapping[str, float] = SHARES, withheld: bool | None = None) -> Scene:
    """A random scene, uniform within its kind.

    Args:
        rng: Source of randomness.
        shares: Weight of each kind, at least 0; `{"pair": 1}` gives only pairs.
        withheld: True gives only withheld scenes, False only training scenes, None both.

    Raises:
        ValueError: Withheld scenes of the weather are requested, but none is withheld.
    """
    if withheld and not any(share for kind, share in shares.items() if kind != "weather"):
        raise ValueError("No weather is withheld: ask for another kind of scene, or leave out withheld=True.")
    weights = np.array(list(shares.values()), float)
    while True:
        scene = RANDOM[str(rng.choice(list(shares), p=weights / weights.sum()))](rng)
        if withheld is None or scene.withheld == withheld:
            return scene


def random_single(rng: Rng) -> Scene:
    """One object."""
    size, position = pick(rng, RADII), pick(rng, POSITIONS)
    return single_scene(*random_thing(rng), position, size, pick(rng, BACKGROUNDS_RGB))


def random_pair(rng: Rng) -> Scene:
    """Two objects, which may be the same."""
    return pair_scene(random_thing(rng), pick(rng, RELATIONS), random_thing(rng), pick(rng, BACKGROUNDS_RGB))


def random_triple(rng: Rng) -> Scene:
    """Three objects, which may be the same."""
    first, second, third = (random_thing(rng) for _ in range(3))
    relation, third_relation = rng.permutation(list(RELATIONS))[:2].tolist()
    return triple_scene(first, relation, second, third, third_relation, pick(rng, BACKGROUNDS_RGB))


def random_weather(rng: Rng) -> Scene:
    """A sky and a land."""
    return weather_scene(pick(rng, SKIES_RGB), pick(rng, LANDS_RGB))


RANDOM = {"single": random_single, "pair": random_pair, "triple": random_triple, "weather": random_weather}


def random_thing(rng: Rng) -> Thing:
    """A shape in a colour."""
    return pick(rng, SHAPES), pick(rng, COLOURS_RGB)


def pick(rng: Rng, names: Sequence[str] | dict[str, Any]) -> str:
    """One of the names, uniformly."""
    return str(list(names)[rng.integers(len(names))])


def circle(x: Floats, y: Floats) -> Floats:
    """Signed distance to a unit circle; negative inside, as for every shape here, with y pointing down."""
    return np.hypot(x, y) - 1


def square(x: Floats, y: Floats) -> Floats:
    """A square slightly smaller than the unit circle's bounding box, so that the areas of shapes are similar."""
    return np.maximum(abs(x), abs(y)) - np.float32(0.84)


def triangle(x: Floats, y: Floats) -> Floats:
    """An equilateral triangle, apex up."""
    y = y - 0.2
    return np.maximum(y - 0.55, 0.866 * abs(x) - 0.5 * y - 0.55)


def star(x: Floats, y: Floats) -> Floats:
    """A five-pointed star, one point up: each of its ten edges is the same line after folding the angle."""
    sector = 2 * np.pi / 5
    angle = abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    across, along = radius * np.sin(angle), radius * np.cos(angle)
    inner_across, inner_along = 0.42 * np.sin(sector / 2), 0.42 * np.cos(sector / 2)
    edge = np.hypot(inner_across, 1 - inner_along)
    return (across * (1 - inner_along) + (along - 1) * inner_across) / edge


def heart(x: Floats, y: Floats) -> Floats:
    """A square on its corner with a half disc on each of its upper sides."""
    half = 0.8
    x, y = abs(x), y + 0.1
    disc = np.hypot(x - half / 2, y + half / 2) - half / np.sqrt(2)
    return np.minimum(disc, (x + abs(y) - half) / np.sqrt(2))


def ring(x: Floats, y: Floats) -> Floats:
    """An annulus of half the radius in width."""
    return abs(np.hypot(x, y) - 0.74) - 0.26


def cross(x: Floats, y: Floats) -> Floats:
    """An upright plus sign."""
    x, y = abs(x), abs(y)
    return np.minimum(np.maximum(x - 0.32, y - 1), np.maximum(y - 0.32, x - 1))


def diamond(x: Floats, y: Floats) -> Floats:
    """A rhombus, taller than wide."""
    return (1.45 * abs(x) + abs(y) - 1) / 1.76


SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    function.__name__: function for function in (circle, square, triangle, star, heart, ring, cross, diamond)
}


def withheld_triples() -> frozenset[tuple[str, str, str]]:
    """The tenth of all (shape, colour, background) triples that is withheld from training; the same everywhere."""
    triples = list(itertools.product(SHAPES, COLOURS_RGB, BACKGROUNDS_RGB))
    chosen = np.random.default_rng(2014).permutation(len(triples))[: len(triples) // 10]
    return frozenset(triples[i] for i in chosen)


WITHHELD = withheld_triples()


@functools.cache
def is_withheld_pair(first: Thing, relation: str, second: Thing) -> bool:
    """Whether a pair is in the tenth that is withheld from training, by a hash of its words.

    The converse of a pair (`a` above `b`, `b` below `a`) is the same pair.
    """
    if relation in ("below", "to the right of"):
        first, relation, second = second, OPPOSITES[relation], first
    words = " ".join((*first, relation, *second))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()) % 10 == 0


def any_withheld(things: Sequence[Thing], background: str, pairs: Sequence[tuple[Thing, str, Thing]]) -> bool:
    """Whether a scene contains anything that is withheld."""
    triples = ((*thing, background) in WITHHELD for thing in things)
    return any(triples) or any(is_withheld_pair(*pair) for pair in pairs)


def pixel_grid(size: int) -> tuple[Floats, Floats]:
    """Centres of the pixels, x and y, each (size, size), as shares of the picture's side."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    return x, y


def paint(canvas: Floats, coverage: Floats, colour: tuple[int, int, int]) -> Floats:
    """Blend a colour (RGB, 0..255) over a (size, size, 3) canvas by a (size, size) coverage in 0..1."""
    alpha = coverage[..., None]
    return canvas * (1 - alpha) + np.asarray(colour, np.float32) * alpha


def coverage(distance: Floats, size: int) -> Floats:
    """Anti-aliased coverage in 0..1 of a shape, from its signed distance as a share of the picture's side."""
    return np.clip(0.5 - distance * size, 0, 1)


def sprite_coverage(sprite: Sprite, size: int) -> Floats:
    """Anti-aliased coverage in 0..1 of one object, (size, size)."""
    x, y = pixel_grid(size)
    radius = sprite.radius
    distance = SHAPES[sprite.shape]((x - sprite.x) / radius, (y - sprite.y) / radius) * radius
    return coverage(distance, size)


def draw_sprite(canvas: Floats, sprite: Sprite) -> Floats:
    """Paint one object over the canvas."""
    return paint(canvas, sprite_coverage(sprite, len(canvas)), COLOURS_RGB[sprite.colour])


def jittered(sprite: Sprite, rng: Rng | None) -> Sprite:
    """The sprite, displaced by up to 1.5% of the picture and scaled by up to 5%; unchanged without an rng."""
    if rng is None:
        return sprite
    dx, dy, scale = rng.uniform(-1, 1, 3)
    return sprite._replace(
        x=sprite.x + JITTER * dx, y=sprite.y + JITTER * dy, radius=sprite.radius * (1 + SCALE_JITTER * scale)
    )


def disc(x: Floats, y: Floats, centre: tuple[float, float], radius: float) -> Floats:
    """Coverage of one disc on the pixel grid."""
    return coverage(np.hypot(x - centre[0], y - centre[1]) - radius, len(x))


def draw_cloud(canvas: Floats, centre: tuple[float, float], colour: tuple[int, int, int]) -> Floats:
    """Three overlapping discs."""
    x, y = pixel_grid(len(canvas))
    for dx, dy, radius in ((-0.13, 0.02, 0.09), (0, -0.02, 0.12), (0.13, 0.02, 0.09)):
        canvas = paint(canvas, disc(x, y, (centre[0] + dx, centre[1] + dy), radius), colour)
    return canvas


def draw_specks(canvas: Floats, rng: Rng, *, slope: float, length: float, colour: tuple[int, int, int]) -> Floats:
    """Rain (long and slanted) or snow (short): a jittered lattice of strokes over sky and land."""
    x, y = pixel_grid(len(canvas))
    for row, column in itertools.product(range(4), range(5)):
        cx, cy = 0.12 + 0.19 * column + 0.06 * (row % 2), 0.34 + 0.17 * row
        dx, dy = rng.uniform(-0.02, 0.02, 2)
        along = np.clip(y - cy - dy, -length, length)
        distance = np.hypot(x - cx - dx + slope * along, y - cy - dy - along) - 0.014
        canvas = paint(canvas, coverage(distance, len(canvas)), colour)
    return canvas


def draw_sky(canvas: Floats, weather: str, rng: Rng) -> Floats:
    """Draw the sky of a kind of weather, with rain or snow."""
    x, y = pixel_grid(len(canvas))
    shift = rng.uniform(-JITTER, JITTER)
    if weather == "sun":
        return paint(canvas, disc(x, y, (0.72 + shift, 0.24), 0.13), (255, 214, 60))
    if weather == "night":
        for star_x, star_y in ((0.16, 0.14), (0.38, 0.3), (0.5, 0.1), (0.86, 0.36), (0.2, 0.44)):
            canvas = paint(canvas, disc(x, y, (star_x + shift, star_y), 0.022), (255, 250, 220))
        moon = disc(x, y, (0.7 + shift, 0.22), 0.12) * (1 - disc(x, y, (0.64 + shift, 0.2), 0.1))
        return paint(canvas, moon, (250, 240, 190))
    cloud_colour = (90, 96, 108) if weather == "rain" else (238, 242, 246)
    for centre in ((0.3 + shift, 0.2), (0.7 - shift, 0.26)):
        canvas = draw_cloud(canvas, centre, cloud_colour)
    if weather == "rain":
        return draw_specks(canvas, rng, slope=0.35, length=0.05, colour=(150, 180, 226))
    if weather == "snow":
        return draw_specks(canvas, rng, slope=0.0, length=0.004, colour=(255, 255, 255))
    return canvas


def draw_weather(scene: Scene, size: int, rng: Rng) -> Floats:
    """A landscape under a sky, (size, size, 3) in 0..255."""
    weather, land = scene.attributes["weather"], scene.attributes["land"]
    x, y = pixel_grid(size)
    canvas = np.full((size, size, 3), SKIES_RGB[weather], np.float32)
    horizon = 0.66 + 0.03 * np.sin(2 * np.pi * (x + 0.1 * rng.uniform(-1, 1)))
    dim = {"night": 0.4, "rain": 0.75}.get(weather, 1.0)
    red, green, blue = (int(channel * dim) for channel in LANDS_RGB[land])
    canvas = paint(canvas, coverage(horizon - y, size), (red, green, blue))
    if weather == "snow":
        canvas = paint(canvas, coverage(abs(y - horizon) - 0.03, size), (244, 248, 252))
    return draw_sky(canvas, weather, rng)


def render(scene: Scene, size: int, rng: Rng | None = None) -> NDArray[np.uint8]:
    """Draw a scene, anti-aliased.

    Args:
        scene: The scene.
        size: Side of the square picture in pixels.
        rng: Source of jitter; None gives the canonical picture of the scene.

    Returns:
        uint8 RGB, shape (size, size, 3).
    """
    if scene.kind == "weather":
        canvas = draw_weather(scene, size, rng or np.random.default_rng(0))
    else:
        canvas = np.full((size, size, 3), BACKGROUNDS_RGB[scene.attributes["background"]], np.float32)
        for sprite in scene.sprites:
            canvas = draw_sprite(canvas, jittered(sprite, rng))
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def random_scenes(
    count: int, *, seed: int, shares: Mapping[str, float] = SHARES, withheld: bool | None = None
) -> Iterator[tuple[Scene, Rng]]:
    """`count` scenes, each with the random generator of its jitter and phrasing; determined by the seed.

    `shares` and `withheld` are those of `random_scene`.
    """
    for child in np.random.SeedSequence(seed).spawn(count):
        rng = np.random.default_rng(child)
        yield random_scene(rng, shares=shares, withheld=withheld), rng


def write_shapes(
    out: Path, *, count: int, size: int, seed: int, progress: Callable[[int], None] | None = None
) -> ShapesSummary:
    """Draw a dataset in the ImageFolder layout: `images/000000.png` and `metadata.jsonl`.

    Args:
        out: The folder to create, with its parents.
        count: Number of pictures, at least 1.
        size: Side of the pictures in pixels, 16 to 512.
        seed: Seed; the same seed gives the same bytes.
        progress: Called with the number of pictures written so far.

    Raises:
        ValueError: `count` or `size` is out of range, or `out` already contains files.
    """
    if count < 1 or not 16 <= size <= 512:
        raise ValueError(f"count {count} and size {size}: count must be at least 1 and size 16 to 512 pixels.")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: choose a new folder, or remove it first.")
    (out / "images").mkdir(parents=True, exist_ok=True)
    withheld = 0
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number, (scene, rng) in enumerate(random_scenes(count, seed=seed)):
            file_name = f"images/{number:06}.png"
            # Level 1: these pictures are flat, and stronger compression takes three times as long.
            Image.fromarray(render(scene, size, rng)).save(out / file_name, compress_level=1)
            metadata.write(json.dumps(record(scene, file_name, rng), ensure_ascii=False) + "\n")
            withheld += scene.withheld
            if progress is not None:
                progress(number + 1)
    return ShapesSummary(count=count, withheld=withheld)


def record(scene: Scene, file_name: str, rng: Rng) -> dict[str, Any]:
    """The line of `metadata.jsonl` for one picture; `attributes.open` lists what its captions leave open."""
    left_open = pick_open(scene.kind, rng)
    english, chinese = phrases.captions(scene.attributes, rng, left_open=left_open)
    return {
        "file_name": file_name,
        "text": english,
        "text_zh": chinese,
        "attributes": scene.attributes | {"open": [left_open] if left_open else []},
        "withheld": scene.withheld,
    }


def pick_open(kind: str, rng: Rng) -> str | None:
    """A random choice of what the captions of a scene leave open, one name of `OPEN`; None for four scenes in five."""
    return pick(rng, OPEN[kind]) if OPEN[kind] and rng.random() < OPEN_SHARE else None
