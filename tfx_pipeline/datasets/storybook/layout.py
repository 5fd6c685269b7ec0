"""The positions of a story's figures: on the ground, in the water or in the sky, and in their relations.

Positions and sizes are random: a centre varies by up to 6% of the picture's side, a size by up to 12%. Without a source
of randomness, the result is the canonical picture of the story, with the first variant of everything and no jitter.
"""

import contextlib
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from tfx_pipeline.datasets.storybook.scene import PATTERNS, Figure, Scene, hidden, mask
from tfx_pipeline.datasets.storybook.story import OPPOSITES, SHARES, Rng, Role, Story, random_story
from tfx_pipeline.datasets.storybook.things import PLACES, THINGS, Place, Thing, in_air

JITTER = 0.06
"""The maximum displacement of a centre, as a share of the picture's side."""
SIZE_JITTER = 0.12
SIZES = {"small": 0.7, "usual": 1.0, "big": 1.35}
SCALES = {1: 1.2, 2: 1.0, 3: 0.82}
"""The scale of a thing relative to its natural size, by number of roles."""
COUNTED = {2: 0.95, 3: 0.76, 4: 0.64, 5: 0.6}
MARGIN = 0.015
GAP = 0.03
MIDDLE, FAR, NEAR = 0.55, 0.2, 0.9
"""Depths within a band, from 0 at its far edge to 1 at its near one."""
AIR = (0.22, 0.36)
"""The range for the centre of a flying thing in a place without a sky."""
LOWER, UPPER = 1, 2
"""The orders of two figures, the second of which may hide a part of the first."""
OVERLAP = 0.02
"""The share of a thing that others may hide without a relation that says so."""
SLIDES = tuple(tenth / 10 for tenth in range(10))
"""Sideways offsets of a thing in front of another, as shares of the offset at which they no longer overlap."""
TRIES = 4
"""The number of attempts to lay out a story before another one is drawn."""
HIDDEN = (0.2, 0.5)
"""The range of the share of a thing that one in front of it hides."""

WIDEST = 0.9
SUNK = 0.03
"""The depth to which a thing on another overlaps it, as a share of the lower one's height."""
FLIGHT = {"above": True, "on": False, "under": False}
"""Whether the first thing of a relation must be in the air, for relations that require either."""

Item = TypeVar("Item")


class CrowdedError(ValueError):
    """A story that cannot be laid out so that everything can be seen."""


class Dice:
    """The random choices of a layout; without a generator, always the first item and the middle value."""

    def __init__(self, rng: Rng | None) -> None:
        self.rng = rng

    def wobble(self, most: float) -> float:
        """A number from -most to most."""
        return float(self.rng.uniform(-most, most)) if self.rng else 0.0

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[int(self.rng.integers(len(items)))] if self.rng else items[0]


def random_scene(
    rng: Rng, *, shares: Mapping[str, float] = SHARES, withheld: bool | None = None, about: Collection[str] = ()
) -> Scene:
    """A random story, laid out; arguments and errors are those of `random_story`."""
    while True:
        story = random_story(rng, shares=shares, withheld=withheld, about=about)
        for _ in range(TRIES):
            with contextlib.suppress(CrowdedError):
                return lay_out(story, rng)


def lay_out(story: Story, rng: Rng | None = None) -> Scene:
    """Lay out a story as a scene.

    Args:
        story: The story.
        rng: Source of variants, mirror images and jitter; None returns the canonical scene.

    Raises:
        CrowdedError: Its things cannot be placed so that all of them are visible.
    """
    return lay_out_with(Dice(rng), story)


def lay_out_with(dice: Dice, story: Story) -> Scene:
    """Lay out a story with random choices from `dice`; errors are those of `lay_out`."""
    place = PLACES[story.place]
    figures = tuple(figure for figure in LAYOUTS[story.kind](story, place, dice))
    check_seen(figures)
    return Scene(
        story,
        figures,
        backdrop=dice.pick(list(place.drawings)),
        mirrored=dice.pick([False, True]),
        pattern=dice.pick(range(1, PATTERNS + 1)),
    )


def lay_landscape(story: Story, place: Place, dice: Dice) -> Iterator[Figure]:
    """No figures."""
    yield from ()


def lay_single(story: Story, place: Place, dice: Dice) -> Iterator[Figure]:
    """One thing in the middle."""
    yield from in_row([settled(cast(story.roles[0], SCALES[1], dice), place, MIDDLE, dice)], dice)


def lay_count(story: Story, place: Place, dice: Dice) -> Iterator[Figure]:
    """Several of one thing side by side; if there are more than three, alternately near and far."""
    (role,) = story.roles
    figures = [cast(role, COUNTED[role.count], dice) for _ in range(role.count)]
    if role.count <= 3:
        yield from in_row([settled(figure, place, MIDDLE, dice) for figure in figures], dice)
        return
    for number, figure in enumerate(figures):
        far, near = band(role.thing, figure.variant, place)
        figure = shrunk(figure, width=1.5 / role.count - GAP, height=max(near - far, 0.2))
        figure = settled(figure, place, 1 - number % 2, dice)
        x = (number + 0.5) / role.count + dice.wobble(0.2 / role.count)
        yield replace(figure, x=inside(x, figure.width), order=1 - number % 2)


def lay_pair(story: Story, place: Place, dice: Dice) -> Iterator[Figure]:
    """Two things in a relation."""
    yield from related(story.roles[:2], story.relations[0], place, SCALES[2], dice)


def lay_triple(story: Story, place: Place, dice: Dice) -> Iterator[Figure]:
    """A thing on one side of two others that are in a relation."""
    first, second, third = story.roles
    side, other = story.relations
    alone = settled(cast(first, SCALES[3], dice), place, MIDDLE, dice)
    if other == OPPOSITES[side]:
        last = settled(cast(third, SCALES[3], dice), place, MIDDLE, dice)
        middle = settled(cast(second, SCALES[3], dice), place, MIDDLE, dice)
        yield from in_row([alone, middle, last], dice)
        return
    third_figure, second_figure = related((third, second), other, place, SCALES[3], dice)
    group = [second_figure, third_figure]
    lone, group = beside(alone, group, side, dice)
    yield from (lone, *group)


LAYOUTS = {
    "landscape": lay_landscape,
    "single": lay_single,
    "count": lay_count,
    "pair": lay_pair,
    "triple": lay_triple,
}


def related(roles: Sequence[Role], relation: str, place: Place, scale: float, dice: Dice) -> tuple[Figure, Figure]:
    """Two figures, the first in a relation to the second."""
    if relation in ("right of", "below", "behind"):
        second, first = related(roles[::-1], OPPOSITES[relation], place, scale, dice)
        return first, second
    first = cast(roles[0], scale, dice, flying=FLIGHT.get(relation))
    second = cast(roles[1], scale, dice, flying=False if relation == "above" else None)
    return RELATED[relation](first, second, place, dice)


def lay_left(first: Figure, second: Figure, place: Place, dice: Dice) -> tuple[Figure, Figure]:
    """One to the side of the other."""
    left, right = in_row([settled(figure, place, MIDDLE, dice) for figure in (first, second)], dice)
    return left, right


def lay_above(first: Figure, second: Figure, place: Place, dice: Dice) -> tuple[Figure, Figure]:
    """One above the other, in the air."""
    second = settled(second, place, NEAR, dice)
    share = (second.base - 2 * MARGIN - GAP) / (first.height + second.height)
    if share < 1:
        first, second = resized(first, share), rebased(resized(second, share), second.base)
    lowest = second.top - GAP - first.height / 2
    first = settled(first, place, MIDDLE, dice)
    first = replace(first, y=min(first.y, lowest))
    (second,) = in_row([second], dice)
    reach = max(first.width, second.width) / 4
    x = second.x + min(max(dice.wobble(JITTER), -reach), reach)
    return replace(first, x=inside(x, first.width)), second


def lay_in_front(first: Figure, second: Figure, place: Place, dice: Dice) -> tuple[Figure, Figure]:
    """One in front of the other, hiding a part of it."""
    first, second = (settled(figure, place, depth, dice) for figure, depth in ((first, NEAR), (second, FAR)))
    (second,) = in_row([second], dice)
    wanted = sum(HIDDEN) / 2 + dice.wobble((HIDDEN[1] - HIDDEN[0]) / 2)
    side = dice.pick([-1, 1])
    reach = (first.width + second.width) / 2
    options = [replace(first, x=inside(second.x + side * share * reach, first.width)) for share in SLIDES]
    best = min(options, key=lambda figure: abs(hidden(second, figure) - wanted))
    if not HIDDEN[0] <= hidden(second, best) <= HIDDEN[1]:
        raise CrowdedError(f"A {first.noun} cannot stand before a {second.noun} and leave enough of it to be seen.")
    return replace(best, order=UPPER), replace(second, order=LOWER)


def lay_on(first: Figure, second: Figure, place: Place, dice: Dice) -> tuple[Figure, Figure]:
    """One on top of the other."""
    second = settled(second, place, NEAR, dice)
    first = resized(first, min(1.0, 0.8 * second.width / first.width, second.height / first.height))
    share = (second.base - 2 * MARGIN) / (first.height + second.height)
    if share < 1:
        first, second = resized(first, share), rebased(resized(second, share), second.base)
    (second,) = in_row([second], dice)
    x = second.x + dice.wobble(0.1 * second.width)
    first = rebased(replace(first, x=inside(x, first.width)), upper_side(second, x, first.width))
    return replace(first, order=UPPER), replace(second, order=LOWER)


def lay_under(first: Figure, second: Figure, place: Place, dice: Dice) -> tuple[Figure, Figure]:
    """One at the base of the other, in the space beneath it."""
    second = settled(resized(second, 1.2), place, NEAR, dice)
    (second,) = in_row([second], dice)
    room = 1.2 * (THINGS[second.noun].shelters or 0) * second.height
    first = resized(first, min(1.0, room / first.height, 0.7 * second.width / first.width))
    side = dice.pick([-1, 1]) * (0.2 * second.width + dice.wobble(0.06 * second.width))
    first = rebased(replace(first, x=inside(second.x + side, first.width)), min(second.base + 0.02, 1 - MARGIN))
    return replace(first, order=UPPER), replace(second, order=LOWER)


RELATED = {
    "left of": lay_left,
    "above": lay_above,
    "in front of": lay_in_front,
    "on": lay_on,
    "under": lay_under,
}


def cast(role: Role, scale: float, dice: Dice, *, flying: bool | None = None) -> Figure:
    """A figure for a role, in the middle of the picture; `flying` restricts the variant."""
    thing = role.thing
    fitting = [variant for variant in thing.variants if flying in (None, in_air(thing, variant))]
    return Figure(
        role.noun,
        dice.pick(fitting or thing.variants),
        role.colour,
        thing.size * scale * SIZES[role.size] * (1 + dice.wobble(SIZE_JITTER)),
        flipped=thing.flips and dice.pick([False, True]),
    )


def settled(figure: Figure, place: Place, depth: float, dice: Dice) -> Figure:
    """The figure at its height: its centre in the sky, or its base on ground or water; smaller if it is far away."""
    thing = THINGS[figure.noun]
    far, near = band(thing, figure.variant, place)
    y = min(max(far + depth * (near - far) + dice.wobble(JITTER), far), near)
    if in_air(thing, figure.variant):
        figure = shrunk(figure, width=WIDEST, height=WIDEST / 2)
        return replace(figure, y=max(y, figure.height / 2 + MARGIN))
    if thing.lives == "underwater":
        y = max(y, min(near, place.horizon + figure.height))
    figure = resized(figure, min(1.05, 0.65 + 0.35 * (y - 0.6) / 0.3))
    return rebased(shrunk(figure, width=WIDEST, height=y - MARGIN), y)


def band(thing: Thing, variant: str, place: Place) -> tuple[float, float]:
    """The range of heights of a thing at a place: of its centre if it is in the air, otherwise of its base."""
    if in_air(thing, variant):
        return place.sky or AIR
    ground, water = place.ground or place.water, place.water or place.ground
    return (water if thing.lives in ("water", "underwater") else ground) or AIR


def in_row(figures: Sequence[Figure], dice: Dice) -> list[Figure]:
    """The figures side by side from left to right, evenly spaced apart from jitter, and reduced to fit."""
    room = 1 - 2 * MARGIN - GAP * (len(figures) - 1)
    share = min(1.0, room / sum(figure.width for figure in figures))
    figures = [rebased(resized(figure, share), figure.base) for figure in figures]
    gap = (1 - sum(figure.width for figure in figures)) / (len(figures) + 1)
    reach = max(0.0, min(JITTER, (gap - MARGIN) / 2 if len(figures) > 1 else gap - MARGIN))
    placed, left = [], gap
    for figure in figures:
        placed.append(replace(figure, x=left + figure.width / 2 + dice.wobble(reach)))
        left += figure.width + gap
    return placed


def beside(alone: Figure, group: Sequence[Figure], side: str, dice: Dice) -> tuple[Figure, list[Figure]]:
    """One figure on a side of a group, together as wide as the picture allows."""
    left, right = min(figure.left for figure in group), max(figure.right for figure in group)
    share = min(1.0, (1 - 2 * MARGIN - GAP) / (alone.width + right - left))
    base = max(figure.base for figure in group)
    group = [zoomed(figure, share, left, base) for figure in group]
    alone = rebased(resized(alone, share), alone.base)
    width = share * (right - left)
    gap = (1 - width - alone.width) / 3
    reach = max(0.0, min(JITTER, (gap - MARGIN) / 2))
    lone_left, group_left = (gap, 2 * gap + alone.width) if side == "left of" else (2 * gap + width, gap)
    step = group_left - left + dice.wobble(reach)
    alone = replace(alone, x=lone_left + alone.width / 2 + dice.wobble(reach))
    return alone, [replace(figure, x=figure.x + step) for figure in group]


def zoomed(figure: Figure, share: float, x: float, y: float) -> Figure:
    """The figure scaled about a point."""
    return replace(figure, size=share * figure.size, x=x + share * (figure.x - x), y=y + share * (figure.y - y))


def resized(figure: Figure, share: float) -> Figure:
    """The figure scaled about its centre."""
    return replace(figure, size=share * figure.size)


def shrunk(figure: Figure, *, width: float = 1.0, height: float = 1.0) -> Figure:
    """The figure, reduced to at most this width and height."""
    return resized(figure, min(1.0, width / figure.width, height / figure.height))


def rebased(figure: Figure, base: float) -> Figure:
    """The figure with its base at a height."""
    return replace(figure, y=base - figure.height / 2)


def inside(x: float, width: float) -> float:
    """The nearest centre at which a box of this width is inside the picture."""
    return min(max(x, width / 2 + MARGIN), 1 - MARGIN - width / 2)


def upper_side(figure: Figure, x: float, width: float) -> float:
    """The height at which something of a width, centred at x, stands on a figure: on its outline, or on its seat."""
    opaque = mask(figure.noun, figure.variant)
    opaque = opaque[:, ::-1] if figure.flipped else opaque
    start, stop = (
        int(np.clip((x + sign * width / 4 - figure.left) / figure.width, 0, 0.999) * opaque.shape[1])
        for sign in (-1, 1)
    )
    outline = opaque[:, start : stop + 1].argmax(0) / opaque.shape[0]
    seat = 1 - (THINGS[figure.noun].holds or 1)
    return figure.top + figure.height * (max(float(np.median(outline)), seat) + SUNK)


def check_seen(figures: Sequence[Figure]) -> None:
    """Reject figures that extend beyond the picture, or hide one another without a relation that requires it."""
    for figure in figures:
        if min(figure.left, figure.top) < 0 or max(figure.right, figure.base) > 1:
            raise CrowdedError(f"A {figure.noun} does not fit into the picture.")
    for one, other in itertools.combinations(figures, 2):
        behind, before = sorted((one, other), key=lambda figure: figure.order)
        if (behind.order, before.order) != (LOWER, UPPER) and hidden(behind, before) > OVERLAP:
            raise CrowdedError(f"A {behind.noun} is hidden by a {before.noun}.")
