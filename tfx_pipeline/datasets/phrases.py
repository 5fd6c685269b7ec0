"""Words and phrasings, English and Chinese, for the scenes of `shapes`."""

from collections.abc import Callable
from typing import Any

import numpy as np

CHINESE = {
    "circle": "圆形",
    "square": "方块",
    "triangle": "三角形",
    "star": "五角星",
    "heart": "心形",
    "ring": "圆环",
    "cross": "十字",
    "diamond": "菱形",
    "red": "红色",
    "green": "绿色",
    "blue": "蓝色",
    "yellow": "黄色",
    "purple": "紫色",
    "orange": "橙色",
    "cyan": "青色",
    "white": "白色",
    "black": "黑色",
    "gray": "灰色",
    "navy": "藏青色",
    "brown": "棕色",
    "pink": "粉色",
    "teal": "墨绿色",
    "small": "小号",
    "medium": "中号",
    "large": "大号",
    "top left": "左上角",
    "top": "上方",
    "top right": "右上角",
    "left": "左边",
    "center": "中央",
    "right": "右边",
    "bottom left": "左下角",
    "bottom": "下方",
    "bottom right": "右下角",
    "above": "上方",
    "below": "下方",
    "to the left of": "左边",
    "to the right of": "右边",
    "meadow": "绿色的草地",
    "desert": "黄色的沙漠",
    "sea": "蓝色的大海",
    "field": "棕色的田野",
}
LANDS_ENGLISH = {"meadow": "a green meadow", "desert": "a yellow desert", "sea": "a blue sea", "field": "a brown field"}

# By the attribute that a phrasing leaves open; None if it is complete.
SINGLE_ENGLISH: dict[str | None, tuple[str, ...]] = {
    None: (
        "a {size} {colour} {shape} at the {position} on a {background} background",
        "a {size} {colour} {shape} on a {background} background, at the {position}",
        "{a_colour} {shape}, {size}, at the {position}, on a {background} background",
        "{a_colour} {shape} on a {background} background, {size}, at the {position}",
        "on {background}, a {size} {colour} {shape} at the {position}",
        "{size} {colour} {shape}, {position}, {background} background",
    ),
    "colour": (
        "a {size} {shape} at the {position} on a {background} background",
        "a {size} {shape} on a {background} background, at the {position}",
        "a {shape}, {size}, at the {position}, on a {background} background",
        "{size} {shape}, {position}, {background} background",
    ),
    "size": (
        "{a_colour} {shape} at the {position} on a {background} background",
        "{a_colour} {shape} on a {background} background, at the {position}",
        "on {background}, {a_colour} {shape} at the {position}",
        "{colour} {shape}, {position}, {background} background",
    ),
    "position": (
        "a {size} {colour} {shape} on a {background} background",
        "{a_colour} {shape} on a {background} background, {size}",
        "on {background}, a {size} {colour} {shape}",
        "{size} {colour} {shape}, {background} background",
    ),
    "background": (
        "a {size} {colour} {shape} at the {position}",
        "{a_colour} {shape}, {size}, at the {position}",
        "{size} {colour} {shape}, {position}",
    ),
}
SINGLE_CHINESE: dict[str | None, tuple[str, ...]] = {
    None: (
        "{background}背景的{position}有一个{size}的{colour}{shape}",
        "{background}背景上有一个{size}的{colour}{shape}，在{position}",
        "一个{colour}的{shape}，{size}，在{position}，{background}背景",
        "{background}背景上的{colour}{shape}，{size}，在{position}",
        "{colour}{shape}，{size}，位于{position}，背景是{background}",
        "{position}有一个{size}的{colour}{shape}，{background}背景",
    ),
    "colour": (
        "{background}背景的{position}有一个{size}的{shape}",
        "{background}背景上有一个{size}的{shape}，在{position}",
        "{shape}，{size}，位于{position}，背景是{background}",
        "{position}有一个{size}的{shape}，{background}背景",
    ),
    "size": (
        "{background}背景的{position}有一个{colour}{shape}",
        "一个{colour}的{shape}，在{position}，{background}背景",
        "{colour}{shape}，位于{position}，背景是{background}",
        "{position}有一个{colour}{shape}，{background}背景",
    ),
    "position": (
        "{background}背景上有一个{size}的{colour}{shape}",
        "一个{colour}的{shape}，{size}，{background}背景",
        "{background}背景上的{colour}{shape}，{size}",
        "{colour}{shape}，{size}，背景是{background}",
    ),
    "background": (
        "一个{colour}的{shape}，{size}，在{position}",
        "{colour}{shape}，{size}，位于{position}",
        "{position}有一个{size}的{colour}{shape}",
    ),
}
# English and Chinese phrasings of the objects, and those that add the background.
PAIR: tuple[tuple[str, ...], tuple[str, ...]] = (
    ("{first} {relation} {second}",),
    ("{second}{relation}有一个{first}", "{second}的{relation}有一个{first}", "一个{first}在{second}的{relation}"),
)
TRIPLE: tuple[tuple[str, ...], tuple[str, ...]] = (
    (
        "{second} with {first} {relation} it and {third} {third_relation} it",
        "{first} {relation} and {third} {third_relation} {second}",
    ),
    (
        "{second}{relation}有{first}，{third_relation}有{third}",
        "{second}的{relation}是{first}，{third_relation}是{third}",
    ),
)
# Unambiguous only if the first has another shape than the second.
TRIPLE_BY_SHAPE = "{first} {relation} {second}, with {third} {third_relation} the {shape}"
GROUNDS_ENGLISH = (
    "{things} on a {{background}} background",
    "{things}, {{background}} background",
    "on {{background}}, {things}",
)
GROUNDS_CHINESE = ("{things}，{{background}}背景", "{{background}}背景上，{things}", "{things}，背景是{{background}}")
WEATHER_ENGLISH = {
    "sun": (
        "the weather is fine today, the sun shines over {land}",
        "a sunny day over {land}",
        "blue sky and a bright sun over {land}",
    ),
    "cloud": (
        "the weather is cloudy today, clouds drift over {land}",
        "a cloudy day over {land}",
        "pale sky and white clouds over {land}",
    ),
    "rain": (
        "it is raining today, rain falls on {land}",
        "a rainy day over {land}",
        "dark clouds and rain over {land}",
    ),
    "snow": (
        "it is snowing today, snow falls on {land}",
        "a snowy day over {land}",
        "white clouds and snow over {land}",
    ),
    "night": (
        "it is night, the moon and the stars shine over {land}",
        "a clear night over {land}",
        "dark sky, a moon and stars over {land}",
    ),
}
WEATHER_CHINESE = {
    "sun": ("今天的天气很好，太阳照着{land}", "晴天，阳光下是{land}", "蓝天和太阳，下面是{land}"),
    "cloud": ("今天的天气多云，白云飘过{land}", "多云的一天，云下是{land}", "天上有白云，下面是{land}"),
    "rain": ("今天下雨了，雨落在{land}上", "雨天，雨中是{land}", "乌云和雨，下面是{land}"),
    "snow": ("今天下雪了，雪落在{land}上", "雪天，雪中是{land}", "天上飘着雪，下面是{land}"),
    "night": ("夜晚，月亮和星星照着{land}", "晴朗的夜里，月光下是{land}", "夜空里有月亮和星星，下面是{land}"),
}


Phrasings = tuple[list[str], list[str]]
"""Every English and every Chinese caption of one scene."""


def captions(attributes: dict[str, Any], rng: np.random.Generator, *, left_open: str | None = None) -> tuple[str, str]:
    """An English and a Chinese caption of a scene, each in a random phrasing.

    Args:
        attributes: The attributes of a `shapes.Scene`.
        rng: Source of randomness.
        left_open: The attribute that they leave open, one of `shapes.OPEN` for this kind; None for complete captions.
    """
    english, chinese = PHRASINGS[attributes["kind"]](attributes, left_open)
    return str(rng.choice(english)), str(rng.choice(chinese))


def with_article(words: str) -> str:
    """`orange ring` -> `an orange ring`."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def single(attributes: dict[str, Any], left_open: str | None) -> Phrasings:
    """Every phrasing of one object."""
    chinese = {key: CHINESE.get(value, value) for key, value in attributes.items()}
    a_colour = with_article(attributes["colour"])
    return (
        [phrase.format(a_colour=a_colour, **attributes) for phrase in SINGLE_ENGLISH[left_open]],
        [phrase.format(**chinese) for phrase in SINGLE_CHINESE[left_open]],
    )


def several(attributes: dict[str, Any], left_open: str | None) -> Phrasings:
    """Every phrasing of two or three objects with their relations."""
    english, chinese = TRIPLE if attributes["kind"] == "triple" else PAIR
    if attributes["kind"] == "triple" and attributes["first"]["shape"] != attributes["second"]["shape"]:
        english = (*english, TRIPLE_BY_SHAPE)
    if left_open != "background":
        english = tuple(ground.format(things=things) for ground in GROUNDS_ENGLISH for things in english)
        chinese = tuple(ground.format(things=things) for ground in GROUNDS_CHINESE for things in chinese)
    words, words_zh = names(attributes, left_open)
    return [phrase.format(**words) for phrase in english], [phrase.format(**words_zh) for phrase in chinese]


def names(attributes: dict[str, Any], left_open: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """The values of the fields of a phrasing in English and in Chinese; an object is its colour and its shape."""
    english, chinese = {"shape": attributes["second"]["shape"]}, {}
    for key, value in attributes.items():
        if isinstance(value, str):
            english[key], chinese[key] = value, CHINESE.get(value, value)
        else:
            words = [value["shape"]] if left_open == f"{key}.colour" else [value["colour"], value["shape"]]
            english[key], chinese[key] = with_article(" ".join(words)), "".join(CHINESE[word] for word in words)
    return english, chinese


def weather(attributes: dict[str, Any], _: str | None = None) -> Phrasings:
    """Every phrasing of the weather over a landscape."""
    name, land = attributes["weather"], attributes["land"]
    return (
        [phrase.format(land=LANDS_ENGLISH[land]) for phrase in WEATHER_ENGLISH[name]],
        [phrase.format(land=CHINESE[land]) for phrase in WEATHER_CHINESE[name]],
    )


PHRASINGS: dict[str, Callable[[dict[str, Any], str | None], Phrasings]] = {
    "single": single,
    "pair": several,
    "triple": several,
    "weather": weather,
}
