"""The things, places and colours of the storybook: facts in TOML and drawings in SVG.

A thing is one table of a TOML file in `things/` and a drawing `things/NOUN-VARIANT.svg` for each of its variants. A
place is one table of `places/places.toml` and its drawings `places/PLACE-VARIANT.svg`. No other file contains their
names.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tfx_pipeline.datasets.entries import DataSetError

ART = Path(__file__).parent
FLYING = "flying"
"""The variant in which a thing with `lives = "anywhere"` is in the air."""
_SVG = re.compile(r'<svg\b[^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)</svg>', re.DOTALL)
_CLASS = re.compile(r'class="(paint|shade|light)"')

Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Band = tuple[Share, Share]
Time = Literal["day", "sunset", "night"]
Weather = Literal["clear", "cloudy", "rain", "snow"]
TIMES: tuple[Time, ...] = ("day", "sunset", "night")
WEATHERS: tuple[Weather, ...] = ("clear", "cloudy", "rain", "snow")


class Colour(NamedTuple):
    """The three tones of a drawing's `paint`, `shade` and `light` parts, as `#rrggbb`."""

    paint: str
    shade: str
    light: str


COLOURS = {
    "red": Colour("#d8403a", "#a92e2c", "#f07a6c"),
    "orange": Colour("#ee8b2d", "#c56d1c", "#f9b266"),
    "yellow": Colour("#f4cf3c", "#cda520", "#fbe68a"),
    "green": Colour("#3f9b46", "#2e7536", "#7cc66f"),
    "blue": Colour("#3b74d1", "#2a559f", "#86b0ee"),
    "purple": Colour("#8b4fb5", "#67378a", "#bd8fdc"),
    "white": Colour("#f7f5ef", "#d3cfc6", "#ffffff"),
    "black": Colour("#2c2d33", "#18191d", "#55575f"),
}


@dataclass(frozen=True)
class Drawing:
    """The markup of one SVG file, and the size of its view box, which begins at (0, 0)."""

    width: float
    height: float
    markup: str

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height as shares of the longer side."""
        larger = max(self.width, self.height)
        return self.width / larger, self.height / larger

    @property
    def painted(self) -> bool:
        """Whether it has painted parts."""
        return 'class="' in self.markup

    def coloured(self, colour: str | None) -> str:
        """The markup with its painted parts in one of `COLOURS`."""
        return self.markup if colour is None else self.painted_in(COLOURS[colour])

    def painted_in(self, tones: Colour) -> str:
        """The markup with its painted parts in three tones."""
        return _CLASS.sub(lambda match: f'fill="{getattr(tones, match[1])}"', self.markup)


class Facts(BaseModel):
    """One table of a TOML file, immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Drawn(Facts):
    """Something with drawings.

    Attributes:
        name: The name in captions.
        variants: The names of its variants.
        drawings: The drawing of each variant.
    """

    name: Word
    variants: Annotated[tuple[Word, ...], Field(min_length=2)]
    drawings: dict[str, Drawing]


class Thing(Drawn):
    """A noun of the storybook.

    Attributes:
        group: The file of its facts: animals, objects, people and so on.
        plural: The plural of the name.
        article: `a`, `an`, or `the` if there is only one.
        zh: The Chinese noun.
        measure: Its measure word.
        synonyms: Other English words for it, lower case.
        synonyms_zh: Other Chinese words for it.
        lives: Where it is drawn: standing on the ground, in the water, in the sky, on the floor of a room or anywhere.
        places: Names of the places where it can appear.
        size: Its longer side when it is alone, as a share of the picture's side.
        part: The painted part, such as `roof`; None if there is none.
        part_zh: The same in Chinese.
        countable: Whether captions may count it.
        flips: Whether it may be mirrored.
        words: Phrases for each variant, with `{}` for the noun: `sitting {}`, `tulip`.
        words_zh: The same in Chinese.
        rests: Whether it may be on or under other things.
        holds: The height of its top, on which others may be, as a share of its height; None if nothing may be on it.
        shelters: The height of the space beneath it, as a share of its height; None if nothing fits under it.
        times: The times of day at which it can appear.
        weathers: The kinds of weather in which it can appear.
    """

    group: Word
    plural: Word
    article: Literal["a", "an", "the"]
    zh: Word
    measure: Word
    synonyms: tuple[Word, ...]
    synonyms_zh: tuple[Word, ...]
    lives: Literal["ground", "water", "underwater", "sky", "indoors", "anywhere"]
    places: Words
    size: Annotated[float, Field(ge=0.25, le=0.7)]
    part: Word | None = None
    part_zh: Word | None = None
    countable: bool
    flips: bool
    words: dict[str, Word] = {}
    words_zh: dict[str, Word] = {}
    rests: bool = False
    holds: Annotated[float, Field(gt=0, le=1)] | None = None
    shelters: Annotated[float, Field(gt=0, lt=1)] | None = None
    times: Annotated[tuple[Time, ...], Field(min_length=1)] = TIMES
    weathers: Annotated[tuple[Weather, ...], Field(min_length=1)] = WEATHERS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.words.keys() != self.words_zh.keys() or not self.words.keys() <= set(self.variants):
            raise ValueError("words and words_zh must name the same variants, each of them one of its own")
        painted = {drawing.painted for drawing in self.drawings.values()}
        if painted != {self.part is not None} or (self.part is None) != (self.part_zh is None):
            raise ValueError("part and part_zh are required if every drawing has a class paint, and only then")
        return self

    @property
    def flies(self) -> bool:
        """Whether it is drawn in the air."""
        return self.lives in ("sky", "anywhere")


def in_air(thing: Thing, variant: str) -> bool:
    """Whether a variant of a thing is drawn in the air."""
    return thing.lives == "sky" or (thing.lives == "anywhere" and variant == FLYING)


class Place(Drawn):
    """The place of a scene. Heights range from 0 at the top of the picture to 1 at its bottom.

    Attributes:
        name_zh: The Chinese noun.
        with_article: The name with its article.
        phrases: English phrases for being there.
        phrases_zh: The same in Chinese.
        synonyms: Other English words for it, lower case.
        synonyms_zh: Other Chinese words for it.
        horizon: The height at which the sky ends.
        ground: The range of heights of feet on the ground, the farthest first; None if there is no ground.
        water: The same for things in the water.
        sky: The range of heights of the centre of a thing in the sky; None if there is no sky.
        weathers: The kinds of weather that are possible there.
        times: The times of day that are possible there.
    """

    name_zh: Word
    with_article: Word
    phrases: Words
    phrases_zh: Words
    synonyms: Words
    synonyms_zh: Words
    horizon: Share
    ground: Band | None = None
    water: Band | None = None
    sky: Band | None = None
    weathers: Annotated[tuple[Weather, ...], Field(min_length=1)]
    times: Annotated[tuple[Time, ...], Field(min_length=1)]


class Light(Facts):
    """The light of a time of day over the place and the things: a colour and its opacity."""

    light: Word
    opacity: Share


class Falls(Facts):
    """What falls in a kind of weather, in front of everything, as the name of its drawings; None if nothing falls."""

    falls: Word | None = None


class Skies(Facts):
    """The light of each time of day, and what falls in each kind of weather, if anything."""

    times: dict[str, Light]
    weathers: dict[str, Falls]


Model = TypeVar("Model", bound=Facts)
Shown = TypeVar("Shown", bound=Drawn)


def read_things(folder: Path, places: Collection[str]) -> dict[str, Thing]:
    """All things of a folder by name; their places must be among these.

    Raises:
        DataSetError: A fact is missing or invalid, a variant has no drawing, or a drawing has no facts.
    """
    tables = [
        (key, table | {"group": file.stem})
        for file in sorted(folder.glob("*.toml"))
        for key, table in read_toml(file).items()
    ]
    things = {thing.name: thing for thing in read_all(Thing, folder, tables)}
    for thing in things.values():
        if unknown := set(thing.places) - set(places):
            raise DataSetError(
                f"The thing {thing.name} has the place {min(unknown)!r}: it must be one of {', '.join(places)}."
            )
    return things


def read_new_things(folder: Path) -> dict[str, Thing]:
    """Things of a folder that the storybook does not contain yet.

    Raises:
        DataSetError: As for `read_things`, or the storybook already contains one of them.
    """
    new = read_things(folder, PLACES)
    if not new:
        raise DataSetError(
            f"{folder} contains no things: put their facts into a TOML file there, and their drawings beside it."
        )
    for thing in new.values():
        if known := next((one.name for one in THINGS.values() if {one.name, one.zh} & {thing.name, thing.zh}), None):
            raise DataSetError(f"The thing {thing.name} already exists, as {known}: choose another name and zh.")
    return new


def add_things(things: Mapping[str, Thing]) -> None:
    """Add things to the storybook of this process, before its first story."""
    THINGS.update(things)


def read_places(folder: Path) -> dict[str, Place]:
    """All places of a folder by name; errors are those of `read_things`."""
    drawn = [file.stem.rpartition("-") for file in sorted(folder.glob("*.svg"))]
    tables = [
        (key, table | {"variants": [variant for stem, _, variant in drawn if stem == key]})
        for key, table in read_toml(folder / "places.toml").items()
    ]
    return {place.name: place for place in read_all(Place, folder, tables)}


def read_all(kind: type[Shown], folder: Path, tables: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[Shown]:
    """The facts and drawings of every table."""
    named: set[str] = set()
    for key, table in tables:
        shown = read_facts(
            kind, f"{kind.__name__.lower()} {key}", table | {"drawings": read_drawings(folder, key, table)}
        )
        if key != shown.name.replace(" ", "-"):
            raise DataSetError(
                f"The {kind.__name__.lower()} {key} is named {shown.name!r}: the table must have the same name."
            )
        named |= {f"{key}-{variant}.svg" for variant in shown.drawings}
        yield shown
    if strays := sorted({file.name for file in folder.glob("*.svg")} - named):
        raise DataSetError(f"{folder / strays[0]} is not a variant of anything: add it to the facts, or remove it.")


def read_drawings(folder: Path, key: str, table: Mapping[str, Any]) -> dict[str, Drawing]:
    """The drawing of each variant that a table names."""
    return {str(variant): read_drawing(folder / f"{key}-{variant}.svg") for variant in table.get("variants", ())}


def read_drawing(file: Path) -> Drawing:
    """One SVG file.

    Raises:
        DataSetError: It is missing, or is not an SVG whose view box begins at (0, 0).
    """
    try:
        match = _SVG.search(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataSetError(f"There is no drawing {file}: draw it, or remove its variant from the facts.") from error
    if match is None:
        raise DataSetError(f'{file} is not a drawing: it must be an SVG whose viewBox begins "0 0".')
    return Drawing(float(match[1]), float(match[2]), match[3].strip())


def read_facts(kind: type[Model], name: str, table: Mapping[str, Any]) -> Model:
    """A table as a model, or its first error as a sentence."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise DataSetError(f"The {name} {complaint(kind, error)}.") from None


def complaint(kind: type[Facts], error: ValidationError) -> str:
    """The first error of a table, as a clause."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"has no {key}: add it to its facts"
    if problem["type"] == "extra_forbidden":
        return f"has a {key}, which is not a field: the fields are {', '.join(kind.model_fields)}"
    if not key:
        return f"is refused: {problem['msg'].removeprefix('Value error, ')}"
    return f"has the {key} {problem['input']!r}: {problem['msg'].lower()}"


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        DataSetError: It cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataSetError(f"{file} cannot be read: {error}.") from error


PLACES = read_places(ART / "places")
THINGS = read_things(ART / "things", PLACES)
SKIES = read_facts(Skies, "skies", read_toml(ART / "skies.toml"))
SKY_DRAWINGS = {file.stem: read_drawing(file) for file in sorted((ART / "skies").glob("*.svg"))}
