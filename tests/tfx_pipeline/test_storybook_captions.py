import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from tfx_pipeline.datasets.storybook import chinese, english
from tfx_pipeline.datasets.storybook.captions import Captions, captions
from tfx_pipeline.datasets.storybook.layout import lay_out, random_scene
from tfx_pipeline.datasets.storybook.scene import Scene
from tfx_pipeline.datasets.storybook.story import SHARES, Role, Story
from tfx_pipeline.datasets.storybook.telling import COMPLETE, left_open, sayable
from tfx_pipeline.datasets.storybook.things import COLOURS, PLACES, THINGS


def told(count: int, kind: str | None = None) -> Iterator[tuple[Scene, Captions]]:
    rng = np.random.default_rng(4)
    for _ in range(count):
        scene = random_scene(rng, shares={kind: 1.0} if kind else SHARES)
        yield scene, captions(scene, rng)


def phrasings(story: Story, said: set[str], count: int = 300) -> tuple[set[str], set[str]]:
    """English and Chinese captions of the canonical scene of a story."""
    rng, scene = np.random.default_rng(0), lay_out(story)
    found = [captions(scene, rng, said=frozenset(said)) for _ in range(count)]
    return {each.english for each in found}, {each.chinese for each in found}


def single(noun: str, colour: str | None = None, **changes: str) -> Story:
    return Story("single", (Role(noun, colour, **changes),), (), THINGS[noun].places[0], "day", "clear")


def names_of(noun: str) -> set[str]:
    """Every English word for a noun."""
    thing = THINGS[noun]
    variants = {word.replace("{}", "").strip() for word in thing.words.values()}
    return {thing.name, thing.plural, *thing.synonyms, *variants}


def names_of_zh(noun: str) -> set[str]:
    thing = THINGS[noun]
    return {thing.zh, *thing.synonyms_zh, *(word.replace("{}", "") for word in thing.words_zh.values())}


def test_captions_are_clean_sentences() -> None:
    for scene, caption in told(1500):
        assert re.fullmatch(r"[a-zA-Z'\-]+(,? [a-zA-Z'\-]+)*", caption.english), (scene, caption)
        assert re.fullmatch(r"[\u4e00-\u9fff]+([，、][\u4e00-\u9fff]+)*", caption.chinese), (scene, caption)
        assert "的的" not in caption.chinese


def test_every_noun_of_a_scene_is_named_in_both_languages() -> None:
    for scene, caption in told(1500):
        for role in scene.story.roles:
            assert any(name in caption.english for name in names_of(role.noun)), caption
            assert any(name in caption.chinese for name in names_of_zh(role.noun)), caption


def test_articles_agree_with_the_word_that_follows() -> None:
    for _, caption in told(3000):
        for article, letter in re.findall(r"\b(an?) (\w)", caption.english):
            assert (article == "an") == (letter in "aeiou"), caption.english


def test_the_sun_is_the_only_one() -> None:
    texts, texts_zh = phrasings(single("sun"), set())
    assert texts <= {
        *(
            form.format("the sun")
            for form in ("{}", "a picture of {}", "draw {}", "look, {}", "I see {}", "there is {}")
        ),
        "sun",
    }
    assert "太阳" in texts_zh
    assert {"一个太阳", "画一个太阳"}.isdisjoint(texts_zh)


@pytest.mark.parametrize(
    ("noun", "one", "one_zh"), [("cat", "a cat", "一只猫"), ("elephant", "an elephant", "一头大象")]
)
def test_a_noun_alone_is_a_caption(noun: str, one: str, one_zh: str) -> None:
    texts, texts_zh = phrasings(single(noun), set())
    assert {one, noun, f"draw {one}"} <= texts
    assert {one_zh, THINGS[noun].zh, f"画{one_zh}"} <= texts_zh
    assert len(texts) >= 6
    assert len(texts_zh) >= 6


@pytest.mark.parametrize("kind", SHARES)
def test_there_are_many_patterns_for_every_kind(kind: str) -> None:
    stories = {
        "single": single("cat"),
        "count": Story("count", (Role("cat", count=3),), (), "meadow", "day", "clear"),
        "pair": Story("pair", (Role("cat"), Role("tree")), ("under",), "meadow", "day", "clear"),
        "triple": Story(
            "triple", (Role("cat"), Role("tree"), Role("dog")), ("left of", "right of"), "meadow", "day", "clear"
        ),
        "landscape": Story("landscape", (), (), "meadow", "day", "clear"),
    }
    scene, rng = lay_out(stories[kind]), np.random.default_rng(0)
    said = frozenset(sayable(scene))
    found = [captions(scene, rng, said=said) for _ in range(400)]
    assert len({each.english for each in found}) > 20
    assert len({each.chinese for each in found}) > 20


def test_the_weather_of_the_brief_is_said_so() -> None:
    story = Story("landscape", (), (), "meadow", "day", "clear")
    texts, texts_zh = phrasings(story, {"time", "weather"})
    assert "it is a sunny day" in texts
    assert "今天的天气很好" in texts_zh
    story = Story("landscape", (), (), "forest", "night", "snow")
    assert "it is snowing tonight in the forest" in phrasings(story, {"place", "time", "weather"}, 2000)[0]


def test_numbers_take_plurals_and_measure_words() -> None:
    story = Story("count", (Role("sheep", count=3),), (), "meadow", "day", "clear")
    texts, texts_zh = phrasings(story, {"place"})
    assert "there are three sheep in a meadow" in texts
    assert any("三只绵羊" in text for text in texts_zh)
    story = Story("count", (Role("house", "red", count=2),), (), "meadow", "day", "clear")
    texts, texts_zh = phrasings(story, {"first.colour"})
    assert {"two red houses", "two houses with red roofs"} <= texts
    assert "两座红色屋顶的房子" in texts_zh


def test_adjectives_come_in_their_order() -> None:
    texts, texts_zh = phrasings(single("cat", "red", size="big"), {"first.colour", "first.variant"})
    assert "a big sitting red cat" in texts
    assert not any(re.search(r"red (big|large|huge)|cat sitting", text) for text in texts)
    assert "一只大大的坐着的红色的猫" in texts_zh


def test_clothes_are_worn_and_coats_are_not_named() -> None:
    texts, texts_zh = phrasings(single("girl", "red"), {"first.colour"})
    assert all("in a red dress" in text for text in texts)
    assert all("穿红" in text for text in texts_zh)
    assert not any("coat" in text for text in phrasings(single("cat", "red"), {"first.colour"})[0])


def test_what_is_in_the_air_is_over_the_place() -> None:
    texts, texts_zh = phrasings(single("balloon", "red"), {"place"})
    assert any("over a meadow" in text for text in texts)
    assert not any("in a meadow" in text for text in texts)
    assert any("草地上空" in text for text in texts_zh)


def test_relations_are_said_the_right_way_round() -> None:
    story = Story("pair", (Role("cat"), Role("tree")), ("left of",), "meadow", "day", "clear")
    texts, texts_zh = phrasings(story, {"relation"}, 600)
    plain = re.compile(r"(there is |draw |look, |I see |a picture of )?(a )?cat (to the |on the )?left of (a )?tree")
    turned = re.compile(
        r"(there is |draw |look, |I see |a picture of )?(a )?tree with (a )?cat (to|on) (its left|the left of it)"
    )
    named = {
        text
        for text in texts
        if "cat" in text and "tree" in text and not re.search("lovely|pretty|nice|cute|sweet|ador", text)
    }
    unlike = {text for text in named if not plain.fullmatch(text) and not turned.fullmatch(text)}
    assert named
    assert all("left" in text for text in unlike)
    assert {"树左边有一只猫", "一只猫在一棵树的左边"} <= texts_zh


def test_what_is_on_an_animal_is_on_its_back() -> None:
    story = Story("pair", (Role("bird", "red"), Role("cow")), ("on",), "meadow", "day", "clear")
    assert all("背上" in text for text in phrasings(story, {"relation"})[1])


def test_open_lists_what_is_not_said() -> None:
    for scene, caption in told(1000):
        texts = caption.english
        colours = {role.colour for role in scene.story.roles if role.colour}
        named = {colour for colour in COLOURS if re.search(rf"\b{colour}\b", texts)}
        opened = {
            role.colour
            for ordinal, role in zip(("first", "second", "third"), scene.story.roles, strict=False)
            if f"{ordinal}.colour" in caption.open
        }
        assert named <= colours
        assert named | opened >= colours
        assert named <= {colour for colour, name in chinese.COLOURS.items() if name in caption.chinese}


def test_four_captions_in_five_leave_something_open() -> None:
    complete = [set(caption.open).isdisjoint(sayable(scene)) for scene, caption in told(2000)]
    assert np.mean(complete) == pytest.approx(COMPLETE, abs=0.03)


def test_what_is_open_is_shown_at_random() -> None:
    open_colours = Counter[str]()
    open_times = Counter[str]()
    for scene, caption in told(3000, "single"):
        role = scene.story.roles[0]
        if "first.colour" in caption.open and role.colour:
            open_colours[role.colour] += 1
        if "time" in caption.open and role.thing.times == ("day", "sunset", "night"):
            open_times[scene.story.time] += 1
    assert set(open_colours) == set(COLOURS)
    assert max(open_colours.values()) < 1.7 * min(open_colours.values())
    assert open_times["day"] / open_times.total() == pytest.approx(0.6, abs=0.05)


def test_synonyms_and_opinions_are_as_frequent_as_they_claim() -> None:
    texts = [(scene.story.roles[0], caption.english) for scene, caption in told(3000, "single")]
    named = [role.thing.name in text for role, text in texts if len(role.thing.synonyms) > 1 and not role.thing.words]
    # Some synonyms have the name in them, such as `fox cub`.
    assert english.SYNONYM / 2 < 1 - np.mean(named) < english.SYNONYM + 0.03
    opinions = [any(word in text for word in (*english.OPINIONS, *english.OPINIONS_OF_LIVING)) for _, text in texts]
    assert np.mean(opinions) == pytest.approx(english.LOVELY, abs=0.03)


def test_indoors_nothing_is_said_of_the_weather() -> None:
    scene = lay_out(Story("single", (Role("cat", "red"),), (), "room", "day", "clear"))
    assert "weather" not in sayable(scene)
    assert "weather" not in left_open(scene, frozenset())


@pytest.mark.parametrize(
    "frames", [english.FRAMES, english.LANDSCAPES, chinese.NAMES, chinese.SENTENCES, chinese.LANDSCAPES]
)
def test_there_is_a_frame_for_whatever_is_said(frames: tuple[str, ...]) -> None:
    for where in (False, True):
        for when in (False, True):
            if where or when or frames not in (english.LANDSCAPES, chinese.LANDSCAPES):
                assert len({frame for frame in frames if english.suits(frame, where, when)}) >= 3


def test_every_place_can_be_named_in_both_languages() -> None:
    for name, place in PLACES.items():
        story = Story("landscape", (), (), name, "day", "clear")
        texts, texts_zh = phrasings(story, {"place"})
        assert any(place.with_article in text for text in texts)
        assert any(place.name_zh in text for text in texts_zh)


@pytest.mark.parametrize(
    ("word", "phrase"),
    [("sitting {}", "sitting red thing"), ("rowing thing", "red rowing thing"), ("steam {}", "red steam thing")],
)
def test_a_colour_is_said_whatever_the_word_of_a_variant(word: str, phrase: str) -> None:
    assert english.named("thing", ["red"], word) == phrase
