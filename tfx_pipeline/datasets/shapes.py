"""Procedurally drawn, captioned pictures: the data set that the demo draws for itself.

Three kinds of scene: one object (shape, colour, position, size and background), two objects in a spatial
relation, and the weather over a plain landscape. Each picture has an English and a Chinese caption in one of several
phrasings, which name every attribute; what a caption leaves open is a slight jitter of place and size.

One tenth of the (shape, colour, background) triples is withheld: a model that draws them has understood the words
rather than remembered the pictures.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
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

POSITION_STEP = 0.19
PAIR_STEP = 0.23
PAIR_RADIUS = 0.17
JITTER = 0.015
SINGLE_SHARE, PAIR_SHARE = 0.72, 0.18


class Sprite(NamedTuple):
    """One drawn object: centre and radius in units of the picture's side, origin at the top left."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """What one picture shows. `attributes` is what its captions say and what `metadata.jsonl` records."""

    attributes: dict[str, Any]
    sprites: tuple[Sprite, ...]
    withheld: bool

    @property
    def kind(self) -> str:
        """`single`, `pair` or `weather`."""
        return str(self.attributes["kind"])


@dataclass(frozen=True)
class ShapesSummary:
    """How many pictures were written and how many of them are withheld from training."""

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


def pair_scene(first: tuple[str, str], relation: str, second: tuple[str, str], background: str) -> Scene:
    """Two (shape, colour) objects, the first `above`, `below`, `to the left of` or `to the right of` the second."""
    dx, dy = RELATIONS[relation]
    ends = (first, 1), (second, -1)
    return Scene(
        attributes={
            "kind": "pair",
            "first": {"shape": first[0], "colour": first[1]},
            "relation": relation,
            "second": {"shape": second[0], "colour": second[1]},
            "background": background,
        },
        sprites=tuple(
            Sprite(*thing, 0.5 + PAIR_STEP * dx * sign, 0.5 + PAIR_STEP * dy * sign, PAIR_RADIUS)
            for thing, sign in ends
        ),
        withheld=any((*thing, background) in WITHHELD for thing in (first, second)),
    )


def weather_scene(weather: str, land: str) -> Scene:
    """The sky of one weather over one plain landscape; never withheld."""
    return Scene({"kind": "weather", "weather": weather, "land": land}, (), withheld=False)


def random_scene(rng: Rng) -> Scene:
    """Draw a scene: 72% single objects, 18% pairs and 10% weather, uniform within each."""
    kind = rng.random()
    if kind < SINGLE_SHARE:
        size, position = pick(rng, RADII), pick(rng, POSITIONS)
        return single_scene(pick(rng, SHAPES), pick(rng, COLOURS_RGB), position, size, pick(rng, BACKGROUNDS_RGB))
    if kind < SINGLE_SHARE + PAIR_SHARE:
        first, second = ((pick(rng, SHAPES), pick(rng, COLOURS_RGB)) for _ in range(2))
        return pair_scene(first, pick(rng, RELATIONS), second, pick(rng, BACKGROUNDS_RGB))
    return weather_scene(pick(rng, SKIES_RGB), pick(rng, LANDS_RGB))


def pick(rng: Rng, names: Sequence[str] | dict[str, Any]) -> str:
    """One of the names, uniformly."""
    return str(list(names)[rng.integers(len(names))])


def circle(x: Floats, y: Floats) -> Floats:
    """Signed distance to a unit circle; negative inside, as for every shape here, with y pointing down."""
    return np.hypot(x, y) - 1


def square(x: Floats, y: Floats) -> Floats:
    """A square a little smaller than the unit circle's bounding box, so that areas are alike."""
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
    """The tenth of all (shape, colour, background) triples that never enters training: the same on every machine."""
    triples = list(itertools.product(SHAPES, COLOURS_RGB, BACKGROUNDS_RGB))
    chosen = np.random.default_rng(2014).permutation(len(triples))[: len(triples) // 10]
    return frozenset(triples[i] for i in chosen)


WITHHELD = withheld_triples()


def pixel_grid(size: int) -> tuple[Floats, Floats]:
    """Centres of the pixels, x and y, each (size, size), in units of the picture's side."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    return x, y


def paint(canvas: Floats, coverage: Floats, colour: tuple[int, int, int]) -> Floats:
    """Blend a colour (RGB, 0..255) over a (size, size, 3) canvas by a (size, size) coverage in 0..1."""
    alpha = coverage[..., None]
    return canvas * (1 - alpha) + np.asarray(colour, np.float32) * alpha


def coverage(distance: Floats, size: int) -> Floats:
    """Anti-aliased coverage in 0..1 of a shape, from its signed distance in units of the picture's side."""
    return np.clip(0.5 - distance * size, 0, 1)


def draw_sprite(canvas: Floats, sprite: Sprite) -> Floats:
    """Paint one object over the canvas."""
    size = len(canvas)
    x, y = pixel_grid(size)
    radius = sprite.radius
    distance = SHAPES[sprite.shape]((x - sprite.x) / radius, (y - sprite.y) / radius) * radius
    return paint(canvas, coverage(distance, size), COLOURS_RGB[sprite.colour])


def jittered(sprite: Sprite, rng: Rng | None) -> Sprite:
    """The sprite moved by up to 1.5% of the picture and scaled by up to 5%; unchanged without an rng."""
    if rng is None:
        return sprite
    dx, dy, scale = rng.uniform(-1, 1, 3)
    return sprite._replace(
        x=sprite.x + JITTER * dx, y=sprite.y + JITTER * dy, radius=sprite.radius * (1 + 0.05 * scale)
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
    """What the weather puts into the sky, and for rain and snow into the air."""
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
        scene: What to draw.
        size: Side of the square picture in pixels.
        rng: Source of the jitter; without one, the canonical picture of the scene.

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


def random_scenes(count: int, *, seed: int) -> Iterator[tuple[Scene, Rng]]:
    """`count` scenes, each with the generator that draws its jitter and phrasing; the same for the same seed."""
    for child in np.random.SeedSequence(seed).spawn(count):
        rng = np.random.default_rng(child)
        yield random_scene(rng), rng


def write_shapes(
    out: Path, *, count: int, size: int, seed: int, progress: Callable[[int], None] | None = None
) -> ShapesSummary:
    """Draw a data set in the ImageFolder layout: `images/000000.png` and `metadata.jsonl`.

    Args:
        out: Folder to make; its parents are made too.
        count: Number of pictures, at least 1.
        size: Side of the pictures in pixels, 16 to 512.
        seed: Same seed, same bytes.
        progress: Called with the number of pictures written so far.

    Raises:
        ValueError: If `count` or `size` is out of range, or `out` already holds files.
    """
    if count < 1 or not 16 <= size <= 512:
        raise ValueError(f"count {count} and size {size}: count must be at least 1 and size 16 to 512 pixels.")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: name a new folder, or remove that one first.")
    (out / "images").mkdir(parents=True, exist_ok=True)
    withheld = 0
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number, (scene, rng) in enumerate(random_scenes(count, seed=seed)):
            file_name = f"images/{number:06}.png"
            # Level 1: these pictures are flat, and a tighter file costs three times the time.
            Image.fromarray(render(scene, size, rng)).save(out / file_name, compress_level=1)
            metadata.write(json.dumps(record(scene, file_name, rng), ensure_ascii=False) + "\n")
            withheld += scene.withheld
            if progress is not None:
                progress(number + 1)
    return ShapesSummary(count=count, withheld=withheld)


def record(scene: Scene, file_name: str, rng: Rng) -> dict[str, Any]:
    """The line of `metadata.jsonl` for one picture."""
    english, chinese = phrases.captions(scene.attributes, rng)
    return {
        "file_name": file_name,
        "text": english,
        "text_zh": chinese,
        "attributes": scene.attributes,
        "withheld": scene.withheld,
    }
