"""The content of a scene in words: its things and their relations, place, time and weather."""

import functools
import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tfx_pipeline.datasets.storybook.things import COLOURS, PLACES, THINGS, TIMES, WEATHERS, Place, Thing

Rng = np.random.Generator
Item = TypeVar("Item")

SHARES = {"single": 0.38, "count": 0.12, "pair": 0.35, "triple": 0.1, "landscape": 0.05}
RELATIONS = {
    "left of": 0.18,
    "right of": 0.18,
    "above": 0.1,
    "below": 0.1,
    "in front of": 0.12,
    "behind": 0.12,
    "on": 0.1,
    "under": 0.1,
}
OPPOSITES = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
}
SIZES = {"usual": 0.76, "big": 0.12, "small": 0.12}
TIME_SHARES = dict(zip(TIMES, (0.6, 0.2, 0.2), strict=True))
WEATHER_SHARES = dict(zip(WEATHERS, (0.6, 0.14, 0.13, 0.13), strict=True))
MOST = 5
"""The largest number in captions."""
# Chosen so that no noun loses more than a third of its places, and each keeps its most typical one.
_SALT = "2758"
ORDINALS = ("first", "second", "third")


@dataclass(frozen=True)
class Role:
    """One noun of a story; `colour` is None if no part of it is painted."""

    noun: str
    colour: str | None = None
    size: str = "usual"
    count: int = 1

    @property
    def thing(self) -> Thing:
        """The facts of its noun."""
        return THINGS[self.noun]


@dataclass(frozen=True)
class Story:
    """The content of a scene. `relations` are those of the first role to the second, and of the third to the second."""

    kind: str
    roles: tuple[Role, ...]
    relations: tuple[str, ...]
    place: str
    time: str
    weather: str

    @property
    def pairs(self) -> list[tuple[str, str, str]]:
        """Every (noun, relation, noun) that the relations state or imply."""
        nouns = [role.noun for role in self.roles]
        pairs = [(nouns[0], self.relations[0], nouns[1])] if self.relations else []
        if self.kind == "triple":
            pairs.append((nouns[2], self.relations[1], nouns[1]))
            if self.relations[1] == OPPOSITES.get(self.relations[0]):
                pairs.append((nouns[0], self.relations[0], nouns[2]))
        return pairs

    @property
    def withheld(self) -> bool:
        """Whether it contains a (noun, place) or a (noun, relation, noun) that is withheld from training."""
        placed = (is_withheld(role.noun, self.place) for role in self.roles)
        return any(placed) or any(is_withheld_pair(*pair) for pair in self.pairs)


@functools.cache
def is_withheld(*words: str) -> bool:
    """Whether a combination is in the tenth that is withheld from training, by a hash of its words."""
    return int.from_bytes(hashlib.sha256(" ".join((_SALT, *words)).encode()).digest()) % 10 == 0


def is_withheld_pair(first: str, relation: str, second: str) -> bool:
    """`is_withheld` for (noun, relation, noun); the converse relation gives the same result."""
    if relation in ("right of", "below", "behind"):
        first, relation, second = second, OPPOSITES[relation], first
    return is_withheld(first, relation, second)


def random_story(
    rng: Rng, *, shares: Mapping[str, float] = SHARES, withheld: bool | None = None, about: Collection[str] = ()
) -> Story:
    """A random story.

    Args:
        rng: Source of randomness.
        shares: Weight of each kind, at least 0; `{"pair": 1}` gives only pairs.
        withheld: True gives only withheld stories, False only training stories, None both.
        about: Nouns, one of which the story must contain; empty for no restriction.

    Raises:
        ValueError: Withheld landscapes are requested, but no landscape is withheld.
    """
    if withheld and not any(share for kind, share in shares.items() if kind != "landscape"):
        raise ValueError("No landscape is withheld: ask for another kind of scene, or leave out withheld=True.")
    while True:
        story = set_in_time(weighted(rng, shares), rng)
        if story is not None and withheld in (None, story.withheld) and tells_of(story, about):
            return story


def tells_of(story: Story, nouns: Collection[str]) -> bool:
    """Whether a story contains one of the nouns; true if there are no nouns."""
    return not nouns or any(role.noun in nouns for role in story.roles)


def set_in_time(kind: str, rng: Rng) -> Story | None:
    """A random story of a kind; None if the chosen things cannot appear together."""
    nouns, relations = CASTS[kind](rng)
    things = [THINGS[noun] for noun in nouns]
    places = [place for place in PLACES if all(fits(thing, PLACES[place]) for thing in things)]
    if not places:
        return None
    place = PLACES[pick(rng, places)]
    times = [time for time in place.times if all(time in thing.times for thing in things)]
    weathers = [weather for weather in place.weathers if all(weather in thing.weathers for thing in things)]
    if not times or not weathers:
        return None
    return Story(
        kind,
        tuple(random_role(noun, rng, counted=kind == "count") for noun in nouns),
        relations,
        place.name,
        weighted(rng, {time: TIME_SHARES[time] for time in times}),
        weighted(rng, {weather: WEATHER_SHARES[weather] for weather in weathers}),
    )


def random_role(noun: str, rng: Rng, *, counted: bool) -> Role:
    """A noun in a random colour, size and number."""
    colour = pick(rng, list(COLOURS)) if THINGS[noun].part else None
    if counted:
        return Role(noun, colour, count=int(rng.integers(2, MOST + 1)))
    return Role(noun, colour, weighted(rng, SIZES))


def fits(thing: Thing, place: Place) -> bool:
    """Whether a thing may be drawn at a place."""
    return place.name in thing.places


def cast_single(rng: Rng) -> tuple[list[str], tuple[str, ...]]:
    """One noun."""
    return [pick(rng, list(THINGS))], ()


def cast_count(rng: Rng) -> tuple[list[str], tuple[str, ...]]:
    """One noun that can be counted."""
    return [pick(rng, [noun for noun, thing in THINGS.items() if thing.countable])], ()


def cast_pair(rng: Rng) -> tuple[list[str], tuple[str, ...]]:
    """Two nouns in a relation."""
    relation = weighted(rng, RELATIONS)
    partners = pairs_in(relation)
    first = pick(rng, list(partners))
    return [first, pick(rng, partners[first])], (relation,)


def cast_triple(rng: Rng) -> tuple[list[str], tuple[str, ...]]:
    """Three nouns: a row from left to right, or one beside another, and a third above, on or under the second."""
    side = pick(rng, ["left of", "right of"])
    other = weighted(rng, {OPPOSITES[side]: 0.5, "above": 0.2, "on": 0.15, "under": 0.15})
    partners = pairs_in(other)
    third = pick(rng, list(partners))
    second = pick(rng, partners[third])
    first = pick(rng, [noun for noun, others in pairs_in(side).items() if second in others and noun != third])
    if (side, other) == ("right of", "left of"):
        # No caption says which end of a row comes first, so the order of roles would be a matter of chance.
        return [third, second, first], (other, side)
    return [first, second, third], (side, other)


def cast_landscape(rng: Rng) -> tuple[list[str], tuple[str, ...]]:
    """No nouns."""
    return [], ()


CASTS = {
    "single": cast_single,
    "count": cast_count,
    "pair": cast_pair,
    "triple": cast_triple,
    "landscape": cast_landscape,
}


@functools.cache
def pairs_in(relation: str) -> dict[str, list[str]]:
    """The nouns that can be first in a relation, each with those that can be second."""
    partners: dict[str, list[str]] = {}
    for first, second in itertools.permutations(THINGS.values(), 2):
        if set(first.places) & set(second.places) and may_be(first, relation, second):
            partners.setdefault(first.name, []).append(second.name)
    return partners


def may_be(first: Thing, relation: str, second: Thing) -> bool:
    """Whether a relation between two things makes sense."""
    if relation in ("below", "behind"):
        first, relation, second = second, OPPOSITES[relation], first
    if relation == "above":
        return first.flies and not second.flies
    if relation == "in front of":
        return first.lives == second.lives and not first.flies and 0.6 < first.size / second.size < 1.5
    if relation == "on":
        return second.holds is not None and first.size < 0.9 * second.size and may_rest(first, second)
    if relation == "under":
        return second.shelters is not None and first.size < 1.2 * second.size and first.rests
    return True


def may_rest(first: Thing, second: Thing) -> bool:
    """Whether a thing may be on another: flying things on anything, animals and people on all but plants and houses."""
    if first.group in ("objects", "plants") or second.group == "objects":
        return first.rests and second.group == "objects"
    return first.rests and (second.group not in ("plants", "buildings") or first.lives == "anywhere")


def pick(rng: Rng, items: Sequence[Item]) -> Item:
    """One of the items, uniformly."""
    return items[int(rng.integers(len(items)))]


def weighted(rng: Rng, shares: Mapping[str, float]) -> str:
    """One of the names, with probabilities proportional to the weights."""
    weights = np.fromiter(shares.values(), float)
    return str(list(shares)[int(np.searchsorted(weights.cumsum(), rng.random() * weights.sum(), side="right"))])


def attributes(story: Story) -> dict[str, Any]:
    """The story in the form of `metadata.jsonl`, without missing attributes such as a colour."""
    values: dict[str, Any] = {"kind": story.kind}
    for ordinal, role in zip(ORDINALS, story.roles, strict=False):
        values[ordinal] = {"noun": role.noun} | ({"colour": role.colour} if role.colour else {}) | {"size": role.size}
    if story.kind == "count":
        values["count"] = story.roles[0].count
    for name, relation in zip(("relation", "third_relation"), story.relations, strict=False):
        values[name] = relation
    return values | {"place": story.place, "time": story.time, "weather": story.weather}
