"""English captions."""

from collections.abc import Mapping
from string import Formatter

from tfx_pipeline.datasets.storybook.story import ORDINALS, Role
from tfx_pipeline.datasets.storybook.telling import Telling

Phrases = Mapping[str, tuple[str, ...]]

NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
SIZES = {"big": ("big", "large", "huge"), "small": ("small", "little", "tiny")}
LOVELY = 0.1
"""The share of nouns with an adjective that no picture shows."""
SYNONYM = 0.25
"""The share of nouns that are replaced by a synonym."""
OPINIONS = ("lovely", "pretty", "beautiful", "nice")
OPINIONS_OF_LIVING = ("cute", "lovely", "sweet", "adorable")
LIVING = ("animals", "creatures", "people")
WHOLE = ("coat", "fur", "body", "surface", "outside", "fabric", "wrapping", "frame", "cover", "hull", "brim", "cloth")
"""Parts that stand for the whole thing: `a red dog`, not `a dog with a red coat`."""
WORN = ("dress", "shirt")

RELATIONS = {
    "left of": ("to the left of", "on the left of", "left of"),
    "right of": ("to the right of", "on the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "beneath", "under"),
    "in front of": ("in front of",),
    "behind": ("behind",),
    "on": ("on", "on top of"),
    "under": ("under", "underneath", "beneath"),
}
# For the second thing, if the first one follows it: `a tree with a cat to its left`.
RELATED = {
    "left of": ("to its left", "on its left", "to the left of it"),
    "right of": ("to its right", "on its right", "to the right of it"),
    "above": ("above it", "over it"),
    "below": ("below it", "under it"),
    "in front of": ("in front of it",),
    "behind": ("behind it",),
    "on": ("on it", "on top of it"),
    "under": ("under it", "underneath it"),
}
BESIDE = ("next to", "beside")
SIDES = {"left of": "left", "right of": "right"}
WITH = " with "

# Combinations of noun phrases, with an open relation or with `relation` or `related`, the words above. With three
# things, `beside` relates the first to the second, and `relation` the third; in a
# row, the first is on the left.
BOTH = ("{first} and {second}", "{first} {beside} {second}")
PAIRS = ("{first} {relation} {second}", "{second} with {first} {related}")
LIST = "{first}, {second} and {third}"
ROWS = (
    "{second} between {first} on the left and {third} on the right",
    "{first} on the left, {second} in the middle and {third} on the right",
    "{second} with {first} to its left and {third} to its right",
)
GROUPS = (
    "{third} {relation} {second}, with {first} on the {side}",
    "{third} {relation} {second} and {first} {beside}",
    "{second} with {third} {related} and {first} {beside}",
)

TIMES = {
    "day": ("during the day", "in the daytime", "by day"),
    "sunset": ("at sunset", "at dusk", "in the evening"),
    "night": ("at night", "by night", "in the dark"),
}
WEATHERS = {
    "clear": ("in fine weather", "under a clear sky", "in clear weather"),
    "cloudy": ("under a cloudy sky", "in cloudy weather", "under grey clouds"),
    "rain": ("in the rain", "in rainy weather", "while it is raining"),
    "snow": ("while it is snowing", "in snowy weather", "in falling snow"),
}
WHEN = {
    ("day", "clear"): ("on a sunny day", "on a clear day", "on a bright day", "on a fine day"),
    ("day", "cloudy"): ("on a cloudy day", "on a grey day", "on an overcast day"),
    ("day", "rain"): ("on a rainy day", "on a wet day", "on a rainy day"),
    ("day", "snow"): ("on a snowy day",),
    ("sunset", "clear"): ("at a clear sunset", "on a clear evening", "at sunset under a clear sky"),
    ("sunset", "cloudy"): ("on a cloudy evening", "at a cloudy sunset", "at sunset under a cloudy sky"),
    ("sunset", "rain"): ("on a rainy evening", "at sunset in the rain", "at a rainy sunset"),
    ("sunset", "snow"): ("on a snowy evening", "at sunset while it is snowing", "at a snowy sunset"),
    ("night", "clear"): ("on a clear night", "on a starry night", "at night under a clear sky"),
    ("night", "cloudy"): ("on a cloudy night", "at night under a cloudy sky"),
    ("night", "rain"): ("on a rainy night", "at night in the rain"),
    ("night", "snow"): ("on a snowy night", "at night while it is snowing"),
}
TIME_CLAUSES = {
    "day": ("it is daytime", "it is day"),
    "sunset": ("the sun is setting", "it is sunset", "it is evening"),
    "night": ("it is night", "it is dark", "it is late at night"),
}
WEATHER_CLAUSES = {
    "clear": ("the sky is clear", "the weather is fine"),
    "cloudy": ("it is cloudy", "the sky is cloudy"),
    "rain": ("it is raining", "the rain is falling"),
    "snow": ("it is snowing", "the snow is falling"),
}
CLAUSES = {
    ("day", "clear"): ("it is a sunny day", "the weather is nice today", "it is a fine day"),
    ("day", "cloudy"): ("it is a cloudy day", "it is cloudy today", "it is a grey day"),
    ("day", "rain"): ("it is a rainy day", "it is raining today"),
    ("day", "snow"): ("it is a snowy day", "it is snowing today"),
    ("sunset", "clear"): ("it is a clear evening", "the sun is setting in a clear sky"),
    ("sunset", "cloudy"): ("it is a cloudy evening", "the sun is setting behind the clouds"),
    ("sunset", "rain"): ("it is a rainy evening", "it is raining at sunset", "it is raining this evening"),
    ("sunset", "snow"): ("it is a snowy evening", "it is snowing at sunset", "it is snowing this evening"),
    ("night", "clear"): ("it is a clear night", "it is a starry night", "the night sky is clear"),
    ("night", "cloudy"): ("it is a cloudy night", "it is cloudy tonight"),
    ("night", "rain"): ("it is a rainy night", "it is raining tonight"),
    ("night", "snow"): ("it is a snowy night", "it is snowing tonight"),
}
TIME_NOUNS = {
    "day": ("broad daylight",),
    "sunset": ("a sunset", "the evening"),
    "night": ("the night", "the night sky"),
}
WEATHER_NOUNS = {
    "clear": ("a clear sky", "fine weather"),
    "cloudy": ("a cloudy sky", "clouds"),
    "rain": ("rain", "rainy weather"),
    "snow": ("falling snow", "snowy weather"),
}
NOUNS = {
    ("day", "clear"): ("a sunny day", "a fine day", "a clear day"),
    ("day", "cloudy"): ("a cloudy day", "a grey day"),
    ("day", "rain"): ("a rainy day", "a wet day"),
    ("day", "snow"): ("a snowy day",),
    ("sunset", "clear"): ("a clear evening", "a clear sunset"),
    ("sunset", "cloudy"): ("a cloudy evening", "a cloudy sunset"),
    ("sunset", "rain"): ("a rainy evening", "a rainy sunset"),
    ("sunset", "snow"): ("a snowy evening", "a snowy sunset"),
    ("night", "clear"): ("a clear night", "a starry night"),
    ("night", "cloudy"): ("a cloudy night",),
    ("night", "rain"): ("a rainy night",),
    ("night", "snow"): ("a snowy night",),
}
TAGS = {
    "day": "day",
    "sunset": "sunset",
    "night": "night",
    "clear": "clear sky",
    "cloudy": "clouds",
    "rain": "rain",
    "snow": "snow",
}

# `who` is one or more noun phrases, `are` agrees with them, `bare` is the first without its article. A frame is used
# only if its fields are exactly what the caption mentions.
FRAMES = (
    "{who}",
    "{who}",
    "there {are} {who}",
    "a picture of {who}",
    "draw {who}",
    "look, {who}",
    "I see {who}",
    "{bare}",
    "{who} {where}",
    "{who} {where}",
    "{who} {where}",
    "there {are} {who} {where}",
    "{where} there {are} {who}",
    "{where}, {who}",
    "a picture of {who} {where}",
    "draw {who} {where}",
    "{bare} {where}",
    "{bare}, {place}",
    "{who} {when}",
    "{who} {when}",
    "{who} {when}",
    "there {are} {who} {when}",
    "{when} there {are} {who}",
    "{when}, {who}",
    "a picture of {who} {when}",
    "draw {who} {when}",
    "{clause}, and there {are} {who}",
    "{bare}, {tags}",
    "{who} {where} {when}",
    "{who} {where} {when}",
    "{who} {where} {when}",
    "{who} {when} {where}",
    "there {are} {who} {where} {when}",
    "{when}, {who} {where}",
    "{when} there {are} {who} {where}",
    "{where}, {who} {when}",
    "a picture of {who} {where} {when}",
    "draw {who} {where} {when}",
    "{clause} {where}, and there {are} {who}",
    "{clause}, and there {are} {who} {where}",
    "{who} {where}, and {clause}",
    "{bare}, {place}, {tags}",
)
LANDSCAPES = (
    "{place}",
    "a picture of {place}",
    "draw {place}",
    "nobody is {where}",
    "there is nobody {where}",
    "{clause}",
    "{clause}",
    "{clause}",
    "a picture of {noun}",
    "{noun}",
    "{place} {when}",
    "{place} {when}",
    "{when} {where}",
    "{clause} {where}",
    "{clause} {where}",
    "{noun} {where}",
    "a picture of {place} {when}",
    "draw {place} {when}",
    "{place}, {tags}",
)


def caption(telling: Telling) -> str:
    """A caption of a telling."""
    where, when = telling.says("place"), bool(telling.said & {"time", "weather"})
    frames = [frame for frame in (FRAMES if telling.scene.figures else LANDSCAPES) if suits(frame, where, when)]
    frame = telling.pick(frames)
    return frame.format(**words(telling, frame, when=when))


def suits(frame: str, where: bool, when: bool) -> bool:
    """Whether a frame has a field for the place exactly if the caption mentions it; likewise for time and weather."""
    names_place = "{where}" in frame or "{place}" in frame
    names_hour = any(name in frame for name in ("{when}", "{clause}", "{tags}", "{noun}"))
    return (names_place, names_hour) == (where, when)


def words(telling: Telling, frame: str, *, when: bool) -> dict[str, str]:
    """The values of the fields of a frame."""
    where = f"over {telling.place.with_article}" if telling.in_air else telling.pick(telling.place.phrases)
    slots = {"where": where, "place": telling.place.with_article}
    if when:
        slots |= {
            "when": hour(telling, TIMES, WEATHERS, WHEN),
            "clause": hour(telling, TIME_CLAUSES, WEATHER_CLAUSES, CLAUSES),
        }
        slots |= {"tags": tags(telling), "noun": hour(telling, TIME_NOUNS, WEATHER_NOUNS, NOUNS)}
    if telling.scene.figures:
        bare = "{bare}" in frame
        slots |= {"who": subject(telling, bare=bare), "are": "are" if telling.scene.kind == "count" else "is"}
        slots["bare"] = slots["who"]
        if bare:
            slots["place"] = telling.place.name
    return slots


def hour(
    telling: Telling,
    times: Phrases,
    weathers: Phrases,
    both: Mapping[tuple[str, str], tuple[str, ...]],
) -> str:
    """A phrase for the time, the weather or both."""
    story = telling.scene.story
    if telling.says("time", "weather"):
        return telling.pick(both[story.time, story.weather])
    return telling.pick(times[story.time] if telling.says("time") else weathers[story.weather])


def tags(telling: Telling) -> str:
    """The time and the weather as a list of words."""
    story = telling.scene.story
    return ", ".join(
        TAGS[word] for path, word in (("time", story.time), ("weather", story.weather)) if telling.says(path)
    )


def subject(telling: Telling, *, bare: bool = False) -> str:
    """All things of a scene, with their relations if the caption mentions them."""
    roles, relations = telling.scene.story.roles, telling.scene.story.relations
    names = [noun_phrase(telling, number, bare=bare) for number in range(len(roles))]
    if telling.scene.kind == "pair":
        return pair(telling, names, relations[0])
    if telling.scene.kind == "triple":
        return triple(telling, names, relations)
    return names[0]


def pair(telling: Telling, names: list[str], relation: str) -> str:
    """Two noun phrases with their relation, or joined if it is open."""
    who = dict(zip(ORDINALS, names, strict=False))
    if not telling.says("relation"):
        beside = relation in SIDES and telling.chance(0.5)
        return worded(telling, BOTH[beside], {"beside": BESIDE}, who)
    other_way = telling.chance(0.25) and WITH not in "".join(names)
    return worded(telling, PAIRS[other_way], {"relation": RELATIONS[relation], "related": RELATED[relation]}, who)


def triple(telling: Telling, names: list[str], relations: tuple[str, ...]) -> str:
    """Three noun phrases with their relations, or as a list if these are open."""
    who, (side, other) = dict(zip(ORDINALS, names, strict=True)), relations
    if not telling.says("relation"):
        return LIST.format(**who)
    phrases = {
        "relation": RELATIONS[other],
        "related": RELATED[other],
        "beside": RELATED[side],
        "side": (SIDES[side],),
    }
    texts = [worded(telling, form, phrases, who) for form in (ROWS if other in SIDES else GROUPS)]
    # The last form of each table adds `with` after the second thing, which may already contain one.
    return telling.pick(texts[:-1] if WITH in who["second"] else texts)


def worded(telling: Telling, form: str, phrases: Phrases, names: Mapping[str, str]) -> str:
    """A form with its fields filled: those in `names` as given, the others with one of the phrases."""
    fields = [field for _, field, _, _ in Formatter().parse(form) if field and field in phrases]
    return form.format(**names, **{field: telling.pick(phrases[field]) for field in fields})


def noun_phrase(telling: Telling, number: int, *, bare: bool = False) -> str:
    """`a big red cat`, `three sheep`, `the sun`; if bare, without the article."""
    role, ordinal = telling.scene.story.roles[number], ORDINALS[number]
    coloured = role.colour if telling.says(f"{ordinal}.colour") else None
    after = part_of(telling, role, coloured) if coloured else ""
    before = [*opinion(telling, role), *(telling.pick(SIZES[size]) for size in [role.size] if size in SIZES)]
    colour = [coloured] if coloured and not after else []
    variant = telling.scene.figures[number].variant if telling.says(f"{ordinal}.variant") else None
    phrase = (
        " ".join((*before, named(noun(telling, role), colour, role.thing.words[variant] if variant else "{}"))) + after
    )
    if role.count > 1:
        return f"{NUMBERS[role.count]} {phrase}"
    return phrase if bare else f"{article(phrase, role, plain=not before and not colour and not variant)} {phrase}"


def named(noun: str, colour: list[str], word: str) -> str:
    """`sitting red cat`, but `red steam train`, `red rowing boat` and `red tulip`."""
    if word.partition(" ")[0].endswith("ing") and "{}" in word:
        return word.format(" ".join((*colour, noun)))
    return " ".join((*colour, word.format(noun)))


def noun(telling: Telling, role: Role) -> str:
    """The noun, by its name or a synonym."""
    thing = role.thing
    if role.count > 1:
        return thing.plural
    return telling.pick(thing.synonyms) if thing.synonyms and telling.chance(SYNONYM) else thing.name


def opinion(telling: Telling, role: Role) -> list[str]:
    """Sometimes, an adjective that no picture shows."""
    if not telling.chance(LOVELY) or role.thing.article == "the":
        return []
    return [telling.pick(OPINIONS_OF_LIVING if role.thing.group in LIVING else OPINIONS)]


def part_of(telling: Telling, role: Role, colour: str) -> str:
    """` with a red roof`, if that phrasing is used instead of `red house`; otherwise empty."""
    part = role.thing.part or ""
    left_out = part in WHOLE or (part not in WORN and telling.chance(0.6))
    return "" if left_out else with_part(role, colour)


def with_part(role: Role, colour: str) -> str:
    """` in a red dress`, ` with a red roof` or ` with red petals`."""
    part = role.thing.part or ""
    if part in WORN:
        return f" in {article(colour, role, plain=False)} {colour} {part}"
    if role.count > 1 or part.endswith("s"):
        return f"{WITH}{colour} {plural_of(part)}"
    return f"{WITH}{article(colour, role, plain=False)} {colour} {part}"


def plural_of(part: str) -> str:
    """`sails`, `seats` or `canopies`."""
    if part.endswith("s"):
        return part
    return f"{part[:-1]}ies" if part.endswith("y") else f"{part}s"


def article(phrase: str, role: Role, *, plain: bool) -> str:
    """The article of a phrase: that of the noun, if the phrase begins with it."""
    if plain and role.thing.article == "the":
        return "the"
    return "an" if phrase[0] in "aeiou" else "a"
