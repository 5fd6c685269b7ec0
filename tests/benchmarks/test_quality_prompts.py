from typing import Any

import numpy as np
import pytest

from benchmarks.quality.prompts import NATURAL, attributes_kept, parse, partial_prompts, sentences
from models.language_model import LanguageModel
from models.vocabulary import RESERVED
from tfx_pipeline.datasets.shapes import Scene, random_scenes, record

COUNT = 200


class Remembering:
    """Stands for a model that completes a cut caption to a caption that it was cut from."""

    def __init__(self, captions: list[str], wrong: int) -> None:
        self.captions = captions
        self.wrong = wrong

    def generate(self, prompts: list[str], **_: Any) -> list[str]:
        whole = [next(caption for caption in self.captions if caption.startswith(prompt)) for prompt in prompts]
        return [*(f"{text} red" for text in whole[: self.wrong]), *whole[self.wrong :]]


def captions_of(count: int, *, seed: int) -> list[tuple[Scene, dict[str, Any]]]:
    return [(scene, record(scene, "", rng)) for scene, rng in random_scenes(count, seed=seed)]


def named(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a record without those that its captions leave open."""
    kept = {name: dict(part) if isinstance(part, dict) else part for name, part in attributes.items()}
    for path in kept.pop("open"):
        name, _, inner = path.partition(".")
        if inner:
            del kept[name][inner]
        else:
            del kept[name]
    return kept


def test_every_caption_says_what_its_scene_shows() -> None:
    for _, one in captions_of(2000, seed=11):
        expected = named(one["attributes"])
        assert [parse(one["text"]), parse(one["text_zh"])] == [expected, expected]


def test_every_kind_of_sentence_is_known() -> None:
    assert {sentence.example["kind"] for sentence in sentences()} == {"single", "pair", "triple", "weather"}
    assert {sentence.left_open for sentence in sentences()} >= {None, "colour", "first.colour", "background"}


def test_a_stray_character_is_noticed() -> None:
    rng = np.random.default_rng(0)
    for _, one in captions_of(100, seed=12):
        for caption in (one["text"], one["text_zh"]):
            at = rng.integers(len(caption) + 1)
            assert parse(f"{caption[:at]}x{caption[at:]}") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a red circle",
        "A small red circle at the top on a black background",
        "a small red circle at the top on a black background ",
        "a small red circle at the top on a red background",
        "a small black circle at the top on a black background",
        "a small red circle at the above on a black background",
        "a orange circle, small, at the top",
        "an red circle, small, at the top",
        "a red circle, small, at the top, on a black",
        "a red circle above a blue square on a black background on a black background",
        "a red circle above a blue square with a green star below it",
        "a red circle above a blue square, with a green star below the circle",
        "a red circle above a blue square, with a green star above the square",
        "a red circle above a blue circle, with a green star below the circle",
        "a blue square with a red circle above it and a green star above it",
        "it is raining today, snow falls on a blue sea",
        "a sunny day over a red sea",
        "黑色背景",
        "黑色背景的上方有一个小号的红色",
        "黑色背景的上方有一个红色的小号圆形",
        "黑色背景上有一个小号的红色圆形，在上方，在上方",
        "蓝色方块的上方是红色圆形，背景是黑色",
        "蓝色方块的上方是红色圆形，上方是绿色五角星",
        "一个red的圆形，小号，在上方",
        "晴天，阳光下是黑色的草地",
    ],
)
def test_what_the_grammar_does_not_write_is_no_caption(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "an orange star, large, at the left",
            {"kind": "single", "colour": "orange", "shape": "star", "size": "large", "position": "left"},
        ),
        (
            "on teal, a heart above an orange ring",
            {
                "kind": "pair",
                "first": {"shape": "heart"},
                "relation": "above",
                "second": {"shape": "ring", "colour": "orange"},
                "background": "teal",
            },
        ),
        ("今天下雪了，雪落在绿色的草地上", {"kind": "weather", "weather": "snow", "land": "meadow"}),
    ],
)
def test_parse(text: str, expected: dict[str, Any]) -> None:
    assert parse(text) == expected


def test_prompts_are_beginnings_in_both_languages() -> None:
    prompts = partial_prompts(COUNT, seed=3)
    assert len(prompts) == COUNT and prompts[: len(NATURAL)] == list(NATURAL)
    assert prompts == partial_prompts(COUNT, seed=3) != partial_prompts(COUNT, seed=4)
    assert partial_prompts(3, seed=0) == list(NATURAL[:3])
    scenes = captions_of(COUNT, seed=3)
    assert {scene.withheld for scene, _ in scenes} == {True, False}
    for prompt, (_, one) in zip(prompts[len(NATURAL) :], scenes, strict=False):
        whole = [caption for caption in (one["text"], one["text_zh"]) if caption.startswith(prompt)]
        assert whole and 0 < len(prompt) < len(whole[0])
        assert not prompt.isascii() or whole[0][len(prompt)] == " "
    assert 0.35 < np.mean([prompt.isascii() for prompt in prompts]) < 0.65


@pytest.mark.parametrize(("wrong", "expected"), [(0, 1.0), (50, 0.75), (COUNT, 0.0)])
def test_the_share_of_continuations_that_are_captions(wrong: int, expected: float) -> None:
    captions = [one[name] for _, one in captions_of(3000, seed=3) for name in ("text", "text_zh")]
    model: Any = Remembering(captions, wrong)
    assert attributes_kept(model, count=COUNT, seed=3) == expected


def test_an_untrained_model_keeps_nothing() -> None:
    model = LanguageModel([*RESERVED, *"▁abcde一个红色"], length=16, token_size=8, width=8)
    assert attributes_kept(model, count=20, seed=0) < 0.2
