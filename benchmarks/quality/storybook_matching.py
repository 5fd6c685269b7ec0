"""Finds a storybook figure in a picture: which drawing, mirrored or not, in which colour, where and how large.

Painting a template t of coverage a over what has been explained so far, r, lowers the squared distance to a picture x
by

    sum_pixels w a ( |x - r|^2 - |x|^2 ) + 2 w a t . x - w a |t|^2

where w says how much each pixel counts. Three matrix products score all templates of a size at all places, at a
resolution at which they are small; the best are refined at that of the picture, step by step.
"""

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from tfx_pipeline.datasets.storybook.scene import SIDE, rasterised
from tfx_pipeline.datasets.storybook.things import COLOURS, SKIES, THINGS, Colour

Floats = NDArray[np.float32]

SIZE = 64
"""Side of the pictures that are read."""
SMALL, LARGE = (7, 8, 9, 10, 11, 12, 13), (15, 17, 19, 21, 23, 26)
LEVELS = {16: SMALL, 32: (*SMALL, *LARGE), 64: (*SMALL, *LARGE)}
"""Sides of the picture at which templates are matched, the largest figures first, and the sides of the templates.

Large ones come twice, for thin figures are lost at a lower resolution.
"""
RANGE = (0.35, 2.1)
"""How much smaller and larger than its natural size a thing may be."""
CANDIDATES, FINALISTS = 14, 5
"""Templates of a level that are refined by pixels, and of these by fractions of one."""
ROUNDS = 6
"""How often a refinement tries all directions with steps of one length."""
DIRECTIONS = tuple(
    (sign * x, sign * y, sign * size)
    for x, y, size in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -0.5, 1), (0, 0.5, 1))
    for sign in (1, -1)
)
"""Of x, y and size: to every side, and larger and smaller about the centre, the base and the top."""
BIN = 16
"""Grey levels of a channel that count as one, where colours are only told to be there or not."""
NEAR = 3
"""How many of these a colour may be off."""
SUPPORT = 0.45
"""The share of a drawing that must be of colours that the picture has where something is to be explained."""
MAIN = 6
"""How many colours of a drawing are looked for."""
UNLIKE = 3 * 20.0**2
"""The squared error of a pixel beyond which it is not explained: three channels off by 20 grey levels."""
FEW = 8
"""The pixels below which nothing is to be explained."""
VISIBLE = 0.35
"""The share of a figure that must be seen."""
CERTAIN = 0.9
"""The share of the squared error beneath a figure that it explains where no smaller figures need be tried."""
EXPLAINED = 0.55
"""The share of the squared error beneath a figure that it must explain."""
LEAST = 100_000.0
"""The squared error that a figure must explain; the least of 800 real ones explained three times as much."""
MASTERS = (64, 128, 256)
"""Sides of the drawings from which others are scaled: the first that is four times as large, or the last."""


class Look(NamedTuple):
    """A drawing, mirrored or not, in a colour."""

    noun: str
    variant: str
    flipped: bool
    colour: str | None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in units of the larger of the two."""
        return THINGS[self.noun].drawings[self.variant].extent

    @property
    def drawing(self) -> "Look":
        """The same without its colour."""
        return self._replace(colour=None)


class Candidate(NamedTuple):
    """A look at a place, and what it would explain: centre and size in shares of the picture's side."""

    gain: float
    look: Look
    x: float
    y: float
    size: float


class Parts(NamedTuple):
    """A drawing as what has colours of its own, premultiplied, (h, w, 4), and how much it is painted, (h, w, 3).

    The three are the coverages of paint, shade and light, so that any colour is a sum.
    """

    fixed: Floats
    painted: Floats

    def coloured(self, colour: str | None) -> Floats:
        """The drawing in a colour: float32[h, w, 4], premultiplied, colours in 0..255, coverage in 0..1."""
        if colour is None:
            return self.fixed
        layer = self.fixed.copy()
        layer[..., :3] += self.painted @ np.array([channels(tone) for tone in COLOURS[colour]], np.float32)
        return layer


def channels(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def document(markup: str, box: str = f"0 0 {SIDE} {SIDE}") -> str:
    """An SVG of a view box."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{markup}</svg>'


def premultiplied(rgba: NDArray[np.uint8]) -> Floats:
    """Colours times coverage, and coverage in 0..1: float32[h, w, 4]."""
    values = rgba.astype(np.float32)
    values[..., 3] /= 255
    values[..., :3] *= values[..., 3:]
    return values


def over(front: Floats, back: Floats) -> Floats:
    """A premultiplied layer (h, w, 4) over an opaque picture (h, w, 3)."""
    return front[..., :3] + (1 - front[..., 3:]) * back


def lit(layer: Floats, time: str) -> Floats:
    """A premultiplied layer in the light of an hour."""
    light = SKIES.times[time]
    if not light.opacity:
        return layer
    shown = layer.copy()
    colour = np.array(channels(light.light), np.float32)
    shown[..., :3] = (1 - light.opacity) * layer[..., :3] + light.opacity * layer[..., 3:] * colour
    return shown


def shrunk(picture: Floats, side: int) -> Floats:
    """A picture (s, s, 3) or a map (s, s) at a lower resolution."""
    step = len(picture) // side
    return picture.reshape(side, step, side, step, *picture.shape[2:]).mean((1, 3))


@functools.cache
def looks() -> tuple[Look, ...]:
    """Every drawing in every colour, as it is and mirrored."""
    return tuple(
        Look(noun, variant, flipped, colour)
        for noun, thing in THINGS.items()
        for variant in thing.variants
        for flipped in ((False, True) if thing.flips else (False,))
        for colour in (COLOURS if thing.part else (None,))
    )


@functools.cache
def parts(look: Look, side: int, margin: int = 0) -> Parts:
    """A look without its colour in the top left corner of a square of its larger side, within an empty frame."""
    drawing = THINGS[look.noun].drawings[look.variant]
    larger = max(drawing.width, drawing.height)
    edge = margin * larger / side
    box = f"{-edge} {-edge} {larger + 2 * edge} {larger + 2 * edge}"
    turn = f'<g transform="translate({drawing.width} 0) scale(-1 1)">' if look.flipped else "<g>"

    def layer(tones: Colour) -> Floats:
        markup = f"{turn}{drawing.painted_in(tones)}</g>"
        return premultiplied(rasterised(document(markup, box), side + 2 * margin, side + 2 * margin))

    fixed = layer(Colour("#000000", "#000000", "#000000"))
    painted = (layer(Colour("#ff0000", "#00ff00", "#0000ff"))[..., :3] - fixed[..., :3]) / 255
    return Parts(fixed, painted)


@functools.cache
def master(look: Look, side: int) -> tuple[Image.Image, Image.Image | None]:
    """The two parts of a look without its colour, within an empty frame of a quarter of its side."""
    fixed, painted = parts.__wrapped__(look, side, side // 4)
    layer = np.rint(fixed * np.array([1, 1, 1, 255], np.float32)).astype(np.uint8)
    whole = len(layer), len(layer)
    masks = np.rint(255 * painted).clip(0, 255).astype(np.uint8)
    return (
        Image.frombytes("RGBa", whole, layer.tobytes()),
        Image.frombytes("RGB", whole, masks.tobytes()) if masks.any() else None,
    )


@dataclass(frozen=True)
class Templates:
    """All looks at one size, in the light of an hour, colours less 128.

    Attributes:
        looks: n looks.
        owner: int[n], the row of `coverage` that each has.
        coverage: float32[drawings, side^2].
        tint: float32[n, 3 side^2], coverage times colour.
        square: float32[n, side^2], coverage times the squared length of the colour.
    """

    looks: tuple[Look, ...]
    owner: NDArray[np.int64]
    coverage: Floats
    tint: Floats
    square: Floats


@functools.cache
def templates(side: int, level: int, time: str) -> Templates:
    """The looks that may be `side` pixels large in a picture of `level` pixels."""
    size = side / level
    fitting = tuple(look for look in looks() if RANGE[0] <= size / THINGS[look.noun].size <= RANGE[1])
    row = {drawing: number for number, drawing in enumerate(dict.fromkeys(look.drawing for look in fitting))}
    layers = np.stack([lit(parts(look.drawing, side).coloured(look.colour), time) for look in fitting])
    tint = layers[..., :3] - 128 * layers[..., 3:]
    square = (tint**2).sum(-1) / np.maximum(layers[..., 3], 1 / 255)
    owner = np.array([row[look.drawing] for look in fitting])
    first = np.unique(owner, return_index=True)[1]
    return Templates(
        fitting,
        owner,
        layers[first, ..., 3].reshape(len(row), -1),
        tint.reshape(len(fitting), -1),
        square.reshape(len(fitting), -1),
    )


@functools.cache
def palettes(time: str) -> tuple[Floats, NDArray[np.int64]]:
    """The main colours of all looks in the light of an hour: their shares, (looks, 6), and bins, (looks, 6, 3)."""
    shares, colours = np.zeros((len(looks()), MAIN), np.float32), np.zeros((len(looks()), MAIN, 3), int)
    for number, look in enumerate(looks()):
        layer = lit(parts(look.drawing._replace(flipped=False), MASTERS[0]).coloured(look.colour), time)
        opaque = layer[layer[..., 3] == 1][:, :3].astype(int)
        _, first, counts = np.unique(opaque @ [1, 256, 65536], return_index=True, return_counts=True)
        main = counts.argsort()[-MAIN:]
        shares[number, : len(main)] = counts[main] / counts.sum()
        colours[number, : len(main)] = opaque[first[main]] // BIN
    return shares, colours


@dataclass(frozen=True)
class View:
    """What a figure has to explain.

    Attributes:
        picture: float32[64, 64, 3].
        explained: What has been explained of it so far: float32[64, 64, 3].
        weight: How much each pixel counts: float32[64, 64].
        time: In whose light the figure is.
    """

    picture: Floats
    explained: Floats
    weight: Floats
    time: str

    @functools.cached_property
    def error(self) -> Floats:
        """The squared error of each pixel: float32[64, 64]."""
        return self.weight * ((self.picture - self.explained) ** 2).sum(-1)

    @functools.cached_property
    def supported(self) -> frozenset[Look]:
        """The looks most of whose colours are there where something is to be explained."""
        bins = (self.picture[self.error > UNLIKE] // BIN).astype(int)
        there = np.zeros((256 // BIN,) * 3, bool)
        for red, green, blue in np.unique(bins, axis=0):
            there[tuple(slice(max(0, each - NEAR), each + NEAR + 1) for each in (red, green, blue))] = True
        shares, colours = palettes(self.time)
        support = (shares * there[colours[..., 0], colours[..., 1], colours[..., 2]]).sum(1)
        return frozenset(itertools.compress(looks(), support >= SUPPORT))


def best_figure(view: View) -> Candidate | None:
    """The figure that explains most of what is left; a smaller one where no large one is certain."""
    found: list[Candidate] = []
    if (view.error > UNLIKE).sum() < FEW:
        return None
    for level, sides in LEVELS.items():
        rough = sorted((refined(view, each, (2.0, 1.0)) for each in candidates(view, level)), reverse=True)
        fine = [recoloured(view, refined(view, each, (0.5, 0.25))) for each in rough[:FINALISTS]]
        found += [each for each in (*fine, *(siblings(view, max(fine)) if fine else ())) if is_there(view, each)]
        best = max(found, default=None)
        if best and best.size > 0.8 * sides[0] / level and explains(view, best) > CERTAIN:
            break
    return max(found, default=None)


def candidates(view: View, level: int) -> list[Candidate]:
    """The best of all sizes, one for each drawing, the best first."""
    best: dict[Look, Candidate] = {}
    for each in itertools.chain.from_iterable(sweep(view, side, level) for side in LEVELS[level]):
        if each.gain > best.get(each.look.drawing, each._replace(gain=0.0)).gain:
            best[each.look.drawing] = each
    return sorted(best.values(), reverse=True)[:CANDIDATES]


def sweep(view: View, side: int, level: int) -> list[Candidate]:
    """The best place of every look at one size."""
    picture, explained, weight = (
        shrunk(each, level) for each in (view.picture - 128, view.explained - 128, view.weight)
    )
    known = templates(side, level, view.time)
    chosen = np.array([number for number, look in enumerate(known.looks) if look in view.supported], int)
    error = weight * ((picture - explained) ** 2).sum(-1)
    busy = patches((error > UNLIKE).astype(np.float32), side).mean(1) > 0.12
    if not busy.any() or not len(chosen):
        return []
    change = patches(error - weight * (picture**2).sum(-1), side)[busy]
    gains = (change @ known.coverage.T)[:, known.owner[chosen]]
    gains += 2 * (patches(weight[..., None] * picture, side)[busy] @ known.tint[chosen].T)
    gains -= patches(weight, side)[busy] @ known.square[chosen].T
    best = gains.max(0) * (SIZE / level) ** 2
    rows, columns = np.divmod(np.flatnonzero(busy)[gains.argmax(0)], level + side // 2 - side + 1)
    return [
        Candidate(float(gain), look, *centre(look, column / level, row / level, side / level), side / level)
        for gain, look, row, column in zip(best, (known.looks[each] for each in chosen), rows, columns, strict=True)
        if gain > 0
    ]


def centre(look: Look, left: float, top: float, size: float) -> tuple[float, float]:
    """The centre of a look whose box has this corner."""
    width, height = look.extent
    return left + width * size / 2, top + height * size / 2


def patches(values: Floats, side: int) -> Floats:
    """Squares of a map (h, w) or a picture (h, w, 3), flat: float32[places, side^2 or 3 side^2]."""
    # A drawing fills its square from the top left, so that the square may reach out at the bottom and at the right.
    edge = (0, side // 2)
    padded = np.pad(values, (edge, edge, (0, 0))[: values.ndim])
    windows = sliding_window_view(padded, (side, side), axis=(0, 1))
    if values.ndim == 3:
        windows = windows.transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(windows.reshape(windows.shape[0] * windows.shape[1], -1))


class Spot(NamedTuple):
    """The rows and columns that a candidate covers, and its parts there."""

    rows: slice
    columns: slice
    parts: Parts

    def layer(self, colour: str | None, time: str) -> Floats:
        """What is painted there, in the light of an hour: float32[rows, columns, 4]."""
        return lit(self.parts.coloured(colour), time)


def spot(candidate: Candidate) -> Spot:
    """A candidate at its place and size, its edges at fractions of a pixel."""
    look, size = candidate.look, candidate.size
    width, height = (size * extent for extent in look.extent)
    left, top = candidate.x - width / 2, candidate.y - height / 2
    columns, rows = span(left, width), span(top, height)
    side = next((each for each in MASTERS if each >= 4 * SIZE * size), MASTERS[-1])
    box = tuple(
        side // 4 + side / size * (edge / SIZE - start)
        for edge, start in ((columns.start, left), (rows.start, top), (columns.stop, left), (rows.stop, top))
    )
    pixels = columns.stop - columns.start, rows.stop - rows.start
    fixed, painted = (
        np.asarray(image.resize(pixels, Image.Resampling.BOX, box=box), np.float32)
        if image
        else np.zeros(0, np.float32)
        for image in master(look.drawing, side)
    )
    return Spot(rows, columns, Parts(fixed * np.array([1, 1, 1, 1 / 255], np.float32), painted / 255))


def span(start: float, length: float) -> slice:
    """The pixels that an interval touches, within the picture."""
    first = min(max(math.floor(SIZE * start), 0), SIZE - 1)
    return slice(first, min(max(math.ceil(SIZE * (start + length)), first + 1), SIZE))


def gained(view: View, candidate: Candidate, at: Spot | None = None) -> Candidate:
    """The candidate with what it explains, at full resolution; minus infinity where too little of it is seen."""
    at = at or spot(candidate)
    rows, columns, layer = at.rows, at.columns, at.layer(candidate.look.colour, view.time)
    weight, coverage = view.weight[rows, columns], layer[..., 3]
    if np.vdot(weight, coverage) < VISIBLE * coverage.sum():
        return candidate._replace(gain=-math.inf)
    after = view.picture[rows, columns] - over(layer, view.explained[rows, columns])
    lost = np.vdot(weight, np.einsum("hwc,hwc->hw", after, after))
    return candidate._replace(gain=float(view.error[rows, columns].sum() - lost))


def refined(view: View, candidate: Candidate, steps: Iterable[float]) -> Candidate:
    """The candidate moved and scaled to where it explains most, by steps in pixels."""
    best = gained(view, candidate)
    for step in steps:
        for _ in range(ROUNDS):
            before = best.gain
            for direction in DIRECTIONS:
                best = max(best, gained(view, moved(best, direction, step / SIZE)))
            if best.gain <= before:
                break
    return best


def moved(candidate: Candidate, direction: tuple[float, float, float], step: float) -> Candidate:
    """The candidate a step in a direction of x, y and size, within the picture and what its noun allows."""
    look, natural = candidate.look, THINGS[candidate.look.noun].size
    x, y, size = (value + step * along for value, along in zip(candidate[2:], direction, strict=True))
    size = min(max(size, RANGE[0] * natural), RANGE[1] * natural)
    return Candidate(0.0, look, min(max(x, 0.02), 0.98), min(max(y, 0.02), 0.98), size)


def recoloured(view: View, candidate: Candidate) -> Candidate:
    """The candidate in the colour that explains most."""
    look, at = candidate.look, spot(candidate)
    if look.colour is None:
        return candidate
    return max(gained(view, candidate._replace(look=look._replace(colour=colour)), at) for colour in COLOURS)


def siblings(view: View, candidate: Candidate) -> list[Candidate]:
    """The other drawings of a candidate's noun in its place."""
    look = candidate.look
    others = dict.fromkeys(each._replace(colour=look.colour) for each in looks() if each.noun == look.noun)
    tried = (candidate._replace(look=each) for each in others if each != look)
    return [recoloured(view, refined(view, each, (2.0, 1.0, 0.5, 0.25))) for each in tried]


def is_there(view: View, candidate: Candidate) -> bool:
    """Whether a figure explains enough to be one."""
    return candidate.gain >= LEAST and explains(view, candidate) >= EXPLAINED


def explains(view: View, candidate: Candidate) -> float:
    """The share of the squared error beneath a candidate that it explains."""
    at = spot(candidate)
    beneath = np.vdot(view.error[at.rows, at.columns], at.parts.fixed[..., 3])
    return gained(view, candidate, at).gain / max(1.0, float(beneath))
