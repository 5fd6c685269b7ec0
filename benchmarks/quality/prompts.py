"""How often the language model continues a partial prompt to a caption of the default data.

A continuation begins with its prompt. If the result is a sentence of the grammar for some scene, the prompt's words
describe that scene, so every attribute that the prompt names is kept.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from models.language_model import LanguageModel
from models.options import TEMPERATURE
from tfx_pipeline.datasets import phrases, shapes

Attributes = dict[str, Any]
Say = Callable[[str], str]

SCENES: Mapping[str, Callable[..., shapes.Scene]] = {
    "single": shapes.single_scene,
    "pair": shapes.pair_scene,
    "triple": shapes.triple_scene,
    "weather": shapes.weather_scene,
}
WORDS: Mapping[str, Mapping[str, Any]] = {
    "shape": shapes.SHAPES,
    "colour": shapes.COLOURS_RGB,
    "size": shapes.RADII,
    "position": dict.fromkeys(shapes.POSITIONS),
    "background": shapes.BACKGROUNDS_RGB,
    "relation": shapes.RELATIONS,
    "third_relation": shapes.RELATIONS,
    "weather": shapes.SKIES_RGB,
    "land": shapes.LANDS_RGB,
}
"""The possible values of each attribute."""
SAMPLES = 200
"""Number of scenes of each kind whose captions are parsed: many times as many as are needed for every phrasing."""
NATURAL = ("a red circle", "a large yellow star", "it is", "a", "一个蓝色的", "今天的天气很好", "黑色背景上", "下")
"""Prompts as a person would begin them."""


class Sentence(NamedTuple):
    """One phrasing for a kind of scene.

    Attributes:
        pattern: A pattern of the captions, with a group for each attribute, named by its path with `__` in between.
        example: Attributes of a scene with such a caption.
        left_open: The attribute that it leaves open, if any, as in `shapes.OPEN`.
    """

    pattern: re.Pattern[str]
    example: Attributes
    left_open: str | None


def attributes_kept(
    model: LanguageModel, *, count: int = 1000, seed: int, temperature: float = TEMPERATURE.default
) -> float:
    """The share of partial prompts, 0..1, that the model continues to a sentence of the grammar.

    Args:
        model: A language model, trained on the captions of the default data.
        count: Number of prompts, at least 1; see `partial_prompts`.
        seed: Seed of the prompts and the continuations.
        temperature: Sampling temperature of the continuations.
    """
    prompts = partial_prompts(count, seed=seed)
    texts = model.generate(prompts, seed=range(seed, seed + count), temperature=temperature)
    return sum(parse(text) is not None for text in texts) / count


def partial_prompts(count: int, *, seed: int) -> list[str]:
    """Prompts as a person would begin them, then captions of random scenes, withheld or not, truncated at random.

    Half are English, truncated between words, and half Chinese, truncated between characters. None is empty, and none
    is a whole caption.
    """
    scenes = shapes.random_scenes(count, seed=seed)
    return [*NATURAL, *(beginning(scene, rng) for scene, rng in scenes)][:count]


def beginning(scene: shapes.Scene, rng: np.random.Generator) -> str:
    """One of the scene's two captions, truncated."""
    caption = shapes.record(scene, "", rng)[str(rng.choice(["text", "text_zh"]))]
    parts = re.findall(" ?[!-~]+|.", caption)
    return "".join(parts[: rng.integers(1, len(parts))])


def parse(caption: str) -> Attributes | None:
    """The attributes in a caption, as in `shapes.Scene.attributes` without the open ones; None if no scene has it."""
    for sentence in sentences():
        if match := sentence.pattern.fullmatch(caption):
            named = {path: meaning(path, word) for path, word in match.groupdict().items()}
            attributes = flat(sentence.example) | named
            if writes(caption, nested(attributes), sentence.left_open):
                unnamed = (sentence.left_open or "").replace(".", "__")
                return nested({path: value for path, value in attributes.items() if path != unnamed})
    return None


def writes(caption: str, attributes: Attributes, left_open: str | None) -> bool:
    """Whether a scene can have these attributes, and the grammar writes this caption for them."""
    kind: str = attributes["kind"]
    parts = {name: tuple(part.values()) if isinstance(part, dict) else part for name, part in attributes.items()}
    del parts["kind"]
    try:
        SCENES[kind](**parts)
    except ValueError:
        return False
    return any(caption in captions for captions in phrases.PHRASINGS[kind](attributes, left_open))


@functools.cache
def sentences() -> list[Sentence]:
    """All phrasings, derived from generated captions, so that they follow changes of the grammar."""
    by_pattern: dict[str, Sentence] = {}
    for scene, left_open in examples():
        spoken = phrases.PHRASINGS[scene.kind](scene.attributes, left_open)
        for captions, say in zip(spoken, (in_english, in_chinese), strict=True):
            for caption in captions:
                pattern = pattern_of(caption, scene.attributes, say)
                by_pattern.setdefault(pattern, Sentence(re.compile(pattern), scene.attributes, left_open))
    return list(by_pattern.values())


def examples() -> Iterator[tuple[shapes.Scene, str | None]]:
    """Scenes of every kind in which no word occurs twice, each with every attribute that may be left open."""
    for kind, names in shapes.OPEN.items():
        for scene, _ in shapes.random_scenes(SAMPLES, seed=0, shares={kind: 1}):
            if len(set(flat(scene.attributes).values())) == len(flat(scene.attributes)):
                yield from ((scene, left_open) for left_open in (None, *names))


def pattern_of(caption: str, attributes: Attributes, say: Say) -> str:
    """The caption as a pattern, with a group for each attribute's word."""
    paths = {say(value): path for path, value in flat(attributes).items() if path != "kind"}
    between, *rest = re.split(f"({alternatives(paths)})", caption)
    pattern = as_pattern(between)
    for word, after in zip(rest[::2], rest[1::2], strict=True):
        path = paths[word]
        group = f"(?P<{path}>{alternatives(map(say, values(path)))})"
        pattern += (f"(?P={path})" if group in pattern else group) + as_pattern(after)
    return pattern


def as_pattern(words: str) -> str:
    """A pattern for words outside attributes; an article before an attribute may be `a` or `an`."""
    return re.sub(r"\ban?\\ $", r"an?\\ ", re.escape(words))


def alternatives(words: Any) -> str:
    """A pattern that matches any of the words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


def meaning(path: str, word: str) -> str:
    """The value of an attribute that a word of either language means."""
    return next(value for value in values(path) if word in (in_english(value), in_chinese(value)))


def values(path: str) -> Mapping[str, Any]:
    """The possible values of an attribute."""
    return WORDS[path.split("__")[-1]]


def in_english(value: str) -> str:
    """The words for a value in English captions."""
    return phrases.LANDS_ENGLISH.get(value, value)


def in_chinese(value: str) -> str:
    """The words for a value in Chinese captions."""
    return phrases.CHINESE.get(value, value)


def flat(attributes: Attributes) -> dict[str, str]:
    """`{"first": {"shape": "star"}}` -> `{"first__shape": "star"}`."""
    pairs: dict[str, str] = {}
    for name, value in attributes.items():
        inner = value if isinstance(value, dict) else {"": value}
        pairs |= {f"{name}__{key}".removesuffix("__"): part for key, part in inner.items()}
    return pairs


def nested(pairs: dict[str, str]) -> Attributes:
    """The inverse of `flat`."""
    attributes: Attributes = {}
    for path, value in pairs.items():
        name, _, key = path.partition("__")
        if key:
            attributes.setdefault(name, {})[key] = value
        else:
            attributes[name] = value
    return attributes
