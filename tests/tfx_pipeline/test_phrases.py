import itertools
from typing import Any

import numpy as np
import pytest

from models.text import pieces
from tfx_pipeline.config import Data
from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import (
    COLOURS_RGB,
    OPEN,
    RELATIONS,
    SHAPES,
    pair_scene,
    random_scene,
    single_scene,
    triple_scene,
    weather_scene,
)

SCENES = {
    "single": single_scene("star", "orange", "top left", "small", "navy"),
    "pair": pair_scene(("circle", "red"), "above", ("square", "blue"), "black"),
    "triple": triple_scene(
        ("circle", "red"), "above", ("square", "blue"), ("star", "green"), "to the left of", "black"
    ),
    "weather": weather_scene("snow", "sea"),
}
OPENED = [(kind, name) for kind, names in OPEN.items() if kind != "weather" for name in (None, *names)]


def all_captions(attributes: dict[str, Any], left_open: str | None = None) -> tuple[list[str], list[str]]:
    return phrases.PHRASINGS[attributes["kind"]](attributes, left_open)


def words_of(value: Any) -> list[str]:
    return [word for part in value.values() for word in words_of(part)] if isinstance(value, dict) else [value]


@pytest.mark.parametrize(
    ("kind", "english", "chinese"),
    [
        (
            "single",
            "a small orange star at the top left on a navy background",
            "藏青色背景的左上角有一个小号的橙色五角星",
        ),
        (
            "pair",
            "a red circle above a blue square on a black background",
            "蓝色方块上方有一个红色圆形，黑色背景",
        ),
        (
            "triple",
            "a red circle above a blue square, with a green star to the left of the square, black background",
            "蓝色方块的上方是红色圆形，左边是绿色五角星，黑色背景",
        ),
        ("weather", "it is snowing today, snow falls on a blue sea", "今天下雪了，雪落在蓝色的大海上"),
    ],
)
def test_captions_read_as_a_person_would_write_them(kind: str, english: str, chinese: str) -> None:
    told, told_zh = all_captions(SCENES[kind].attributes)
    assert english in told
    assert chinese in told_zh


@pytest.mark.parametrize(("kind", "left_open"), OPENED)
def test_a_caption_names_everything_but_what_it_leaves_open(kind: str, left_open: str | None) -> None:
    attributes = SCENES[kind].attributes
    outer, _, inner = (left_open or "").partition(".")
    unnamed = attributes[outer][inner] if inner else attributes.get(outer)
    named = [word for key, value in attributes.items() if key != "kind" for word in words_of(value)]
    english, chinese = all_captions(attributes, left_open)
    for caption in english:
        assert [word for word in named if word not in caption] == ([unnamed] if unnamed else [])
    for caption in chinese:
        missing = [word for word in named if phrases.CHINESE[word] not in caption]
        assert missing == ([unnamed] if unnamed else [])


def test_no_two_scenes_share_a_caption_of_three_objects() -> None:
    """The layout follows from the words alone: what a caption says of three objects fits one picture."""
    things = [("circle", "red"), ("square", "blue"), ("square", "red")]
    pictures: dict[str, set[tuple[Any, ...]]] = {}
    for first, second, third in itertools.product(things, repeat=3):
        for relation, third_relation in itertools.permutations(RELATIONS, 2):
            scene = triple_scene(first, relation, second, third, third_relation, "black")
            for caption in itertools.chain(*all_captions(scene.attributes)):
                pictures.setdefault(caption, set()).add(tuple(sorted(scene.sprites)))
    assert {len(shown) for shown in pictures.values()} == {1}


@pytest.mark.parametrize("kind", SCENES)
def test_the_longest_captions_fit_the_rows_of_the_language_model(kind: str) -> None:
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, shares={kind: 1}) for _ in range(150)]
    texts = [caption for scene in scenes for told in all_captions(scene.attributes) for caption in told]
    longest = int(pieces(texts).row_lengths().numpy().max())
    assert longest + 2 <= Data().caption_length


@pytest.mark.parametrize("word", [*SHAPES, *COLOURS_RGB])
def test_articles_fit_their_words(word: str) -> None:
    assert phrases.with_article(word) == ("an orange" if word == "orange" else f"a {word}")


def test_the_rng_chooses_among_all_phrasings() -> None:
    rng = np.random.default_rng(0)
    attributes = SCENES["single"].attributes
    drawn = {phrases.captions(attributes, rng) for _ in range(600)}
    assert {english for english, _ in drawn} == set(all_captions(attributes)[0])
    assert {chinese for _, chinese in drawn} == set(all_captions(attributes)[1])
