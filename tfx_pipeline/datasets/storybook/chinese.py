"""Chinese captions."""

from tfx_pipeline.datasets.storybook.english import LIVING, LOVELY, SYNONYM, WHOLE, WORN, hour, suits
from tfx_pipeline.datasets.storybook.story import ORDINALS, Role
from tfx_pipeline.datasets.storybook.telling import Telling

NUMBERS = {1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}
COLOURS = {
    "red": "红",
    "orange": "橙",
    "yellow": "黄",
    "green": "绿",
    "blue": "蓝",
    "purple": "紫",
    "white": "白",
    "black": "黑",
}
SIZES = {"big": ("大大的", "很大的", "巨大的"), "small": ("小小的", "很小的")}
OPINIONS = ("漂亮的", "好看的", "美丽的")
OPINIONS_OF_LIVING = ("可爱的", "漂亮的", "好看的")

RELATIONS = {
    "left of": ("左边", "左侧", "左面"),
    "right of": ("右边", "右侧", "右面"),
    "above": ("上方", "上空"),
    "below": ("下方", "下面"),
    "in front of": ("前面", "前方"),
    "behind": ("后面", "后方"),
    "on": ("上", "上面"),
    "under": ("下", "下面", "底下"),
}

ON_ANIMALS = "背上"

# Sentences with a relation. `known` is the second noun phrase without 一只. With three things, `beside` is the place of
# the first relative to the second, and `relation` that of the third.
PAIRS = (
    "{known}{relation}有{first}",
    "{known}的{relation}有{first}",
    "{second}{relation}有{first}",
    "{first}在{known}{relation}",
    "{first}在{second}{relation}",
    "{first}在{second}的{relation}",
)
ROWS = (
    "{known}左边有{first}，右边有{third}",
    "左边是{first}，中间是{second}，右边是{third}",
    "{second}的左边是{first}，右边是{third}",
)
GROUPS = (
    "{third}在{second}{relation}，{beside}有{first}",
    "{known}{relation}有{third}，{beside}有{first}",
    "{second}{relation}是{third}，{beside}是{first}",
)

TIMES = {
    "day": ("白天",),
    "sunset": ("傍晚", "黄昏", "日落时分", "夕阳下"),
    "night": ("夜晚", "晚上", "夜里"),
}
WEATHERS = {
    "clear": ("晴朗的天空下", "晴空下"),
    "cloudy": ("多云的天空下", "阴云下"),
    "rain": ("雨中", "大雨中", "下雨天"),
    "snow": ("雪中", "大雪中", "下雪天"),
}
WHEN = {
    ("day", "clear"): ("晴天", "晴朗的白天", "阳光明媚的白天", "阳光下"),
    ("day", "cloudy"): ("多云的白天", "阴天"),
    ("day", "rain"): ("下雨的白天", "雨天"),
    ("day", "snow"): ("下雪的白天", "飘雪的白天"),
    ("sunset", "clear"): ("晴朗的傍晚", "晴朗的黄昏"),
    ("sunset", "cloudy"): ("多云的傍晚", "多云的黄昏"),
    ("sunset", "rain"): ("下雨的傍晚", "傍晚的雨中", "雨中的黄昏"),
    ("sunset", "snow"): ("下雪的傍晚", "傍晚的雪中", "雪中的黄昏"),
    ("night", "clear"): ("晴朗的夜晚", "晴朗的夜里", "星空下"),
    ("night", "cloudy"): ("多云的夜晚", "多云的夜里"),
    ("night", "rain"): ("下雨的夜晚", "雨夜", "夜晚的雨中"),
    ("night", "snow"): ("下雪的夜晚", "雪夜", "夜晚的雪中"),
}
TIME_CLAUSES = {
    "day": ("现在是白天", "天亮了"),
    "sunset": ("太阳下山了", "太阳快落山了", "现在是傍晚"),
    "night": ("天黑了", "现在是夜晚", "夜深了"),
}
WEATHER_CLAUSES = {
    "clear": ("天气晴朗", "天空很晴朗"),
    "cloudy": ("天气多云", "天上布满了云"),
    "rain": ("正在下雨", "下着雨", "天上下着雨"),
    "snow": ("正在下雪", "下着雪", "天上飘着雪花"),
}
CLAUSES = {
    ("day", "clear"): ("今天的天气很好", "今天天气很好", "今天是晴天", "今天阳光明媚"),
    ("day", "cloudy"): ("今天是阴天", "今天多云"),
    ("day", "rain"): ("今天下雨了", "今天是雨天", "今天下着雨"),
    ("day", "snow"): ("今天下雪了", "今天下着雪"),
    ("sunset", "clear"): ("傍晚的天空很晴朗", "这是一个晴朗的傍晚"),
    ("sunset", "cloudy"): ("傍晚的天上布满了云", "这是一个多云的傍晚"),
    ("sunset", "rain"): ("傍晚下起了雨", "这是一个下雨的傍晚"),
    ("sunset", "snow"): ("傍晚下起了雪", "这是一个下雪的傍晚"),
    ("night", "clear"): ("今晚天气很好", "今晚的夜空很晴朗", "夜空中满是星星"),
    ("night", "cloudy"): ("今晚多云", "夜空布满了云"),
    ("night", "rain"): ("今晚下雨了", "今晚下着雨", "夜里下着雨"),
    ("night", "snow"): ("今晚下雪了", "今晚下着雪", "夜里下着雪"),
}
TAGS = {
    "day": "白天",
    "sunset": "日落",
    "night": "夜晚",
    "clear": "晴天",
    "cloudy": "多云",
    "rain": "下雨",
    "snow": "下雪",
}

# `who` is one or more noun phrases, `bare` the same without 一只. In SENTENCES, `who` is a whole sentence, such as
# 树下有一只猫.
NAMES = (
    "{who}",
    "{who}",
    "{bare}",
    "画{who}",
    "请画{who}",
    "给我画{who}",
    "一张{bare}的图画",
    "这是{who}",
    "{where}有{who}",
    "{where}有{who}",
    "{where}有{who}",
    "{where}的{bare}",
    "{where}的{who}",
    "{who}在{where}",
    "在{where}，有{who}",
    "画{where}的{who}",
    "{bare}，{place}",
    "{when}，有{who}",
    "{when}的{who}",
    "{when}的{bare}",
    "{clause}，这里有{who}",
    "画{when}的{who}",
    "{bare}，{tags}",
    "{when}，{where}有{who}",
    "{when}，{where}有{who}",
    "{when}，{where}的{who}",
    "{when}，{who}在{where}",
    "{clause}，{where}有{who}",
    "{clause}，{who}在{where}",
    "{where}有{who}，{clause}",
    "画{when}{where}的{who}",
    "{bare}，{place}，{tags}",
)
SENTENCES = (
    "{who}",
    "画一张画，{who}",
    "图画里，{who}",
    "{where}，{who}",
    "{where}，{who}",
    "在{where}，{who}",
    "{who}，背景是{place}",
    "{when}，{who}",
    "{when}，{who}",
    "{clause}，{who}",
    "{who}，{clause}",
    "{who}，{tags}",
    "{when}，{where}，{who}",
    "{when}的{where}，{who}",
    "{clause}，{where}，{who}",
    "{where}，{who}，{clause}",
    "{when}，在{where}，{who}",
    "{who}，{place}，{tags}",
)
LANDSCAPES = (
    "{place}",
    "画一张{place}的画",
    "一张{place}的图画",
    "{where}什么也没有",
    "{where}没有人",
    "{clause}",
    "{clause}",
    "{clause}",
    "{tags}",
    "画一张画，{clause}",
    "{when}的{place}",
    "{when}的{place}",
    "{when}，{where}没有人",
    "{clause}，{where}什么也没有",
    "{where}，{clause}",
    "画一张{when}的{place}",
    "{place}，{tags}",
)


def caption(telling: Telling) -> str:
    """A caption of a telling."""
    where, when = telling.says("place"), bool(telling.said & {"time", "weather"})
    sentence = related(telling)
    frames = (SENTENCES if sentence else NAMES) if telling.scene.figures else LANDSCAPES
    frame = telling.pick([frame for frame in frames if suits(frame, where, when)])
    return frame.format(**words(telling, sentence, when=when))


def words(telling: Telling, sentence: str | None, *, when: bool) -> dict[str, str]:
    """The values of the fields of a frame."""
    where = f"{telling.place.name_zh}上空" if telling.in_air else telling.pick(telling.place.phrases_zh)
    slots = {"where": where, "place": telling.place.name_zh}
    if when:
        slots |= {
            "when": hour(telling, TIMES, WEATHERS, WHEN),
            "clause": hour(telling, TIME_CLAUSES, WEATHER_CLAUSES, CLAUSES),
        }
        slots["tags"] = tags(telling)
    if telling.scene.figures:
        numbers = range(len(telling.scene.story.roles))
        slots["who"] = sentence or listed([noun_phrase(telling, number) for number in numbers])
        slots["bare"] = listed([noun_phrase(telling, number, bare=True) for number in numbers])
    return slots


def tags(telling: Telling) -> str:
    """The time and the weather as a list of words."""
    story = telling.scene.story
    return "，".join(
        TAGS[word] for path, word in (("time", story.time), ("weather", story.weather)) if telling.says(path)
    )


def listed(names: list[str]) -> str:
    """`甲、乙和丙`."""
    return "和".join(["、".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def related(telling: Telling) -> str | None:
    """The sentence about two or three things in their relations; None if there are no relations, or they are open."""
    story = telling.scene.story
    if not story.relations or not telling.says("relation"):
        return None
    if story.kind == "triple":
        return triple(telling, *story.relations)
    relation = place_word(telling, story.relations[0], story.roles[1])
    names = {ordinal: noun_phrase(telling, number) for number, ordinal in enumerate(ORDINALS[:2])}
    known = noun_phrase(telling, 1, bare=True)
    return telling.pick([spelt(form, relation) for form in PAIRS]).format(**names, known=known, relation=relation)


def spelt(form: str, relation: str) -> str:
    """A sentence about a pair: `树的下面`, but `树下`."""
    return form if len(relation) > 1 else form.replace("的{relation}", "{relation}")


def triple(telling: Telling, side: str, other: str) -> str:
    """Three things in their relations."""
    names = {ordinal: noun_phrase(telling, number) for number, ordinal in enumerate(ORDINALS)}
    known = noun_phrase(telling, 1, bare=True)
    beside = telling.pick(RELATIONS[side])
    if other in ("left of", "right of"):
        return telling.pick(ROWS).format(**names, known=known)
    relation = place_word(telling, other, telling.scene.story.roles[1])
    return telling.pick(GROUPS).format(**names, known=known, beside=beside, relation=relation)


def place_word(telling: Telling, relation: str, second: Role) -> str:
    """The word for a place relative to a thing; `on` an animal means on its back."""
    if relation == "on" and second.thing.group in LIVING:
        return ON_ANIMALS
    return telling.pick(RELATIONS[relation])


def noun_phrase(telling: Telling, number: int, *, bare: bool = False) -> str:
    """`一只可爱的红色的猫`; if bare, without `一只`, but numbers above one are kept."""
    role, ordinal = telling.scene.story.roles[number], ORDINALS[number]
    name, before = noun(telling, role), opinion(telling, role)
    if role.size == "big" and name[0] not in "大老小" and telling.chance(0.4):
        name = f"大{name}"
    elif role.size in SIZES:
        before = [telling.pick(SIZES[role.size])]
    colour = [coloured(telling, role, role.colour)] if role.colour and telling.says(f"{ordinal}.colour") else []
    variant = telling.scene.figures[number].variant if telling.says(f"{ordinal}.variant") else None
    phrase = "".join((*before, named(name, colour, role.thing.words_zh[variant] if variant else "{}")))
    if role.count == 1 and (bare or (phrase == role.thing.zh and role.thing.article == "the")):
        return phrase
    return f"{NUMBERS[role.count]}{role.thing.measure}{phrase}"


def named(noun: str, colour: list[str], word: str) -> str:
    """`坐着的红色的猫`, but `红色的双层巴士` and `红色的郁金香`."""
    if word.endswith("的{}"):
        return word.format("".join((*colour, noun)))
    return "".join((*colour, word.format(noun)))


def noun(telling: Telling, role: Role) -> str:
    """The noun or a synonym; synonyms that imply a size are used only for the usual size."""
    synonyms = [word for word in role.thing.synonyms_zh if role.size == "usual" or word[0] not in "小大"]
    return telling.pick(synonyms) if synonyms and telling.chance(SYNONYM) else role.thing.zh


def opinion(telling: Telling, role: Role) -> list[str]:
    """Sometimes, an adjective that no picture shows."""
    if not telling.chance(LOVELY):
        return []
    return [telling.pick(OPINIONS_OF_LIVING if role.thing.group in LIVING else OPINIONS)]


def coloured(telling: Telling, role: Role, colour: str) -> str:
    """`红色的`, `红`, `红色屋顶的` or `穿红色裙子的`."""
    plain = role.thing.part not in WORN and (role.thing.part in WHOLE or telling.chance(0.6))
    return telling.pick(colour_words(colour) if plain else part_words(role, colour))


def colour_words(colour: str) -> tuple[str, ...]:
    """Phrases for a colour before a noun; the usual one is listed twice."""
    name = COLOURS[colour]
    return f"{name}色的", f"{name}色的", f"{name}色", f"{name}色" if name == "橙" else name


def part_words(role: Role, colour: str) -> tuple[str, ...]:
    """Phrases for a part in a colour."""
    name, part = COLOURS[colour], role.thing.part_zh or ""
    if role.thing.part in WORN:
        return f"穿{name}色{part}的", f"穿{name}{part}的"
    return (f"{name}{part}的" if len(part) == 1 and name != "橙" else f"{name}色{part}的",)
