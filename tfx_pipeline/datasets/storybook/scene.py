"""A storybook scene: the figures of a story at their positions, as one SVG that renders at any size."""

import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from tfx_pipeline.datasets.storybook.story import ORDINALS, Story, attributes
from tfx_pipeline.datasets.storybook.things import PLACES, SKIES, SKY_DRAWINGS, THINGS, Drawing

PATTERNS = 4
"""Number of drawings of rain, and of snow."""
SIDE = 100
"""Side of the drawings of places and of the scene, in SVG units."""
GRID = 64
"""Side of the grid on which it is determined whether figures hide one another."""
_MASK = 48


@dataclass(frozen=True)
class Figure:
    """One drawn thing. Positions and sizes are shares of the picture's side; the origin is its top left corner.

    Attributes:
        noun: The thing.
        variant: The name of its drawing.
        colour: One of `COLOURS`, or None.
        size: The longer side.
        flipped: Whether it is mirrored.
        x: x of the centre.
        y: y of the centre.
        order: Figures of a higher order hide those of a lower one.
    """

    noun: str
    variant: str
    colour: str | None
    size: float
    flipped: bool = False
    x: float = 0.5
    y: float = 0.5
    order: int = 0

    @property
    def drawing(self) -> Drawing:
        """The drawing of its variant."""
        return THINGS[self.noun].drawings[self.variant]

    @property
    def width(self) -> float:
        """Width of its box."""
        return self.size * self.drawing.extent[0]

    @property
    def height(self) -> float:
        """Height of its box."""
        return self.size * self.drawing.extent[1]

    @property
    def left(self) -> float:
        """Left edge of its box."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """Right edge of its box."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """Top edge of its box."""
        return self.y - self.height / 2

    @property
    def base(self) -> float:
        """Bottom edge of its box, on which it stands."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Scene:
    """A story and how it is drawn: its figures, the variant of its place, and its rain or snow.

    Attributes:
        story: The story.
        figures: One for each role in order, or as many as its count says.
        backdrop: The variant of its place.
        mirrored: Whether the place is mirrored.
        pattern: The number of the drawing of rain or snow, from 1.
    """

    story: Story
    figures: tuple[Figure, ...]
    backdrop: str
    mirrored: bool = False
    pattern: int = 1

    @property
    def kind(self) -> str:
        """`single`, `count`, `pair`, `triple` or `landscape`."""
        return self.story.kind

    @property
    def withheld(self) -> bool:
        """Whether it is never used for training."""
        return self.story.withheld

    @property
    def in_order(self) -> Sequence[Figure]:
        """Its figures in the order of the story; several of the same thing are ordered from left to right."""
        return sorted(self.figures, key=lambda figure: figure.left) if self.kind == "count" else self.figures

    @property
    def boxes(self) -> list[tuple[float, float, float, float, float]]:
        """The boxes of its figures, in the order of `in_order`.

        x and y of the centre, width and height as shares of the picture's side, and nearness: the nearer of two
        figures hides the other, and the mean is 0.
        """
        figures = self.in_order
        drawn = sorted(range(len(figures)), key=lambda number: figures[number].order)
        middle = (len(figures) - 1) / 2
        return [
            (figure.x, figure.y, figure.width, figure.height, drawn.index(number) - middle)
            for number, figure in enumerate(figures)
        ]

    @property
    def tags(self) -> list[list[str]]:
        """Noun, variant and colour of its figures, in the order of `in_order`."""
        return [[each for each in (figure.noun, figure.variant, figure.colour) if each] for figure in self.in_order]

    @property
    def scenery(self) -> list[str]:
        """Place, time and weather."""
        return [self.story.place, self.story.time, self.story.weather]

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything that it shows, in words, including what captions leave open."""
        shown = attributes(self.story)
        if self.kind == "count":
            return shown | {"variants": [figure.variant for figure in self.figures]}
        for ordinal, figure in zip(ORDINALS, self.figures, strict=False):
            shown[ordinal]["variant"] = figure.variant
        return shown


def svg(scene: Scene) -> str:
    """One SVG of a scene, with a view box of 100 x 100."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">{"".join(layers(scene))}</svg>'


def layers(scene: Scene) -> Iterator[str]:
    """The sky, the place, the figures, the light of the time of day, and rain or snow, from back to front."""
    story = scene.story
    yield SKY_DRAWINGS[f"{story.time}-{story.weather}"].markup
    place = PLACES[story.place].drawings[scene.backdrop].markup
    yield f'<g transform="translate({SIDE} 0) scale(-1 1)">{place}</g>' if scene.mirrored else place
    yield from (figure_svg(figure) for figure in sorted(scene.figures, key=lambda figure: figure.order))
    light = SKIES.times[story.time]
    if light.opacity:
        yield f'<rect width="{SIDE}" height="{SIDE}" fill="{light.light}" opacity="{light.opacity}"/>'
    falls = SKIES.weathers[story.weather].falls
    if falls:
        yield SKY_DRAWINGS[f"{falls}-{scene.pattern}"].markup


def figure_svg(figure: Figure) -> str:
    """One figure in the SVG units of the scene."""
    drawing = figure.drawing
    scale = SIDE * figure.size / max(drawing.width, drawing.height)
    left, across = (figure.right, -scale) if figure.flipped else (figure.left, scale)
    placed = f"translate({SIDE * left:.3f} {SIDE * figure.top:.3f}) scale({across:.4f} {scale:.4f})"
    return f'<g transform="{placed}">{drawing.coloured(figure.colour)}</g>'


def render(scene: Scene, size: int) -> NDArray[np.uint8]:
    """Draw a scene, anti-aliased: uint8 RGB, shape (size, size, 3)."""
    return rasterised(svg(scene), size, size)[..., :3]


def rasterised(document: str, width: int, height: int) -> NDArray[np.uint8]:
    """An SVG document as pixels: uint8 RGBA, shape (height, width, 4)."""
    png = resvg_py.svg_to_bytes(svg_string=document, width=width, height=height, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@functools.cache
def mask(noun: str, variant: str) -> NDArray[np.bool_]:
    """The opaque pixels of a drawing, at 48 pixels on its longer side."""
    drawing = THINGS[noun].drawings[variant]
    width, height = (max(1, round(_MASK * extent)) for extent in drawing.extent)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}">'
    return rasterised(f"{head}{drawing.markup}</svg>", width, height)[..., 3] > 127


def silhouette(figure: Figure) -> NDArray[np.bool_]:
    """The cells that a figure covers on a grid of 64 x 64 over the picture: bool[64, 64]."""
    opaque = mask(figure.noun, figure.variant)
    opaque = opaque[:, ::-1] if figure.flipped else opaque
    centres = (np.arange(GRID) + 0.5) / GRID
    rows = np.floor((centres - figure.top) / figure.height * opaque.shape[0]).astype(int)
    columns = np.floor((centres - figure.left) / figure.width * opaque.shape[1]).astype(int)
    rows_in, columns_in = (rows >= 0) & (rows < opaque.shape[0]), (columns >= 0) & (columns < opaque.shape[1])
    shown = np.zeros((GRID, GRID), bool)
    shown[np.ix_(rows_in, columns_in)] = opaque[np.ix_(rows[rows_in], columns[columns_in])]
    return shown


def hidden(behind: Figure, before: Figure) -> float:
    """The share of a figure that another one hides, 0 to 1."""
    whole = silhouette(behind)
    return float((whole & silhouette(before)).sum() / max(1, whole.sum()))
