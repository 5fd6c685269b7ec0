"""What the storybook knows: things and places, each with its facts in TOML and its drawings in SVG, and the colours.

A thing is one table of a TOML file in `things/` and a drawing `things/NOUN-VARIANT.svg` for each of its variants; a
place is one table of `places/places.toml` and its drawings `places/PLACE-VARIANT.svg`. Nothing else names them.
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
"""The variant in which a thing that lives anywhere is in the air."""
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
    """The three tones that a drawing's `paint`, `shade` and `light` parts take, as `#rrggbb`."""

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
    """The inside of one SVG file, and the size of its view box, whose corner is at (0, 0)."""

    width: float
    height: float
    markup: str

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in units of the larger of the two."""
        larger = max(self.width, self.height)
        return self.width / larger, self.height / larger

    @property
    def painted(self) -> bool:
        """Whether parts of it take a colour."""
        return 'class="' in self.markup

    def coloured(self, colour: str | None) -> str:
        """The markup with its painted parts in one of `COLOURS`."""
        return self.markup if colour is None else self.painted_in(COLOURS[colour])

    def painted_in(self, tones: Colour) -> str:
        """The markup with its painted parts in three tones."""
        return _CLASS.sub(lambda match: f'fill="{getattr(tones, match[1])}"', self.markup)


class Facts(BaseModel):
    """One table of a TOML file: unknown keys are refused, values cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Drawn(Facts):
    """What there are drawings of.

    Attributes:
        name: As captions have it.
        variants: What its drawings are called after its name.
        drawings: Each variant's.
    """

    name: Word
    variants: Annotated[tuple[Word, ...], Field(min_length=2)]
    drawings: dict[str, Drawing]


class Thing(Drawn):
    """A noun of the storybook.

    Attributes:
        group: The file of its facts: animals, objects, people and so on.
        plural: Of the name.
        article: `a`, `an`, or `the` for what there is one of.
        zh: The Chinese noun.
        measure: Its measure word.
        synonyms: Other English words for it, lower case.
        synonyms_zh: Other Chinese words for it.
        lives: Where it is drawn: standing on the ground, in the water, in the sky, on the floor of a room or anywhere.
        places: Names of the places where it is drawn.
        size: Its larger side when alone, as a share of the picture's.
        part: What of it takes a colour, such as `roof`; None where nothing does.
        part_zh: The same in Chinese.
        countable: Whether captions may count it.
        flips: Whether its mirror image is as good.
        words: What captions may call each variant, `{}` for the noun: `sitting {}`, `tulip`.
        words_zh: The same in Chinese.
        rests: Whether it may be on or under other things.
        holds: How high its upper side is on which others may be, as a share of its height; None where there is none.
        shelters: How high the room beneath it is, as a share of its height; None where nothing fits under it.
        times: The times of day at which it is seen.
        weathers: The weathers in which it is seen.
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
            raise ValueError("part and part_zh must be there where every drawing has a class paint, and nowhere else")
        return self

    @property
    def flies(self) -> bool:
        """Whether it is drawn in the air."""
        return self.lives in ("sky", "anywhere")


def in_air(thing: Thing, variant: str) -> bool:
    """Whether a variant of a thing is drawn in the air."""
    return thing.lives == "sky" or (thing.lives == "anywhere" and variant == FLYING)


class Place(Drawn):
    """Where a scene is set. Heights run from 0 at the top of the picture to 1 at its bottom.

    Attributes:
        name_zh: The Chinese noun.
        with_article: The name with its article.
        phrases: English phrases for being there.
        phrases_zh: The same in Chinese.
        synonyms: Other English words for it, lower case.
        synonyms_zh: Other Chinese words for it.
        horizon: Where the sky ends.
        ground: From where to where feet may stand, the farthest first; None where there is no ground.
        water: The same for keels and fins.
        sky: From where to where the centre of a thing in the sky may lie; None where there is no sky.
        weathers: The weathers that can be seen there.
        times: The times of day that can be seen there.
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
    """What a time of day lays over the land and the things: a colour and its opacity."""

    light: Word
    opacity: Share


class Falls(Facts):
    """What a weather lets fall in front of everything, by the name of its drawings; None where nothing falls."""

    falls: Word | None = None


class Skies(Facts):
    """The facts of the skies: the light of each time, and what falls in each weather, if anything does."""

    times: dict[str, Light]
    weathers: dict[str, Falls]


Model = TypeVar("Model", bound=Facts)
Shown = TypeVar("Shown", bound=Drawn)


def read_things(folder: Path, places: Collection[str]) -> dict[str, Thing]:
    """Every thing of a folder by its name; its places must be among these.

    Raises:
        DataSetError: If a fact is missing or wrong, a variant has no drawing, or a drawing has no facts.
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
    """Things of a folder that the storybook does not have; raises as `read_things` does, and where it has one."""
    new = read_things(folder, PLACES)
    if not new:
        raise DataSetError(
            f"{folder} holds no things: it needs their facts in a TOML file and their drawings beside it."
        )
    for thing in new.values():
        if known := next((one.name for one in THINGS.values() if {one.name, one.zh} & {thing.name, thing.zh}), None):
            raise DataSetError(f"The thing {thing.name} is there already, as {known}: choose another name and zh.")
    return new


def add_things(things: Mapping[str, Thing]) -> None:
    """Let the storybook of this process have further things; before it tells its first story."""
    THINGS.update(things)


def read_places(folder: Path) -> dict[str, Place]:
    """Every place of a folder by its name; raises as `read_things` does."""
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
                f"The {kind.__name__.lower()} {key} is named {shown.name!r}: its table must bear its name."
            )
        named |= {f"{key}-{variant}.svg" for variant in shown.drawings}
        yield shown
    if strays := sorted({file.name for file in folder.glob("*.svg")} - named):
        raise DataSetError(
            f"{folder / strays[0]} belongs to no variant of anything: add it to the facts, or remove it."
        )


def read_drawings(folder: Path, key: str, table: Mapping[str, Any]) -> dict[str, Drawing]:
    """The drawing of each variant that a table names."""
    return {str(variant): read_drawing(folder / f"{key}-{variant}.svg") for variant in table.get("variants", ())}


def read_drawing(file: Path) -> Drawing:
    """One SVG file.

    Raises:
        DataSetError: If it is missing, or is no SVG whose view box begins at (0, 0).
    """
    try:
        match = _SVG.search(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataSetError(f"There is no drawing {file}: draw it, or remove its variant from the facts.") from error
    if match is None:
        raise DataSetError(f'{file} is no drawing: it must be an SVG whose viewBox begins "0 0".')
    return Drawing(float(match[1]), float(match[2]), match[3].strip())


def read_facts(kind: type[Model], name: str, table: Mapping[str, Any]) -> Model:
    """A table as a model, or its first error as a sentence."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise DataSetError(f"The {name} {complaint(kind, error)}.") from None


def complaint(kind: type[Facts], error: ValidationError) -> str:
    """What the first error of a table says of it."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"has no {key}: add it to its facts"
    if problem["type"] == "extra_forbidden":
        return f"has a {key}, which is no fact: its facts are {', '.join(kind.model_fields)}"
    if not key:
        return f"is refused: {problem['msg'].removeprefix('Value error, ')}"
    return f"has the {key} {problem['input']!r}: {problem['msg'].lower()}"


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        DataSetError: If it cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataSetError(f"{file} cannot be read: {error}.") from error


PLACES = read_places(ART / "places")
THINGS = read_things(ART / "things", PLACES)
SKIES = read_facts(Skies, "skies", read_toml(ART / "skies.toml"))
SKY_DRAWINGS = {file.stem: read_drawing(file) for file in sorted((ART / "skies").glob("*.svg"))}
