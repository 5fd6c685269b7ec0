"""Fits a figure of the storybook to a picture: the drawing, mirrored or not, its colour, position and size.

Painting a template t of coverage a over the current reconstruction r of a picture x leaves the squared error

    sum_pixels w |x - t - (1 - a) r|^2

where w is the weight of each pixel. The template's gain is the reduction of the error. Position and size are fitted by
damped least squares (Levenberg, 1944; Marquardt, 1963), starting from a rough guess.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.quality import Pictures
from tfx_pipeline.datasets.storybook.scene import SIDE, rasterised
from tfx_pipeline.datasets.storybook.things import COLOURS, SKIES, THINGS, Colour

Floats = NDArray[np.float32]

SIZE = 64
"""Side of the pictures in pixels."""
RANGE = (0.35, 2.1)
"""The range of a thing's size relative to its natural one."""
VISIBLE = 0.35
"""The share of a figure that must be visible."""
MASTERS = (64, 128)
"""Sides of the drawings from which all sizes are sampled: the first that is 1.5 times as large, or the last."""
NUDGE = 0.25
"""The displacement of a figure in pixels for finite differences."""
ROUNDS = 6
"""The maximum number of least-squares steps of a fit."""
FAR = 4.0
"""The maximum length of one step in pixels."""
SETTLED = 0.1
"""The step in pixels below which a fit ends."""
DAMPING = (0.01, 1.0, 30.0)
"""The share of the curvature that is added as damping after a step that increased the error."""


class Look(NamedTuple):
    """A drawing, mirrored or not, in a colour."""

    noun: str
    variant: str
    flipped: bool
    colour: str | None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height as shares of the longer side."""
        return THINGS[self.noun].drawings[self.variant].extent

    @property
    def drawing(self) -> "Look":
        """The same look without its colour."""
        return self._replace(colour=None)


class Candidate(NamedTuple):
    """A look at a position, and its gain: centre and size are shares of the picture's side."""

    gain: float
    look: Look
    x: float
    y: float
    size: float

    @property
    def least_and_most(self) -> tuple[float, float]:
        """The range of its size."""
        natural = THINGS[self.look.noun].size
        return RANGE[0] * natural, RANGE[1] * natural


def channels(colour: str) -> tuple[int, int, int]:
    """The three numbers of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


TONES = {name: np.array([channels(tone) for tone in tones], np.float32) for name, tones in COLOURS.items()}
"""The three tones of each colour: float32[3, 3], rows of RGB in 0..255."""


def document(markup: str, box: str = f"0 0 {SIDE} {SIDE}") -> str:
    """An SVG of a view box."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{markup}</svg>'


def premultiplied(rgba: NDArray[np.uint8]) -> Floats:
    """Premultiplied colours, and coverage in 0..1: float32[h, w, 4]."""
    values = rgba.astype(np.float32)
    values[..., 3] /= 255
    values[..., :3] *= values[..., 3:]
    return values


def over(front: Floats, back: Floats) -> Floats:
    """A premultiplied layer (h, w, 4) over an opaque picture (h, w, 3)."""
    return front[..., :3] + (1 - front[..., 3:]) * back


def lit(layer: Floats, time: str) -> Floats:
    """A premultiplied layer in the light of a time of day."""
    light = SKIES.times[time]
    if not light.opacity:
        return layer
    shown = layer.copy()
    colour = np.array(channels(light.light), np.float32)
    shown[..., :3] = (1 - light.opacity) * layer[..., :3] + light.opacity * layer[..., 3:] * colour
    return shown


def resampled(pictures: Pictures, side: int = SIZE) -> Pictures:
    """Pictures of any size, resampled by averaging: uint8[n, side, side, 3]."""
    images = map(Image.fromarray, pictures)
    return np.stack([np.asarray(image.resize((side, side), Image.Resampling.BOX)) for image in images])


def shrunk(picture: Floats, side: int) -> Floats:
    """A picture (s, s, 3) or a map (s, s) at a lower resolution."""
    step = len(picture) // side
    return picture.reshape(side, step, side, step, *picture.shape[2:]).mean((1, 3))


@functools.cache
def looks() -> tuple[Look, ...]:
    """Every drawing in every colour, as it is and mirrored."""
    return tuple(drawing._replace(colour=colour) for drawing in drawings() for colour in colours_of(drawing))


def colours_of(look: Look) -> Sequence[str | None]:
    """The possible colours of its noun; only None if it is not painted."""
    return tuple(COLOURS) if THINGS[look.noun].part else (None,)


@functools.cache
def drawings() -> tuple[Look, ...]:
    """Every drawing without its colour, as it is and mirrored."""
    return tuple(
        Look(noun, variant, flipped, None)
        for noun, thing in THINGS.items()
        for variant in thing.variants
        for flipped in ((False, True) if thing.flips else (False,))
    )


@functools.cache
def parts(noun: str, variant: str, side: int) -> Floats:
    """A drawing with `side` pixels on its longer side: float32[h, w, 4] or, if it has painted parts, float32[h, w, 7].

    The first four channels are the parts with fixed colours, premultiplied, and the coverage. The others are the
    coverages of paint, shade and light, so the drawing in any colour is a weighted sum.
    """
    art = THINGS[noun].drawings[variant]
    larger = max(art.width, art.height)
    columns, rows = (math.ceil(side * extent - 1e-6) for extent in art.extent)

    def layer(tones: Colour) -> Floats:
        whole = document(art.painted_in(tones), f"0 0 {larger} {larger}")
        return premultiplied(rasterised(whole, side, side)[:rows, :columns])

    fixed = layer(Colour("#000000", "#000000", "#000000"))
    if not art.painted:
        return fixed
    painted = layer(Colour("#ff0000", "#00ff00", "#0000ff"))[..., :3] - fixed[..., :3]
    return np.concatenate([fixed, painted / 255], axis=-1)


class Window(NamedTuple):
    """The rows and columns of a part of a picture."""

    rows: slice
    columns: slice


def window(candidate: Candidate, margin: int = 0, grid: int = SIZE) -> Window:
    """The pixels of a grid that a candidate's box touches, with a margin."""
    width, height = (candidate.size * extent for extent in candidate.look.extent)
    return Window(span(candidate.y, height, margin, grid), span(candidate.x, width, margin, grid))


def span(centre: float, length: float, margin: int, grid: int) -> slice:
    """The pixels that an interval touches, at least one."""
    first = min(max(math.floor(grid * (centre - length / 2)) - margin, 0), grid - 1)
    return slice(first, min(max(math.ceil(grid * (centre + length / 2)) + margin, first + 1), grid))


def sampled(candidate: Candidate, at: Window, grid: int = SIZE) -> Floats:
    """The parts of a candidate, averaged over the pixels of a window of a grid: float32[rows, columns, 4 or 7]."""
    noun, variant, flipped, _ = candidate.look
    side = next((each for each in MASTERS if each >= 1.5 * grid * candidate.size), MASTERS[-1])
    art, pixel = parts(noun, variant, side), grid * candidate.size / side
    width, height = (grid * candidate.size * extent for extent in candidate.look.extent)
    down = overlaps(grid * candidate.y - height / 2, pixel, art.shape[0], at.rows)
    # The drawing is sampled from its left edge, which is on the right in a mirror image.
    start, step = (width / 2, -pixel) if flipped else (-width / 2, pixel)
    across = overlaps(grid * candidate.x + start, step, art.shape[1], at.columns)
    return across @ (down @ art.reshape(len(art), -1)).reshape(len(down), *art.shape[1:])


def overlaps(start: float, step: float, count: int, pixels: slice) -> Floats:
    """How much of each pixel is covered by each of `count` intervals that begin at `start`: float32[pixels, count]."""
    edges = start + step * np.arange(count + 1, dtype=np.float32)
    reached = np.clip(edges[None] - np.arange(pixels.start, pixels.stop, dtype=np.float32)[:, None], 0, 1)
    return np.abs(np.diff(reached, axis=1))


def layer(sampled_parts: Floats, colour: str | None, time: str) -> Floats:
    """A painted figure in the light of a time of day: float32[h, w, 4], premultiplied."""
    whole = sampled_parts[..., :4]
    if colour is not None:
        whole = whole.copy()
        whole[..., :3] += sampled_parts[..., 4:] @ TONES[colour]
    return lit(whole, time)


@dataclass(frozen=True)
class View:
    """A picture and its reconstruction so far, to which a figure is fitted.

    Attributes:
        picture: float32[64, 64, 3].
        explained: The reconstruction so far: float32[64, 64, 3].
        weight: The weight of each pixel, 0 or 1: float32[64, 64].
        time: The time of day, which determines the light.
        noise: The squared error of a pixel that known figures leave.
    """

    picture: Floats
    explained: Floats
    weight: Floats
    time: str
    noise: float = 0.0

    @functools.cached_property
    def error(self) -> Floats:
        """The squared error of each pixel: float32[64, 64]."""
        return self.weight * ((self.picture - self.explained) ** 2).sum(-1)

    def residual(self, candidate: Candidate, at: Window, painted: Floats) -> Floats:
        """The weighted remaining difference when a candidate is painted: float32[rows, columns, 3]."""
        shown = over(layer(painted, candidate.look.colour, self.time), self.explained[at])
        return self.weight[at][..., None] * (self.picture[at] - shown)


def gained(view: View, candidate: Candidate) -> Candidate:
    """The candidate with its gain; minus infinity if too little of it is visible."""
    at = window(candidate)
    painted = sampled(candidate, at)
    if not is_seen(view, at, painted):
        return candidate._replace(gain=-math.inf)
    left = view.residual(candidate, at, painted)
    return candidate._replace(gain=float(view.error[at].sum() - np.vdot(left, left)))


def is_seen(view: View, at: Window, painted: Floats) -> bool:
    """Whether enough of a candidate is on pixels that count."""
    coverage = painted[..., 3]
    return bool(np.vdot(view.weight[at], coverage) >= VISIBLE * coverage.sum())


def recoloured(view: View, candidate: Candidate) -> Candidate:
    """The candidate in the colour with the largest gain, and that gain."""
    if not THINGS[candidate.look.noun].part:
        return gained(view, candidate)
    at = window(candidate)
    painted = sampled(candidate, at)
    if not is_seen(view, at, painted):
        return candidate._replace(gain=-math.inf)
    # Painting parts p in tones t leaves the error |d - p t|^2, which two products of 3 x 3 determine for every t.
    plain = view.residual(candidate._replace(look=candidate.look.drawing), at, painted).reshape(-1, 3)
    paint = (1 - SKIES.times[view.time].opacity) * (view.weight[at][..., None] * painted[..., 4:]).reshape(-1, 3)
    shared, square = paint.T @ plain, paint.T @ paint
    gains = {name: float(np.vdot(tones, 2 * shared - square @ tones)) for name, tones in TONES.items()}
    colour = max(gains, key=gains.__getitem__)
    gain = float(view.error[at].sum() - np.vdot(plain, plain)) + gains[colour]
    return candidate._replace(gain=gain, look=candidate.look._replace(colour=colour))


def refined(view: View, candidate: Candidate) -> Candidate:
    """The candidate at the position and size with the largest gain, and that gain."""
    best = gained(view, candidate)
    for _ in range(ROUNDS):
        before, best = best, stepped(view, best)
        if SIZE * max(abs(now - then) for now, then in zip(best[2:], before[2:], strict=True)) < SETTLED:
            break
    return best


def stepped(view: View, candidate: Candidate) -> Candidate:
    """The candidate after one least-squares step, shortened until it helps; unchanged if no step helps."""
    at = window(candidate, margin=2)
    here = view.residual(candidate, at, sampled(candidate, at)).ravel()
    beside = (moved(candidate, change) for change in NUDGE * np.eye(3))
    slopes = np.stack([here - view.residual(each, at, sampled(each, at)).ravel() for each in beside]) / NUDGE
    curvature, pull = slopes @ slopes.T, slopes @ here
    for damping in DAMPING:
        best, change = candidate, np.linalg.solve(curvature + damping * np.diag(curvature.diagonal()) + np.eye(3), pull)
        while np.abs(change).max() < FAR:
            tried = gained(view, moved(candidate, change))
            if tried.gain <= best.gain:
                break
            best, change = tried, 2 * change
        if best is not candidate:
            return best
    return candidate


def moved(candidate: Candidate, change: Sequence[float] | Floats) -> Candidate:
    """The candidate with x, y and size changed by pixels, within the picture and the size range of its noun."""
    x, y, size = (value + float(by) / SIZE for value, by in zip(candidate[2:], change, strict=True))
    least, most = candidate.least_and_most
    return Candidate(0.0, candidate.look, min(max(x, 0.02), 0.98), min(max(y, 0.02), 0.98), min(max(size, least), most))


def explains(view: View, candidate: Candidate) -> float:
    """The share of the squared error beneath a candidate that it explains."""
    at = window(candidate)
    beneath = np.vdot(view.error[at], sampled(candidate, at)[..., 3])
    return gained(view, candidate).gain / max(1.0, float(beneath))
