from typing import Any

import numpy as np
import pytest

from benchmarks.quality.storybook_grammar import parse
from benchmarks.quality.storybook_prompts import free_prompts, partial_prompts, prompts_kept
from tfx_pipeline.datasets.storybook.samples import Sample, sample
from tfx_pipeline.datasets.storybook.story import ORDINALS
from tfx_pipeline.datasets.storybook.things import PLACES, THINGS

SAMPLES = 300
COUNT = 40


def said(each: Sample) -> dict[str, Any]:
    """What captions say of a scene, as `parse` has it."""
    scene, story = each.scene, each.scene.story
    found: dict[str, Any] = {"place": story.place, "time": story.time}
    if len(PLACES[story.place].weathers) > 1:
        found["weather"] = story.weather
    found |= dict(zip(("relation", "third_relation"), story.relations, strict=False))
    for ordinal, role, figure in zip(ORDINALS, story.roles, scene.figures, strict=False):
        own = {"noun": role.noun, "colour": role.colour, "size": role.size, "count": role.count}
        own["variant"] = figure.variant
        found |= {f"{ordinal}.{path}": value for path, value in own.items() if value not in (None, "usual", 1)}
    return {path: value for path, value in found.items() if path not in each.captions.open}


def whatever_order(meaning: dict[str, Any], *, relations: bool) -> list[tuple[str, Any]]:
    """A meaning without which noun comes first, which captions that leave relations open do not say."""
    return sorted(
        (path if relations else path.rpartition(".")[-1], str(value))
        for path, value in meaning.items()
        if path not in ("over", "many")
    )


@pytest.mark.slow
def test_captions_mean_what_they_say() -> None:
    for each in sample(SAMPLES, 99, withheld=None):
        expected = said(each)
        relations = "relation" in expected
        for caption in (each.captions.english, each.captions.chinese):
            meanings = [whatever_order(meaning, relations=relations) for meaning in parse(caption)]
            assert whatever_order(expected, relations=relations) in meanings, caption


def test_a_shuffled_caption_means_nothing() -> None:
    rng = np.random.default_rng(0)
    for each in sample(SAMPLES // 10, 98, withheld=None):
        for caption, space in ((each.captions.english, " "), (each.captions.chinese, "")):
            words = caption.split(" ") if space else list(caption)
            shuffled = space.join(rng.permutation(words))
            assert shuffled == caption or not parse(shuffled), shuffled


@pytest.mark.parametrize(
    "sentence",
    [
        "an cat",
        "a owl",
        "the cat",
        "three cat",
        "a cats",
        "two small cats",
        "there is three sheep",
        "there are a cat",
        "a red cow",
        "a cute house",
        "a cat under a mouse",
        "a cat on a cat",
        "a whale in the desert",
        "the moon during the day",
        "a cat over a meadow",
        "a tree in a room in the rain",
        "an owl over a meadow with",
        "a sheep with a cow to its left with a pig to its right",
        "一辆猫",
        "一只红色的奶牛",
        "两个太阳",
        "猫的上有一只鸟",
        "三只大大的猫",
        "沙漠里有一头鲸鱼",
        "",
    ],
)
def test_what_no_scene_has_means_nothing(sentence: str) -> None:
    assert parse(sentence) == []


def test_a_word_means_what_its_nouns_allow() -> None:
    assert [meaning["relation"] for meaning in parse("a house under a star")] == ["below"]
    assert [meaning["relation"] for meaning in parse("a cat under a tree")] == ["under"]


class Remembering:
    """Stands for a model that completes a cut caption to a caption that it was cut from, a few of them wrongly."""

    def __init__(self, wrong: int) -> None:
        told = [each.captions for each in sample(2 * COUNT, 5, withheld=True)]
        self.captions = [text for each in told for text in (each.english, each.chinese)]
        self.wrong = wrong

    def generate(self, prompts: list[str], **_: Any) -> list[str]:
        whole = [next(caption for caption in self.captions if caption.startswith(prompt)) for prompt in prompts]
        return [*(f"{text} red" for text in whole[: self.wrong]), *whole[self.wrong :]]


def test_prompts_are_kept_where_their_continuation_is_a_sentence() -> None:
    assert prompts_kept(Remembering(0), count=COUNT, seed=5) == 1  # type: ignore[arg-type]
    assert prompts_kept(Remembering(10), count=COUNT, seed=5) == 0.75  # type: ignore[arg-type]


def test_partial_prompts_are_parts_of_captions_in_both_languages() -> None:
    prompts = partial_prompts(COUNT, seed=5)
    assert len(prompts) == COUNT and sum(prompt.isascii() for prompt in prompts) == COUNT // 2
    captions = Remembering(0).captions
    assert all(any(caption.startswith(prompt) and caption != prompt for caption in captions) for prompt in prompts)


def test_free_prompts_ask_for_every_noun_in_both_languages_and_are_no_captions() -> None:
    prompts, nouns = zip(*free_prompts(), strict=True)
    assert len({*prompts}) == 200 and {*nouns} == {*THINGS}
    assert sum(prompt.isascii() for prompt in prompts) == 100
    assert not [prompt for prompt in prompts if parse(prompt.lower().rstrip("!?."))]
