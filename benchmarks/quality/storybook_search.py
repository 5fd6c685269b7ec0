"""Finds the figure of the storybook that explains most of a picture.

A figure that stands alone fills the unexplained region of the picture, which gives its position and size; every drawing
of about that shape is compared with it. If figures hide each other, all drawings are slid over the picture at a low
resolution, by matrix products, and the best ones are fitted at full resolution.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.quality.storybook_matching import (
    MASTERS,
    RANGE,
    SIZE,
    Candidate,
    Floats,
    Look,
    View,
    Window,
    colours_of,
    drawings,
    explains,
    layer,
    looks,
    parts,
    recoloured,
    refined,
    sampled,
    shrunk,
)
from tfx_pipeline.datasets.storybook.things import THINGS

SMALL, LARGE = (7, 8, 9, 10, 11, 12, 13), (15, 17, 19, 21, 23, 26)
LEVELS = {16: SMALL, 32: (*SMALL, *LARGE), 64: (*SMALL, *LARGE)}
"""Sides of the picture at which drawings are slid over it, the lowest resolution first, and the sides of the drawings.

Large figures are tried twice, because thin ones are lost at a lower resolution. They move by `STRIDE` pixels at a time.
"""
STRIDE = 2
CANDIDATES, FINALISTS = 12, 4
"""The maximum number of drawings that are fitted, and of those whose colour is then chosen again."""
PROMISING = 0.5
"""The minimum gain of a guess to be fitted, as a share of the best gain so far."""
BIN = 16
"""Grey levels per bin in the test for the presence of colours."""
NEAR = 3
"""The number of bins by which a colour may differ."""
SUPPORT = 0.45
"""The share of a drawing whose colours must occur in the unexplained part of the picture."""
MAIN = 6
"""The number of colours of a drawing that are tested."""
UNLIKE = 3 * 20.0**2
"""The squared error above which a pixel is unexplained: a difference of 20 grey levels in three channels."""
NOISY = 4.0
"""The same as a multiple of the noise: the remainder of a soft drawing is not another figure."""
FEW = 8
"""The number of unexplained pixels below which the search ends."""
BUSY = 0.12
"""The share of a drawing's square that must be unexplained."""
CERTAIN = 0.9
"""The explained share of the squared error above which nothing else is tried."""
EXPLAINED = 0.55
"""The minimum share of the squared error beneath a figure that it must explain."""
LEAST = 100_000.0
"""The minimum squared error that a figure must explain; a small purple cup at night explains less than twice that."""
ASPECT = 1.25
"""The maximum ratio between the aspects of a region and of a drawing that is compared with it."""


class Templates(NamedTuple):
    """All looks at one size, in the light of a time of day; 128 is subtracted from colours.

    Attributes:
        coverage: float32[drawings, side^2].
        tint: float32[looks, 3 side^2], coverage times colour.
        square: float32[looks, side^2], coverage times the squared length of the colour.
    """

    coverage: Floats
    tint: Floats
    square: Floats


@functools.cache
def templates(side: int, time: str) -> Templates:
    """The templates with a side of `side` pixels."""
    art = ((look, squared(look, side)) for look in drawings())
    layers = np.stack([layer(shown, colour, time) for look, shown in art for colour in colours_of(look)])
    tint = layers[..., :3] - 128 * layers[..., 3:]
    square = (tint**2).sum(-1) / np.maximum(layers[..., 3], 1 / 255)
    first = np.unique(owners(), return_index=True)[1]
    coverage = layers[first, ..., 3]
    return Templates(*(each.reshape(len(each), -1) for each in (coverage, tint, square)))


@functools.cache
def owners() -> NDArray[np.int64]:
    """The index of each look's drawing: int[looks]."""
    numbers = {drawing: number for number, drawing in enumerate(drawings())}
    return np.array([numbers[look.drawing] for look in looks()])


@functools.cache
def natural_sizes() -> Floats:
    """The natural size of each look's thing: float32[looks]."""
    return np.array([THINGS[look.noun].size for look in looks()], np.float32)


def squared(drawing: Look, side: int) -> Floats:
    """The parts of a drawing, in the top left corner of the smallest square: float32[side, side, 4 or 7]."""
    width, height = drawing.extent
    whole = Window(slice(0, side), slice(0, side))
    return sampled(Candidate(0.0, drawing, width / 2, height / 2, 1.0), whole, side)


@functools.cache
def palettes(time: str) -> tuple[Floats, NDArray[np.int64]]:
    """The main colours of all looks at a time of day: their shares, (looks, 6), and bins, (looks, 6, 3)."""
    shares, colours = np.zeros((len(looks()), MAIN), np.float32), np.zeros((len(looks()), MAIN, 3), int)
    for number, look in enumerate(looks()):
        shown = layer(parts(look.noun, look.variant, MASTERS[0]), look.colour, time)
        opaque = shown[shown[..., 3] == 1][:, :3].astype(int)
        _, first, counts = np.unique(opaque @ [1, 256, 65536], return_index=True, return_counts=True)
        main = counts.argsort()[-MAIN:]
        shares[number, : len(main)] = counts[main] / counts.sum()
        colours[number, : len(main)] = opaque[first[main]] // BIN
    return shares, colours


def supported(view: View, unlike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The looks most of whose colours occur in the unexplained part of the picture: bool[looks]."""
    bins = (view.picture[unlike] // BIN).astype(int)
    there = np.zeros((256 // BIN,) * 3, bool)
    for red, green, blue in np.unique(bins, axis=0):
        there[tuple(slice(max(0, each - NEAR), each + NEAR + 1) for each in (red, green, blue))] = True
    shares, colours = palettes(view.time)
    support: Floats = (shares * there[colours[..., 0], colours[..., 1], colours[..., 2]]).sum(1)
    return support >= SUPPORT


def best_figure(view: View) -> Candidate | None:
    """The figure that explains most of the remainder; smaller ones are tried only if no larger one is certain."""
    unlike = view.error > unexplained(view)
    if unlike.sum() < FEW or view.error.sum() < LEAST:
        return None
    known, accepted = supported(view, unlike), list[Candidate]()
    for level, sides in LEVELS.items():
        least = PROMISING * max((each.gain for each in accepted), default=0.0)
        rough = sorted((refined(view, each) for each in candidates(view, level, known, least)), reverse=True)
        fine = [recoloured(view, each) for each in rough[:FINALISTS]]
        accepted += [each for each in (*fine, *(siblings(view, max(fine)) if fine else ())) if is_there(view, each)]
        best = max(accepted, default=None)
        if best and best.size > 0.8 * sides[0] / level and explains(view, best) > CERTAIN:
            break
    return max(accepted, default=None)


def unexplained(view: View) -> float:
    """The squared error above which a pixel is unexplained."""
    return max(UNLIKE, NOISY * view.noise)


def is_there(view: View, candidate: Candidate) -> bool:
    """Whether a figure explains enough to be accepted."""
    return candidate.gain >= LEAST and explains(view, candidate) >= EXPLAINED


def siblings(view: View, candidate: Candidate) -> list[Candidate]:
    """The other drawings of a candidate's noun, at the same position."""
    look = candidate.look
    others = (each._replace(colour=look.colour) for each in drawings() if each.noun == look.noun)
    tried = (candidate._replace(look=each) for each in others if each != look)
    return [recoloured(view, refined(view, recoloured(view, each))) for each in tried]


def candidates(view: View, level: int, known: NDArray[np.bool_], least: float) -> list[Candidate]:
    """The best candidate of each drawing over all sizes, sorted by gain; only those above the minimum gain."""
    best: dict[Look, Candidate] = {}
    for side in reversed(LEVELS[level]):
        for each in sweep(view, side, level, known, least):
            if each.gain > best.get(each.look.drawing, each._replace(gain=0.0)).gain:
                best[each.look.drawing] = each
            least = max(least, PROMISING * each.gain)
    return promising(best.values())


def sweep(view: View, side: int, level: int, known: NDArray[np.bool_], least: float) -> list[Candidate]:
    """The best position of every look at one size.

    Args:
        view: The picture to explain.
        side: Side of the looks.
        level: Side of the picture.
        known: The looks to try: bool[looks].
        least: The minimum gain.
    """
    picture, explained, weight = (
        shrunk(each, level) for each in (view.picture - 128, view.explained - 128, view.weight)
    )
    size, pixels = side / level, (SIZE / level) ** 2
    chosen = np.flatnonzero(known & (size >= RANGE[0] * natural_sizes()) & (size <= RANGE[1] * natural_sizes()))
    error = weight * ((picture - explained) ** 2).sum(-1)
    # The gain of a figure is at most the error in its square.
    busy = patches((error > unexplained(view)).astype(np.float32), side).mean((2, 3)) > BUSY
    busy &= pixels * patches(error, side).sum((2, 3)) > max(LEAST, least)
    if not busy.any() or not len(chosen):
        return []
    there = templates(side, view.time)
    change = flat(patches(error - weight * (picture**2).sum(-1), side)[busy])
    gains = (change @ there.coverage.T)[:, owners()[chosen]]
    gains += 2 * (flat(patches(weight[..., None] * picture, side)[busy]) @ there.tint[chosen].T)
    gains -= flat(patches(weight, side)[busy]) @ there.square[chosen].T
    best = pixels * gains.max(0)
    tops, lefts = (stride(side) / level * places[gains.argmax(0)] for places in np.nonzero(busy))
    return [
        Candidate(float(best[number]), look, *centre(look, lefts[number], tops[number], size), size)
        for number in np.flatnonzero(best > max(least, PROMISING * best.max()))
        for look in [looks()[chosen[number]]]
    ]


def stride(side: int) -> int:
    """The stride in pixels of drawings with a side."""
    return STRIDE if side in LARGE else 1


def centre(look: Look, left: float, top: float, size: float) -> tuple[float, float]:
    """The centre of a look whose box has this top left corner."""
    width, height = look.extent
    return left + width * size / 2, top + height * size / 2


def patches(values: Floats, side: int) -> Floats:
    """The squares of a map (h, w) or a picture (h, w, 3), as a view: float32[rows, columns, side, side] or [..., 3]."""
    # A drawing is in the top left of its square, so the square may extend beyond the bottom and the right edge.
    edge, step = (0, side // 2), stride(side)
    padded = np.pad(values, (edge, edge, (0, 0))[: values.ndim])
    windows = sliding_window_view(padded, (side, side), axis=(0, 1))[::step, ::step]
    return np.moveaxis(windows, 2, -1) if values.ndim == 3 else windows


def flat(squares: Floats) -> Floats:
    """Each of n squares as a row: float32[n, values]."""
    return squares.reshape(len(squares), -1)


def standing_alone(view: View) -> list[Candidate]:
    """The figures that explain nearly all of an unexplained region."""
    filled = (filling(view, region) for region in regions(view.error > unexplained(view)))
    return [each for each in filled if each]


def regions(unlike: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """The connected regions of a mask, without tiny ones; pixels at a distance of two count as connected."""
    near = neighbours(unlike).any((2, 3))
    labels = np.arange(1, near.size + 1).reshape(near.shape) * near
    while (spread := neighbours(labels).max((2, 3)) * near).sum() > labels.sum():
        labels = spread
    for label in np.unique(labels[labels > 0]):
        region = unlike & (labels == label)
        if region.sum() >= FEW:
            yield region


def neighbours(values: NDArray[Any]) -> NDArray[Any]:
    """The 3 x 3 neighbourhood of each value: [h, w, 3, 3]."""
    return sliding_window_view(np.pad(values, 1), (3, 3))


def filling(view: View, region: NDArray[np.bool_]) -> Candidate | None:
    """The figure that explains nearly all of a region, if any."""
    error = float(view.error[region].sum())
    if error < LEAST:
        return None
    known = np.unique(owners()[supported(view, region)])
    boxes = (boxed(drawings()[number], region) for number in known)
    guesses = promising(recoloured(view, each) for each in boxes if each)
    best = max((recoloured(view, refined(view, each)) for each in guesses), default=None)
    return best if best and best.gain >= CERTAIN * error and explains(view, best) >= CERTAIN else None


def promising(guesses: Iterable[Candidate]) -> list[Candidate]:
    """The most promising guesses, the best first."""
    ordered = sorted(guesses, reverse=True)[:CANDIDATES]
    return [each for each in ordered if each.gain > PROMISING * ordered[0].gain]


def boxed(drawing: Look, region: NDArray[np.bool_]) -> Candidate | None:
    """A drawing that fills the box of a region; None if it is too wide or too narrow."""
    left, right, top, bottom = (edge / SIZE for edge in bounds(region))
    ink = inked(drawing)
    across, down = (right - left) / (ink.right - ink.left), (bottom - top) / (ink.bottom - ink.top)
    if not 1 / ASPECT <= across / down <= ASPECT:
        return None
    size, (width, height) = (across * down) ** 0.5, drawing.extent
    x = (left + right) / 2 + size * (width - ink.left - ink.right) / 2
    y = (top + bottom) / 2 + size * (height - ink.top - ink.bottom) / 2
    return Candidate(0.0, drawing, x, y, size)


class Box(NamedTuple):
    """The edges of a box."""

    left: float
    right: float
    top: float
    bottom: float


@functools.cache
def inked(drawing: Look) -> Box:
    """The edges of the opaque part of a drawing, as shares of its longer side."""
    side = MASTERS[0]
    box = bounds(parts(drawing.noun, drawing.variant, side)[..., 3] > 0.5)
    left, right, top, bottom = (edge / side for edge in box)
    if drawing.flipped:
        left, right = drawing.extent[0] - right, drawing.extent[0] - left
    return Box(left, right, top, bottom)


def bounds(mask: NDArray[np.bool_]) -> Box:
    """The edges of the true values of a mask, in pixels."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return Box(columns[0], columns[-1] + 1, rows[0], rows[-1] + 1)
