"""Reads pictures of the storybook: the things with their colours and variants, the place, the time and the weather.

Only the pixels are used. Place, time and weather are those of the closest bare scene, in the pixels without figures.
The figures are then found one after the other by matching pursuit (Mallat and Zhang, 1993), each in front of or behind
those found so far, and fitted again once the others are known. A figure is kept if it explains more than it costs. The
judge has no learned weights and draws no data, so it shares neither with the models under test.
"""

import functools
import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import Pictures
from benchmarks.quality.storybook_matching import (
    SIZE,
    Candidate,
    Floats,
    View,
    document,
    explains,
    layer,
    lit,
    over,
    premultiplied,
    recoloured,
    refined,
    resampled,
    sampled,
    shrunk,
    window,
)
from benchmarks.quality.storybook_search import CERTAIN, LEAST, best_figure, standing_alone
from tfx_pipeline.datasets.storybook.layout import upper_side
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import PATTERNS, Figure, Scene, hidden, rasterised, render
from tfx_pipeline.datasets.storybook.story import ORDINALS, Story, may_be
from tfx_pipeline.datasets.storybook.things import PLACES, SKIES, SKY_DRAWINGS, THINGS

TRUNCATED = 40.0
"""Larger differences of a channel, in grey levels, are attributed to a figure and not to another place."""
CLOSE = 0.04
"""The maximum distance of a figure from what it stands on, as a share of the picture's side."""
TOUCHED = 0.1
"""The hidden share of a figure above which it counts as hidden by another."""
COVERED = 0.1
"""The coverage above which a pixel is no evidence of what is behind."""
MOST_FIGURES = 6
SIFTED = {16: 60, 32: 1}
"""Sides at which a picture is compared with bare scenes, and the number of scenes kept at each."""


class Setting(NamedTuple):
    """A bare scene."""

    place: str
    backdrop: str
    mirrored: bool
    time: str
    weather: str
    pattern: int


@dataclass(frozen=True)
class Reading:
    """The content of a picture: its setting, and its figures from back to front."""

    setting: Setting
    figures: tuple[Figure, ...]

    @property
    def scene(self) -> Scene:
        """The content as a scene, which can be drawn."""
        place, backdrop, mirrored, time, weather, pattern = self.setting
        return Scene(Story("landscape", (), (), place, time, weather), self.figures, backdrop, mirrored, pattern)

    def of(self, noun: str) -> list[Figure]:
        """The figures of a noun."""
        return [figure for figure in self.figures if figure.noun == noun]


@functools.cache
def falls(weather: str, pattern: int) -> Floats:
    """Rain or snow: float32[64, 64, 4], premultiplied."""
    name = SKIES.weathers[weather].falls
    markup = SKY_DRAWINGS[f"{name}-{pattern}"].markup if name else ""
    return premultiplied(rasterised(document(markup), SIZE, SIZE))


@functools.cache
def bare(place: str, backdrop: str, mirrored: bool, time: str, weather: str) -> Floats:
    """A place without figures, rain or snow: float32[64, 64, 3]."""
    sky, land = (
        premultiplied(rasterised(document(drawing.markup), SIZE, SIZE))
        for drawing in (SKY_DRAWINGS[f"{time}-{weather}"], PLACES[place].drawings[backdrop])
    )
    whole = sky.copy()
    whole[..., :3] = over(land[:, ::-1] if mirrored else land, sky[..., :3])
    return lit(whole, time)[..., :3]


@functools.cache
def all_settings() -> list[Setting]:
    """The settings of all places."""
    return [
        Setting(place.name, backdrop, mirrored, time, weather, pattern)
        for place in PLACES.values()
        for backdrop, mirrored, time, weather in itertools.product(
            place.drawings, (False, True), place.times, place.weathers
        )
        for pattern in range(1, PATTERNS + 1 if SKIES.weathers[weather].falls else 2)
    ]


@functools.cache
def bare_scenes(side: int) -> Floats:
    """Every setting with its rain or snow, at a lower resolution: float32[n, side, side, 3]."""
    shown = (over(falls(each.weather, each.pattern), bare(*each[:-1])) for each in all_settings())
    return np.stack([shrunk(picture, side) for picture in shown])


def read_setting(picture: Floats) -> Setting:
    """The closest bare scene; differences are clipped at a limit."""
    chosen = np.arange(len(all_settings()))
    for side, kept in SIFTED.items():
        errors = np.minimum(np.abs(bare_scenes(side)[chosen] - shrunk(picture, side)), TRUNCATED).mean((1, 2, 3))
        chosen = chosen[errors.argsort()[:kept]]
    return all_settings()[chosen[0]]


def cover(figures: Sequence[Candidate]) -> Floats:
    """The coverage of each pixel by figures: float32[64, 64]."""
    clear = np.ones((SIZE, SIZE), np.float32)
    for each in figures:
        at = window(each)
        clear[at] *= 1 - sampled(each, at)[..., 3]
    return 1 - clear


def painted(figures: Sequence[Candidate], setting: Setting) -> Floats:
    """A setting with figures, from back to front: float32[64, 64, 3]."""
    whole = bare(*setting[:-1]).copy()
    for each in figures:
        at = window(each)
        whole[at] = over(layer(sampled(each, at), each.look.colour, setting.time), whole[at])
    return whole


def read(picture: NDArray[np.uint8]) -> Reading:
    """The content of a picture.

    Args:
        picture: uint8[64, 64, 3].
    """
    values = picture.astype(np.float32)
    setting = read_setting(values)
    page = Page(values, setting, (falls(setting.weather, setting.pattern)[..., 3] < COVERED).astype(np.float32))
    figures = needed(page, fitted(page, standing_alone(page.between([], []))))
    while len(figures) < MOST_FIGURES and (found := another(page, figures)):
        more = reconsidered(page, *found)
        # A figure that is not needed would be found again and again.
        if page.cost(more) >= page.cost(figures):
            break
        figures = more
    return Reading(setting, tuple(as_figure(each, order) for order, each in enumerate(figures)))


@dataclass(frozen=True)
class Page:
    """A picture with a known setting; its weight is the area that neither rain nor snow covers: float32[64, 64]."""

    picture: Floats
    setting: Setting
    clear: Floats

    def between(self, behind: Sequence[Candidate], before: Sequence[Candidate]) -> View:
        """The view that a figure between others has to explain."""
        weight = self.clear * (cover(before) < COVERED)
        noise = self.noise([*behind, *before])
        return View(self.picture, painted(behind, self.setting), weight, self.setting.time, noise)

    def noise(self, figures: Sequence[Candidate]) -> float:
        """The median squared error of the pixels that figures cover; 0 if they cover none."""
        covered = cover(figures) * self.clear > 0.5
        error = ((self.picture - painted(figures, self.setting)) ** 2).sum(-1)
        return float(np.median(error[covered])) if covered.any() else 0.0

    def around(self, figures: Sequence[Candidate], figure: Candidate) -> View:
        """The view that one of the figures has to explain."""
        number = figures.index(figure)
        return self.between(figures[:number], figures[number + 1 :])

    def cost(self, figures: Sequence[Candidate]) -> float:
        """The cost of figures: the remaining squared error, plus a penalty for each of them."""
        view = View(self.picture, painted(figures, self.setting), self.clear, self.setting.time)
        return float(view.error.sum()) + LEAST * len(figures)


def another(page: Page, figures: list[Candidate]) -> tuple[list[Candidate], int] | None:
    """The figures with one more, in front of or behind the others, and its index; None if there is none."""
    front = best_figure(page.between(figures, []))
    if not figures or (front and not any(touch(front, each) for each in figures)):
        return ([*figures, front], len(figures)) if front else None
    behind = best_figure(page.between([], figures))
    best = max(filter(None, (front, behind)), default=None)
    if best is None:
        return None
    return ([*figures, best], len(figures)) if best is front else ([best, *figures], 0)


def reconsidered(page: Page, figures: list[Candidate], number: int) -> list[Candidate]:
    """The figures, fitted again; poor ones that touch the figure with an index are replaced by better ones.

    Figures that are then not needed are removed.
    """
    figures = fitted(page, figures)
    new = figures[number]
    for each in [other for other in figures if other is not new and touch(other, new)]:
        if each in figures and explains(page.around(figures, each), each) < CERTAIN:
            figures = min(figures, replaced(page, figures, each), key=page.cost)
    return needed(page, figures)


def needed(page: Page, figures: list[Candidate]) -> list[Candidate]:
    """The figures without those that cost more than they explain; the smallest are tried first."""
    for each in sorted(figures, key=lambda figure: figure.size):
        figures = min(figures, fitted(page, [other for other in figures if other is not each]), key=page.cost)
    return figures


def replaced(page: Page, figures: list[Candidate], poor: Candidate) -> list[Candidate]:
    """The figures, with a poor one and the poor ones that it touches replaced by the best candidate."""
    others = [
        each
        for each in figures
        if each == poor or not touch(each, poor) or explains(page.around(figures, each), each) > CERTAIN
    ]
    number = others.index(poor)
    best = best_figure(page.around(others, poor))
    return fitted(page, [*others[:number], *([best] if best else []), *others[number + 1 :]])


def touch(one: Candidate, other: Candidate) -> bool:
    """Whether the boxes of two figures may meet."""
    return max(abs(one.x - other.x), abs(one.y - other.y)) < (one.size + other.size) / 2


def fitted(page: Page, figures: Sequence[Candidate]) -> list[Candidate]:
    """The figures, each refined with the others fixed."""
    figures = list(figures)
    for number, each in enumerate(figures):
        view = page.around(figures, each)
        figures[number] = recoloured(view, refined(view, each))
    return figures


def as_figure(candidate: Candidate, order: int) -> Figure:
    """The figure of a candidate."""
    noun, variant, flipped, colour = candidate.look
    return Figure(noun, variant, colour, candidate.size, flipped, candidate.x, candidate.y, order)


@contextmanager
def readers(workers: int | None = None) -> Iterator[Callable[[Pictures], list[Reading]]]:
    """A function that reads pictures of any size in several processes, by default one per core."""
    # With a process per core, NumPy should use one thread each; it reads this setting when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield lambda pictures: pool.map(read, resampled(pictures), chunksize=4)


def reliability(count: int, *, seed: int, workers: int | None = None) -> dict[str, float]:
    """The accuracy of the judge on real pictures of withheld scenes.

    Args:
        count: Number of pictures: singles, counts, pairs and triples as in the dataset.
        seed: Seed of the scenes.
        workers: Number of processes.

    Returns:
        Accuracies, 0 to 1: `noun`, `variant`, `colour`, `count`, `relation`, `place`, `time` and `weather`; and
        `strangers`, the share of pictures in which it sees nothing that is not there. `seconds`: elapsed time per
        picture with all processes.
    """
    scenes = [each.scene for each in sample(count, seed, withheld=True)]
    pictures = np.stack([render(scene, SIZE) for scene in scenes])
    started = time.monotonic()
    with readers(workers) as read_all:
        readings = read_all(pictures)
    seconds = (time.monotonic() - started) / count
    by_part: dict[str, list[bool]] = {}
    for reading, scene in zip(readings, scenes, strict=True):
        for path, right in verdict(reading, scene).items():
            by_part.setdefault(path.rpartition(".")[-1].removeprefix("third_"), []).append(right)
    return {part: float(np.mean(right)) for part, right in by_part.items()} | {"seconds": seconds}


def verdict(reading: Reading, scene: Scene) -> dict[str, bool]:
    """Whether a picture shows each part of a requested scene.

    Args:
        reading: The content of the picture.
        scene: The requested scene.

    Returns:
        Whether it is correct, by path: those of `Captions.open`, `first.noun`, `first.count` and so on, and
        `strangers`, which is true if there is nothing that was not requested. A relation is correct if it holds between
        any figures of its nouns.
    """
    story, setting = scene.story, reading.setting
    figures_of = {role.noun: reading.of(role.noun) for role in story.roles}
    right = {path: getattr(setting, path) == getattr(story, path) for path in ("place", "time", "weather")}
    right["strangers"] = sum(map(len, figures_of.values())) == len(reading.figures)
    for ordinal, role in zip(ORDINALS, story.roles, strict=False):
        figures = figures_of[role.noun]
        right[f"{ordinal}.count"] = len(figures) == role.count
        asked = Counter(figure.variant for figure in scene.figures if figure.noun == role.noun)
        right[f"{ordinal}.noun"] = bool(figures)
        right[f"{ordinal}.variant"] = Counter(figure.variant for figure in figures) == asked
        right[f"{ordinal}.colour"] = bool(figures) and {figure.colour for figure in figures} == {role.colour}
    for path, role, asked_for in zip(("relation", "third_relation"), story.roles[::2], story.relations, strict=False):
        pairs = itertools.product(figures_of[role.noun], figures_of[story.roles[1].noun])
        right[path] = any(relation(first, second) == asked_for for first, second in pairs)
    return right


def relation(first: Figure, second: Figure) -> str:
    """The relation of a figure to another, one of `story.RELATIONS`.

    A figure that touches the top or the base of another is on or under it. One that hides a part of the other is in
    front of it. Separate figures are left or right of each other, or above or below if their widths overlap.
    """
    if is_on(first, second):
        return "on"
    if is_under(first, second):
        return "under"
    if max(hidden(first, second), hidden(second, first)) > TOUCHED:
        return "in front of" if first.order > second.order else "behind"
    across = max(first.left, second.left) - min(first.right, second.right)
    down = max(first.top, second.top) - min(first.base, second.base)
    if across > 0 or across > down:
        return "left of" if first.x < second.x else "right of"
    return "above" if first.y < second.y else "below"


def is_on(first: Figure, second: Figure) -> bool:
    """Whether a figure stands on top of another."""
    return (
        may_be(THINGS[first.noun], "on", THINGS[second.noun])
        and first.order > second.order
        and second.left < first.x < second.right
        and abs(first.base - upper_side(second, first.x, first.width)) < CLOSE
    )


def is_under(first: Figure, second: Figure) -> bool:
    """Whether a figure stands at the base of another, in the space beneath it."""
    return (
        may_be(THINGS[first.noun], "under", THINGS[second.noun])
        and first.order > second.order
        and second.left < first.x < second.right
        and abs(first.base - second.base) < CLOSE
        and first.height < second.height
    )
