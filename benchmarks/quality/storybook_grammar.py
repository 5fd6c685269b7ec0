"""A parser of the storybook's captions: from a sentence of the grammar to its meaning.

The grammar consists of the frames, forms and words of the captions themselves. A frame is parsed from left to right.
Each field has its own reader, which looks up words or parses a noun phrase.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from tfx_pipeline.datasets.storybook import chinese, english
from tfx_pipeline.datasets.storybook.story import OPPOSITES, ORDINALS, Role, may_be
from tfx_pipeline.datasets.storybook.things import COLOURS, FLYING, PLACES, THINGS, Place, Thing

Said = dict[str, Any]
"""The meaning of a text by path: `place`, `time`, `weather`, `relation`, `third_relation`, `first.noun` and so on.

Two paths do not occur in captions: `first.count`, the number of a noun, and `over`, whether things are above the place.
"""
Reader = Callable[[str], Sequence[Said]]
"""A function that returns all meanings of a text."""
TOGETHER = {
    side: (other, "above", "on", "under") for side, other in OPPOSITES.items() if side in ("left of", "right of")
}
"""The possible relations of a third thing to the second, if the first is on a side of it."""

NOUN_PATHS = {"noun", "colour", "variant", "size", "count"}
"""The paths of noun phrases; counts of one are left out."""


def parse(caption: str) -> list[Said]:
    """All meanings of an English or Chinese caption; empty if no scene has this caption."""
    read = read_english() if caption.isascii() else read_chinese()
    return [said for said in read(caption) if is_possible(said)]


class Form(NamedTuple):
    """A pattern with fields, such as `a picture of {who}`, and its own meaning."""

    pattern: str
    said: tuple[tuple[str, str], ...] = ()


def reader(forms: Sequence[Form], readers: Mapping[str, Reader]) -> Reader:
    """A reader of texts with one of these forms, whose fields have these readers."""

    @functools.lru_cache(maxsize=4096)
    def read(text: str) -> list[Said]:
        meanings = (
            merged(dict(form.said), said) for form in forms for said in filled(fields(form.pattern), text, readers)
        )
        return [said for said in meanings if said is not None]

    return read


@functools.cache
def fields(pattern: str) -> tuple[tuple[str, str | None], ...]:
    """`draw {who}, please` -> (("draw ", "who"), (", please", None))."""
    return tuple((words, name) for words, name, _, _ in Formatter().parse(pattern))


def filled(rest: Sequence[tuple[str, str | None]], text: str, readers: Mapping[str, Reader]) -> Iterator[Said]:
    """All meanings of a text that consists of these words and fields."""
    if not rest:
        yield from [] if text else [{}]
        return
    (words, name), *rest = rest
    if not text.startswith(words) or not all(other in text for other, _ in rest):
        return
    text = text.removeprefix(words)
    if name is None:
        yield from filled(rest, text, readers)
        return
    for end in starts(rest[0][0], text) if rest else [len(text)]:
        # The rest first: it is mostly looked up, while a noun phrase takes longer.
        for after in filled(rest, text[end:], readers):
            for said in readers[name](text[:end]):
                if (both := merged(said, after)) is not None:
                    yield both


def starts(words: str, text: str) -> Iterator[int]:
    """Where words begin in a text, but not at its start."""
    start = text.find(words, 1)
    while start >= 0:
        yield start
        start = text.find(words, start + 1)


def merged(one: Said, other: Said) -> Said | None:
    """The combined meaning of two texts; None if they contradict each other."""
    return None if any(other.get(path, value) != value for path, value in one.items()) else one | other


def lookup(*tables: Mapping[str, Sequence[Said]]) -> Reader:
    """A reader that looks up texts in tables, and returns their meanings in all of them."""
    merged: dict[str, list[Said]] = {}
    for table in tables:
        for words, meanings in table.items():
            merged.setdefault(words, []).extend(meanings)
    return lambda text: merged.get(text, [])


def words(path: str, phrases: Mapping[Any, Iterable[str]], **said: Any) -> dict[str, list[Said]]:
    """A table of the phrases for each value of a path."""
    table: dict[str, list[Said]] = {}
    for value, names in phrases.items():
        for name in names:
            table.setdefault(name, []).append({path: value, **said})
    return table


def hour(
    times: Mapping[str, Iterable[str]],
    weathers: Mapping[str, Iterable[str]],
    both: Mapping[tuple[str, str], Iterable[str]],
) -> Reader:
    """A reader of phrases for the time, the weather or both."""
    together: dict[str, list[Said]] = {}
    for (time, weather), names in both.items():
        for name in names:
            together.setdefault(name, []).append({"time": time, "weather": weather})
    return lookup(words("time", times), words("weather", weathers), together)


def tags(names: Mapping[str, str], comma: str) -> Reader:
    """A reader of the time and the weather as a list of words."""
    times, weathers = (
        {value: [name] for value, name in names.items() if value in values}
        for values in (english.TIMES, english.WEATHERS)
    )
    both = {pair: [comma.join(names[value] for value in pair)] for pair in itertools.product(times, weathers)}
    return hour(times, weathers, both)


def of(ordinal: str, read: Reader) -> Reader:
    """The meaning of a noun phrase, as that of the first, the second or the third thing."""
    return lambda text: [{f"{ordinal}.{path}": value for path, value in said.items()} for said in read(text)]


def noun_phrases(full: Reader, bare: Reader) -> dict[str, Reader]:
    """The readers of `first`, `second`, `third` and, without articles, `bare_first` and so on."""
    return {
        f"{prefix}{ordinal}": of(ordinal, read)
        for prefix, read in (("", full), ("bare_", bare))
        for ordinal in ORDINALS
    }


def row(pattern: str) -> Form:
    """A form of three in a row."""
    return Form(pattern, (("relation", "left of"), ("third_relation", "right of")))


def without_articles(forms: Iterable[Form]) -> list[Form]:
    """The forms of bare noun phrases."""
    return [Form(re.sub(r"\{(first|second|third)\}", r"{bare_\1}", pattern), said) for pattern, said in forms]


@functools.cache
def read_english() -> Reader:
    """The reader of English captions."""
    readers = noun_phrases(english_noun_phrases(bare=False), english_noun_phrases(bare=True))
    pairs = {
        "relation": lookup(words("relation", english.RELATIONS)),
        "related": lookup(words("relation", english.RELATED)),
        "beside": lookup({name: [{}] for name in english.BESIDE}),
    }
    groups = {
        "relation": lookup(words("third_relation", english.RELATIONS)),
        "related": lookup(words("third_relation", english.RELATED)),
        "beside": lookup(words("relation", english.RELATED)),
        "side": lookup(words("relation", {side: [name] for side, name in english.SIDES.items()})),
    }
    two = [Form("{first}"), *map(Form, (*english.BOTH, *english.PAIRS))]
    three = [Form(english.LIST), *map(Form, english.GROUPS), *map(row, english.ROWS)]

    def subject(change: Callable[[Iterable[Form]], list[Form]]) -> Reader:
        simple, complex_ = reader(change(two), readers | pairs), reader(change(three), readers | groups)
        return lambda text: [*simple(text), *complex_(text)]

    places = PLACES.values()
    phrases = {place.name: place.phrases for place in places}
    context = {
        "who": subject(list),
        "bare": subject(without_articles),
        "are": lookup({"is": [{"many": False}], "are": [{"many": True}]}),
        "where": lookup(
            words("place", phrases, over=False),
            words("place", {place.name: [f"over {place.with_article}"] for place in places}, over=True),
        ),
        "place": lookup(words("place", {place.name: [place.with_article] for place in places})),
        "bare_place": lookup(words("place", {place.name: [place.name] for place in places})),
        "when": hour(english.TIMES, english.WEATHERS, english.WHEN),
        "clause": hour(english.TIME_CLAUSES, english.WEATHER_CLAUSES, english.CLAUSES),
        "noun": hour(english.TIME_NOUNS, english.WEATHER_NOUNS, english.NOUNS),
        "tags": tags(english.TAGS, ", "),
    }
    frames = [frame.replace("{place}", "{bare_place}") if "{bare}" in frame else frame for frame in english.FRAMES]
    return reader([Form(frame) for frame in dict.fromkeys((*frames, *english.LANDSCAPES))], context)


@functools.cache
def read_chinese() -> Reader:
    """The reader of Chinese captions."""
    readers = noun_phrases(chinese_noun_phrases(bare=False), chinese_noun_phrases(bare=True))
    readers["known"] = readers["bare_second"]
    spots = chinese.RELATIONS | {"on": (*chinese.RELATIONS["on"], chinese.ON_ANIMALS)}
    pairs = [
        Form(chinese.spelt(form, word).replace("{relation}", word), (("relation", relation),))
        for relation, names in spots.items()
        for word in names
        for form in chinese.PAIRS
    ]
    beside = {side: spots[side] for side in TOGETHER}
    groups = readers | {
        "relation": lookup(words("third_relation", spots)),
        "beside": lookup(words("relation", beside)),
    }
    triples = [*map(Form, chinese.GROUPS), *map(row, chinese.ROWS)]
    names = [Form(form) for form in ("{first}", "{first}和{second}", "{first}、{second}和{third}")]
    places = PLACES.values()
    phrases = {place.name: place.phrases_zh for place in places}
    context = {
        "who": reader(names, readers),
        "bare": reader(without_articles(names), readers),
        "sentence": reader([*pairs, *triples], groups),
        "where": lookup(
            words("place", phrases, over=False),
            words("place", {place.name: [f"{place.name_zh}上空"] for place in places}, over=True),
        ),
        "place": lookup(words("place", {place.name: [place.name_zh] for place in places})),
        "when": hour(chinese.TIMES, chinese.WEATHERS, chinese.WHEN),
        "clause": hour(chinese.TIME_CLAUSES, chinese.WEATHER_CLAUSES, chinese.CLAUSES),
        "tags": tags(chinese.TAGS, "，"),
    }
    sentences = [frame.replace("{who}", "{sentence}") for frame in chinese.SENTENCES]
    frames = dict.fromkeys((*chinese.NAMES, *sentences, *chinese.LANDSCAPES))
    return reader([Form(frame) for frame in frames], context)


def checked(read: Reader, agrees: Callable[[str, Said], bool], before: Iterable[str], cores: Iterable[str]) -> Reader:
    """The meanings of noun phrases, if their words agree with the noun.

    Most parts of a sentence are not noun phrases; their words show this before any form is tried.

    Args:
        read: Reads a noun phrase.
        agrees: Whether the words of a text agree with its meaning.
        before: The words that may come before a noun.
        cores: The nouns, with the words that belong to them; a noun phrase ends with one.
    """
    endings = {words_of(core)[-1] for core in cores}
    known = {word for text in (*before, *cores) for word in words_of(text)}

    def read_checked(text: str) -> list[Said]:
        parts = words_of(text)
        if parts[-1] not in endings or not known.issuperset(parts):
            return []
        return [
            {path: value for path, value in said.items() if path in NOUN_PATHS and value != 1}
            for said in read(text)
            if agrees(text, said)
        ]

    return read_checked


def words_of(text: str) -> list[str]:
    """The words of an English text, the characters of a Chinese one."""
    return text.split(" ") if text.isascii() else list(text)


def english_noun_phrases(*, bare: bool) -> Reader:
    """A reader of `a lovely big red cat`, `three red cats` or, if bare, `red cat`."""
    cores, plurals = english_cores(), english_plurals()
    articles, opinions = ("a", "an", "the"), (*english.OPINIONS, *english.OPINIONS_OF_LIVING)
    before = (*articles, *opinions, *english.NUMBERS.values(), *itertools.chain(*english.SIZES.values()))
    readers = {
        "number": lookup(words("count", {count: [word] for count, word in english.NUMBERS.items()}, many=True)),
        "article": lookup({article: [{"many": False}] for article in articles}),
        "opinion": lookup({word: [{"opinion": word}] for word in opinions}),
        "size": lookup(words("size", english.SIZES)),
        "core": lookup(cores),
        "plural": lookup(plurals),
    }
    single = "" if bare else "{article} "
    forms = [f"{single}{opinion}{size}{{core}}" for opinion in ("", "{opinion} ") for size in ("", "{size} ")]
    forms += ["{number} {plural}", "{number} {opinion} {plural}"]

    def agrees(text: str, said: Said) -> bool:
        thing: Thing = THINGS[said["noun"]]
        plain = not said.keys() & {"opinion", "size", "colour", "variant"}
        opinions = english.OPINIONS_OF_LIVING if thing.group in english.LIVING else english.OPINIONS
        if "opinion" in said and (said["opinion"] not in opinions or thing.article == "the"):
            return False
        article, _, phrase = text.partition(" ")
        return bare or "count" in said or article == english.article(phrase, Role(thing.name), plain=plain)

    return checked(reader([Form(form) for form in forms], readers), agrees, before, (*cores, *plurals))


def english_cores() -> dict[str, list[Said]]:
    """`sitting red cat`, `house with a red roof`: everything after an article and an opinion, in the singular."""
    cores: dict[str, list[Said]] = {}
    for thing in THINGS.values():
        for variant, noun in itertools.product((None, *thing.words), (thing.name, *thing.synonyms)):
            word = thing.words[variant] if variant else "{}"
            for text, colour in english_colours(thing, noun, word, count=1):
                cores.setdefault(text, []).append(said_of(thing, colour=colour, variant=variant))
    return cores


def english_plurals() -> dict[str, list[Said]]:
    """`red cats`, `houses with red roofs`."""
    return {
        text: [said_of(thing, colour=colour)]
        for thing in THINGS.values()
        if thing.countable
        for text, colour in english_colours(thing, thing.plural, "{}", count=2)
    }


def english_colours(thing: Thing, noun: str, word: str, *, count: int) -> Iterator[tuple[str, str | None]]:
    """A noun without and with each colour, in all phrasings, each with its colour."""
    yield english.named(noun, [], word), None
    for colour in COLOURS if thing.part else ():
        if thing.part not in english.WORN:
            yield english.named(noun, [colour], word), colour
        if thing.part not in english.WHOLE:
            yield english.named(noun, [], word) + english.with_part(Role(thing.name, count=count), colour), colour


def said_of(thing: Thing, **said: str | None) -> Said:
    """The meaning of a noun phrase, without values that are None."""
    return {"noun": thing.name} | {path: value for path, value in said.items() if value}


def chinese_noun_phrases(*, bare: bool) -> Reader:
    """A reader of `一只可爱的红色的猫`, `三只猫` or, if bare, `红色的猫`."""
    cores, opinions = chinese_cores(), (*chinese.OPINIONS, *chinese.OPINIONS_OF_LIVING)
    measures = {thing.measure: [{"measure": thing.measure}] for thing in THINGS.values()}
    before = (*opinions, *measures, *chinese.NUMBERS.values(), *itertools.chain(*chinese.SIZES.values()))
    readers = {
        "number": lookup(words("count", {count: [word] for count, word in chinese.NUMBERS.items()})),
        "measure": lookup(measures),
        "opinion": lookup({word: [{"opinion": word}] for word in opinions}),
        "size": lookup(words("size", chinese.SIZES)),
        "core": lookup(cores),
    }
    forms = [f"{number}{word}{{core}}" for number in ("", "{number}{measure}") for word in ("", "{opinion}", "{size}")]

    def agrees(text: str, said: Said) -> bool:
        thing, count = THINGS[said["noun"]], said.get("count")
        opinions = chinese.OPINIONS_OF_LIVING if thing.group in english.LIVING else chinese.OPINIONS
        if said.get("opinion", opinions[0]) not in opinions or said.get("measure", thing.measure) != thing.measure:
            return False
        if count and count > 1:
            return thing.countable and not said.keys() & {"size", "variant"}
        unique = text == thing.zh and thing.article == "the"
        return count is None if bare or unique else count == 1

    return checked(reader([Form(form) for form in forms], readers), agrees, before, cores)


def chinese_cores() -> dict[str, list[Said]]:
    """`坐着的红色的猫`, `大猫`: everything after a number and an opinion."""
    cores: dict[str, list[Said]] = {}
    for thing in THINGS.values():
        colours: list[tuple[str, str | None]] = [("", None)]
        for value in COLOURS if thing.part else ():
            plain = chinese.colour_words(value) if thing.part not in english.WORN else ()
            of_part = chinese.part_words(Role(thing.name), value) if thing.part not in english.WHOLE else ()
            colours += [(text, value) for text in dict.fromkeys((*plain, *of_part))]
        names: list[tuple[str, str | None]] = [(noun, None) for noun in (thing.zh, *thing.synonyms_zh)]
        names += [(f"大{noun}", "big") for noun, _ in names if noun[0] not in "大老小"]
        for variant, (noun, size), (word, colour) in itertools.product((None, *thing.words_zh), names, colours):
            form = thing.words_zh[variant] if variant else "{}"
            text = chinese.named(noun, [word] if word else [], form)
            cores.setdefault(text, []).append(said_of(thing, colour=colour, variant=variant, size=size))
    return cores


def is_possible(said: Said) -> bool:
    """Whether a scene with this meaning exists."""
    things = [THINGS[said[f"{ordinal}.noun"]] for ordinal in ORDINALS if f"{ordinal}.noun" in said]
    counts = [said.get(f"{ordinal}.count", 1) for ordinal in ORDINALS]
    if len({thing.name for thing in things}) < len(things) or (len(things) > 1 and max(counts) > 1):
        return False
    if said.get("many", max(counts) > 1) != (max(counts) > 1) or not may_be_so(said, things):
        return False
    places = [PLACES[said["place"]]] if "place" in said else PLACES.values()
    return any(may_be_at(said, things, place) for place in places)


def may_be_so(said: Said, things: Sequence[Thing]) -> bool:
    """Whether the relations between the things are possible."""
    if "third_relation" in said and said["third_relation"] not in TOGETHER.get(said["relation"], ()):
        return False
    pairs = zip(("relation", "third_relation"), things[::2], strict=False)
    return all(may_be(thing, said[path], things[1]) for path, thing in pairs if path in said)


def may_be_at(said: Said, things: Sequence[Thing], place: Place) -> bool:
    """Whether the things may be at, or above, a place at this time and in this weather."""
    times = set(place.times).intersection(*(thing.times for thing in things))
    weathers = set(place.weathers).intersection(*(thing.weathers for thing in things))
    in_air = [flights(thing, said.get(f"{ordinal}.variant")) for ordinal, thing in zip(ORDINALS, things, strict=False)]
    over = {all(choice) and bool(things) for choice in itertools.product(*in_air)}
    return (
        all(place.name in thing.places for thing in things)
        and said.get("time", min(times, default=None)) in times
        and said.get("weather", min(weathers, default=None)) in weathers
        and said.get("over", min(over)) in over
        and not ("weather" in said and len(place.weathers) == 1)
    )


def flights(thing: Thing, variant: str | None) -> set[bool]:
    """The possible answers to whether a thing is in the air."""
    if thing.lives != "anywhere":
        return {thing.lives == "sky"}
    return {True, False} if variant is None else {variant == FLYING}
