import shutil
from pathlib import Path

import numpy as np
import pytest

from tfx_pipeline.datasets.folder import DataSetError
from tfx_pipeline.datasets.storybook.scene import rasterised
from tfx_pipeline.datasets.storybook.things import (
    ART,
    COLOURS,
    PLACES,
    SKIES,
    SKY_DRAWINGS,
    THINGS,
    TIMES,
    WEATHERS,
    Drawing,
    Place,
    read_drawing,
    read_new_things,
    read_places,
    read_things,
)

DRAWINGS = [(noun, variant) for noun, thing in THINGS.items() for variant in thing.variants]
FACTS = """
[red-panda]
name = "red panda"
plural = "red pandas"
article = "a"
zh = "小熊猫"
measure = "只"
synonyms = ["firefox"]
synonyms_zh = ["火狐"]
lives = "ground"
places = ["forest", "mountains"]
size = 0.4
part = "coat"
part_zh = "毛"
countable = true
variants = ["sitting", "walking"]
flips = true
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 100"><rect class="paint" width="80" height="100"/></svg>'


def pixels(drawing: Drawing, colour: str | None, size: int = 64) -> np.ndarray:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width} {drawing.height}">'
    width, height = (round(size * extent) for extent in drawing.extent)
    return rasterised(f"{head}{drawing.coloured(colour)}</svg>", width, height)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One thing of somebody's own."""
    (tmp_path / "mine.toml").write_text(FACTS, encoding="utf-8")
    for variant in ("sitting", "walking"):
        (tmp_path / f"red-panda-{variant}.svg").write_text(SVG)
    return tmp_path


def test_the_world_is_large_enough() -> None:
    assert len(THINGS) >= 60
    assert len(PLACES) >= 8
    assert (set(SKIES.times), set(SKIES.weathers)) == (set(TIMES), set(WEATHERS))


@pytest.mark.parametrize(("noun", "variant"), DRAWINGS)
def test_a_drawing_fills_its_box_and_is_opaque(noun: str, variant: str) -> None:
    alpha = pixels(THINGS[noun].drawings[variant], None)[..., 3] > 127
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    assert max(rows[0], columns[0]) <= 4
    assert min(rows[-1] - len(alpha), columns[-1] - alpha.shape[1]) >= -5
    assert 0.1 < alpha.mean() <= 1


@pytest.mark.parametrize("noun", [noun for noun, thing in THINGS.items() if thing.part])
def test_every_colour_can_be_told_from_the_others(noun: str) -> None:
    for drawing in THINGS[noun].drawings.values():
        shown = np.stack([pixels(drawing, colour)[..., :3].astype(int) for colour in COLOURS])
        changed = abs(shown[:, None] - shown[None]).max(-1) > 40
        assert (changed.sum((2, 3)) + np.eye(len(COLOURS)) * 1000 > 60).all()


def test_variants_differ_by_more_than_their_mirror_image() -> None:
    for thing in THINGS.values():
        one, other = (pixels(drawing, None, 32)[..., 3] for drawing in list(thing.drawings.values())[:2])
        assert one.shape != other.shape or abs(one.astype(int) - other).mean() > 1, thing.name


def test_every_sky_and_every_fall_is_drawn() -> None:
    skies = {f"{time}-{weather}" for time in TIMES for weather in WEATHERS}
    falls = {f"{falls}-{number}" for falls in ("rain", "snow") for number in range(1, 5)}
    assert set(SKY_DRAWINGS) == skies | falls


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
def test_bands_of_a_place_lie_within_it_from_far_to_near(place: Place) -> None:
    assert place.ground or place.water
    for band in (place.ground, place.water, place.sky):
        assert band is None or 0 < band[0] < band[1] < 1


def test_every_noun_keeps_names_of_its_own() -> None:
    for field in ("name", "plural", "zh"):
        names = [getattr(thing, field) for thing in THINGS.values()]
        assert len(set(names)) == len(names)


def test_no_synonym_names_a_colour_that_its_thing_takes() -> None:
    for thing in THINGS.values():
        assert not any(colour in word.split() for colour in COLOURS for word in thing.synonyms), thing.name
        assert not any(colour in word for colour in "红橙黄绿蓝紫黑" for word in thing.synonyms_zh), thing.name


def test_a_new_thing_is_facts_and_drawings_alone(folder: Path) -> None:
    thing = read_things(folder, PLACES)["red panda"]
    assert (thing.group, thing.flies, thing.drawings["walking"].extent) == ("mine", False, (0.8, 1.0))


def test_further_things_have_names_of_their_own(folder: Path) -> None:
    assert list(read_new_things(folder)) == ["red panda"]
    (folder / "mine.toml").write_text(FACTS.replace('zh = "小熊猫"', 'zh = "猫"'), encoding="utf-8")
    with pytest.raises(DataSetError, match="The thing red panda already exists, as cat: choose another name and zh"):
        read_new_things(folder)


def test_a_folder_without_things_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"contains no things: put their facts into a TOML file there"):
        read_new_things(tmp_path)


def test_what_the_demo_teaches_is_new_and_drawn_like_the_rest() -> None:
    (thing,) = read_new_things(ART / "demo").values()
    for drawing in thing.drawings.values():
        alpha = pixels(drawing, None)[..., 3] > 127
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        assert max(rows[0], columns[0]) <= 4
        assert min(rows[-1] - len(alpha), columns[-1] - alpha.shape[1]) >= -5


@pytest.mark.parametrize(
    ("line", "instead", "sentence"),
    [
        ('name = "red panda"', "", "The thing red-panda has no name: add it to its facts."),
        ('measure = "只"', "", "The thing red-panda has no measure: add it to its facts."),
        ('lives = "ground"', "", "The thing red-panda has no lives: add it to its facts."),
        ('lives = "ground"', 'lives = "trees"', "The thing red-panda has the lives 'trees': input should be 'ground'"),
        ('variants = ["sitting", "walking"]', "", "The thing red-panda has no variants: add it to its facts."),
        ('"sitting", "walking"', '"sitting"', r"has the variants \['sitting'\]: tuple should have at least 2 items"),
        ('"walking"]', '"walking", "up"]', r"There is no drawing \S+red-panda-up.svg: draw it, or remove its variant"),
        ('"mountains"', '"moon"', "The thing red panda has the place 'moon': it must be one of meadow, forest"),
        ('name = "red panda"', 'name = "panda"', "The thing red-panda is named 'panda': the table must have the same"),
        ("size = 0.4", "size = 4", "The thing red-panda has the size 4: input should be less than or equal to 0.7."),
        ("flips = true", "flip = true", "The thing red-panda has no flips"),
        (
            "flips = true",
            "flips = true\nfur = 1",
            "The thing red-panda has a fur, which is not a field: the fields are name",
        ),
        ('part_zh = "毛"', "", "is refused: part and part_zh are required if every drawing has a class paint"),
        ("flips = true", 'flips = true\nwords = { sitting = "sitting {}" }', "must name the same variants"),
    ],
)
def test_wrong_facts_are_refused_in_a_sentence(folder: Path, line: str, instead: str, sentence: str) -> None:
    assert line in FACTS
    (folder / "mine.toml").write_text(FACTS.replace(line, instead), encoding="utf-8")
    with pytest.raises(DataSetError, match=sentence):
        read_things(folder, PLACES)


def test_a_drawing_without_facts_is_refused(folder: Path) -> None:
    (folder / "red-panda-asleep.svg").write_text(SVG)
    with pytest.raises(DataSetError, match=r"red-panda-asleep.svg is not a variant of anything"):
        read_things(folder, PLACES)


def test_a_file_that_is_no_drawing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.svg").write_text('<svg viewBox="10 10 80 80"/>')
    with pytest.raises(DataSetError, match=r'cat.svg is not a drawing: it must be an SVG whose viewBox begins "0 0".'):
        read_drawing(tmp_path / "cat.svg")


def test_facts_that_are_no_toml_are_refused(folder: Path) -> None:
    (folder / "mine.toml").write_text("[red-panda")
    with pytest.raises(DataSetError, match=r"mine.toml cannot be read: "):
        read_things(folder, PLACES)


def test_a_place_takes_the_drawings_that_bear_its_name(tmp_path: Path) -> None:
    shutil.copytree(ART / "places", tmp_path, dirs_exist_ok=True)
    (tmp_path / "sea-storm.svg").write_text(SVG)
    places = read_places(tmp_path)
    assert set(places["sea"].drawings) == {*PLACES["sea"].drawings, "storm"}
    assert len(places["snow field"].drawings) >= 2
