"""Words and phrasings, English and Chinese, for the scenes of `shapes`."""

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

SINGLE_ENGLISH = (
    "a {size} {colour} {shape} at the {position} on a {background} background",
    "a {size} {colour} {shape} on a {background} background, at the {position}",
    "{a_colour} {shape}, {size}, at the {position}, on a {background} background",
    "{a_colour} {shape} on a {background} background, {size}, at the {position}",
    "on {background}, a {size} {colour} {shape} at the {position}",
    "{size} {colour} {shape}, {position}, {background} background",
)
SINGLE_CHINESE = (
    "{background}背景的{position}有一个{size}的{colour}{shape}",
    "{background}背景上有一个{size}的{colour}{shape}，在{position}",
    "一个{colour}的{shape}，{size}，在{position}，{background}背景",
    "{background}背景上的{colour}{shape}，{size}，在{position}",
    "{colour}{shape}，{size}，位于{position}，背景是{background}",
    "{position}有一个{size}的{colour}{shape}，{background}背景",
)
PAIR_ENGLISH = (
    "{a_first} {relation} {a_second} on a {background} background",
    "{a_first} {relation} {a_second}, {background} background",
    "on {background}, {a_first} {relation} {a_second}",
)
PAIR_CHINESE = (
    "{second}{relation}有一个{first}，{background}背景",
    "{background}背景上，{second}的{relation}有一个{first}",
    "一个{first}在{second}的{relation}，{background}背景",
)
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


def captions(attributes: dict[str, Any], rng: np.random.Generator) -> tuple[str, str]:
    """An English and a Chinese caption of a scene, each in a random phrasing that names every attribute."""
    english, chinese = PHRASINGS[attributes["kind"]](attributes)
    return str(rng.choice(english)), str(rng.choice(chinese))


def with_article(words: str) -> str:
    """`orange ring` -> `an orange ring`."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def single(attributes: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Every phrasing of one object."""
    chinese = {key: CHINESE.get(value, value) for key, value in attributes.items()}
    a_colour = with_article(attributes["colour"])
    return (
        [phrase.format(a_colour=a_colour, **attributes) for phrase in SINGLE_ENGLISH],
        [phrase.format(**chinese) for phrase in SINGLE_CHINESE],
    )


def pair(attributes: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Every phrasing of two objects in a relation."""
    things = [attributes["first"], attributes["second"]]
    first, second = (with_article(f"{thing['colour']} {thing['shape']}") for thing in things)
    first_zh, second_zh = (CHINESE[thing["colour"]] + CHINESE[thing["shape"]] for thing in things)
    relation, background = attributes["relation"], attributes["background"]
    relation_zh, background_zh = CHINESE[relation], CHINESE[background]
    return (
        [p.format(a_first=first, relation=relation, a_second=second, background=background) for p in PAIR_ENGLISH],
        [
            p.format(first=first_zh, relation=relation_zh, second=second_zh, background=background_zh)
            for p in PAIR_CHINESE
        ],
    )


def weather(attributes: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Every phrasing of the weather over a landscape."""
    name, land = attributes["weather"], attributes["land"]
    return (
        [phrase.format(land=LANDS_ENGLISH[land]) for phrase in WEATHER_ENGLISH[name]],
        [phrase.format(land=CHINESE[land]) for phrase in WEATHER_CHINESE[name]],
    )


PHRASINGS = {"single": single, "pair": pair, "weather": weather}
