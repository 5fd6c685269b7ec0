import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.shapes import (
    BACKGROUNDS_RGB,
    COLOURS_RGB,
    JITTER,
    OPEN,
    OPEN_SHARE,
    OPPOSITES,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SHARES,
    WITHHELD,
    Scene,
    is_withheld_pair,
    jittered,
    pair_scene,
    random_scene,
    random_scenes,
    record,
    render,
    single_scene,
    triple_scene,
    weather_scene,
    write_shapes,
)

THINGS = list(itertools.product(SHAPES, COLOURS_RGB))
ARRANGEMENTS = [(one, other) for one, other in itertools.permutations(RELATIONS, 2)]


def scenes_of(kind: str, count: int, withheld: bool | None = None) -> list[Scene]:
    return [scene for scene, _ in random_scenes(count, seed=1, shares={kind: 1}, withheld=withheld)]


@pytest.mark.parametrize("position", POSITIONS)
def test_a_single_object_lies_where_its_position_says(position: str) -> None:
    (sprite,) = single_scene("circle", "red", position, "small", "black").sprites
    words = {"left": sprite.x < 0.4, "right": sprite.x > 0.6, "top": sprite.y < 0.4, "bottom": sprite.y > 0.6}
    assert {word for word, true in words.items() if true} == set(position.split()) - {"center"}


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_relation_of_a_pair_can_be_seen(relation: str) -> None:
    first, second = pair_scene(("circle", "red"), relation, ("star", "blue"), "black").sprites
    assert (first.x + second.x, first.y + second.y) == pytest.approx((1, 1))
    assert np.sign((round(first.x - second.x, 6), round(first.y - second.y, 6))).tolist() == list(RELATIONS[relation])


@pytest.mark.parametrize(("relation", "third_relation"), ARRANGEMENTS)
def test_both_relations_of_a_triple_can_be_seen(relation: str, third_relation: str) -> None:
    things = ("circle", "red"), ("star", "blue"), ("ring", "white")
    first, second, third = triple_scene(things[0], relation, things[1], things[2], third_relation, "black").sprites
    for sprite, told in ((first, relation), (third, third_relation)):
        assert np.sign((round(sprite.x - second.x, 6), round(sprite.y - second.y, 6))).tolist() == list(RELATIONS[told])


def test_two_objects_cannot_be_at_one_place() -> None:
    thing = ("circle", "red")
    with pytest.raises(ValueError, match=r"cannot both be above the second: choose another third_relation"):
        triple_scene(thing, "above", thing, thing, "above", "black")


@pytest.mark.parametrize("kind", ["single", "pair", "triple"])
def test_objects_keep_apart_and_inside_the_picture_whatever_their_jitter(kind: str) -> None:
    # Only a star and a diamond reach their full radius, and only where nothing else is as wide.
    for scene, rng in random_scenes(300, seed=5, shares={kind: 1}):
        sprites = [jittered(sprite, rng) for sprite in scene.sprites]
        assert all(
            place - sprite.radius >= 0 and place + sprite.radius <= 1 for sprite in sprites for place in sprite[2:4]
        )
        for one, other in itertools.combinations(sprites, 2):
            assert max(abs(one.x - other.x), abs(one.y - other.y)) > 0.97 * (one.radius + other.radius)


def test_a_tenth_of_the_triples_is_withheld() -> None:
    assert len(WITHHELD) == len(THINGS) * len(BACKGROUNDS_RGB) // 10
    assert {triple[0] for triple in WITHHELD} == set(SHAPES)


def test_a_tenth_of_the_pairs_is_withheld_and_a_mirrored_pair_with_it() -> None:
    withheld = []
    for first, second in itertools.product(THINGS, repeat=2):
        for relation in ("above", "to the left of"):
            withheld.append(is_withheld_pair(first, relation, second))
            assert is_withheld_pair(second, OPPOSITES[relation], first) == withheld[-1]
    assert 0.09 < np.mean(withheld) < 0.11


def test_the_same_pairs_are_withheld_on_every_machine() -> None:
    withheld = (pair for pair in itertools.product(THINGS, repeat=2) if is_withheld_pair(pair[0], "above", pair[1]))
    assert list(itertools.islice(withheld, 2)) == [
        (("circle", "red"), ("circle", "blue")),
        (("circle", "red"), ("square", "purple")),
    ]


@pytest.mark.parametrize("kind", ["pair", "triple"])
def test_a_scene_is_withheld_with_any_pair_or_triple_in_it(kind: str) -> None:
    scenes = scenes_of(kind, 400)
    assert {scene.withheld for scene in scenes} == {True, False}
    for scene in scenes:
        told = scene.attributes
        shown = [(sprite.shape, sprite.colour) for sprite in scene.sprites]
        pairs = [(shown[0], told["relation"], shown[1])]
        if kind == "triple":
            pairs.append((shown[2], told["third_relation"], shown[1]))
            if told["third_relation"] == OPPOSITES[told["relation"]]:
                pairs.append((shown[0], told["relation"], shown[2]))
        triples = {(*thing, told["background"]) for thing in shown}
        assert scene.withheld == (bool(triples & WITHHELD) or any(is_withheld_pair(*pair) for pair in pairs))


@pytest.mark.parametrize("withheld", [True, False])
def test_seen_or_withheld_scenes_can_be_asked_for_alone(withheld: bool) -> None:
    scenes = [scene for scene, _ in random_scenes(50, seed=0, withheld=withheld)]
    assert {scene.withheld for scene in scenes} == {withheld}


def test_no_weather_is_withheld() -> None:
    assert not any(scene.withheld for scene in scenes_of("weather", 20))
    with pytest.raises(ValueError, match="No weather is withheld"):
        random_scene(np.random.default_rng(0), shares={"weather": 1, "single": 0}, withheld=True)


def test_every_kind_comes_as_often_as_its_share_says() -> None:
    kinds = [scene.kind for scene, _ in random_scenes(4000, seed=2)]
    assert {kind: kinds.count(kind) / len(kinds) for kind in SHARES} == pytest.approx(SHARES, abs=0.025)


def test_a_scene_does_not_depend_on_how_many_follow() -> None:
    few, many = ([(scene, rng.random()) for scene, rng in random_scenes(count, seed=4)] for count in (3, 6))
    assert few == many[:3]


def test_a_picture_without_jitter_is_canonical() -> None:
    scene = pair_scene(("circle", "red"), "above", ("square", "blue"), "navy")
    picture = render(scene, 64)
    assert np.array_equal(picture, render(scene, 64))
    assert (picture[2, 2].tolist(), picture[17, 32].tolist(), picture[46, 32].tolist()) == (
        list(BACKGROUNDS_RGB["navy"]),
        list(COLOURS_RGB["red"]),
        list(COLOURS_RGB["blue"]),
    )


def test_pairs_mirrored_in_words_are_one_picture() -> None:
    one, other = ("circle", "red"), ("square", "blue")
    assert np.array_equal(
        render(pair_scene(one, "above", other, "navy"), 32), render(pair_scene(other, "below", one, "navy"), 32)
    )


def test_the_jitter_is_as_wide_as_it_says() -> None:
    rng = np.random.default_rng(0)
    (sprite,) = single_scene("circle", "red", "center", "small", "black").sprites
    places = np.array([jittered(sprite, rng)[2:4] for _ in range(2000)])
    assert abs(places - 0.5).max() <= JITTER
    assert places.std(axis=0) == pytest.approx(np.full(2, JITTER / np.sqrt(3)), rel=0.05)


@pytest.mark.parametrize("weather", ["sun", "cloud", "rain", "snow", "night"])
def test_every_weather_looks_its_own_way(weather: str) -> None:
    pictures = {
        name: render(weather_scene(name, "sea"), 32).tobytes() for name in ("sun", "cloud", "rain", "snow", "night")
    }
    assert list(pictures.values()).count(pictures[weather]) == 1


def test_a_fifth_of_the_captions_leaves_one_thing_open_at_random() -> None:
    opens: dict[str, list[list[str]]] = {kind: [] for kind in OPEN}
    for scene, rng in random_scenes(4000, seed=6):
        opens[scene.kind].append(record(scene, "x.png", rng)["attributes"]["open"])
    for kind, names in OPEN.items():
        counts = [opens[kind].count([name]) for name in names]
        assert opens[kind].count([]) == len(opens[kind]) - sum(counts)
        assert all(count > 0.5 * OPEN_SHARE * len(opens[kind]) / len(names) for count in counts)


def test_what_a_caption_leaves_open_stands_in_the_attributes() -> None:
    lines = [record(scene, "x.png", rng) for scene, rng in random_scenes(300, seed=8, shares={"single": 1})]
    for line in lines:
        told: dict[str, Any] = line["attributes"]
        unnamed = [name for name in OPEN["single"] if told[name] not in line["text"]]
        assert unnamed == told["open"]


def test_a_data_set_is_written_the_same_twice_and_can_be_read(tmp_path: Path) -> None:
    summaries = [write_shapes(tmp_path / name, count=40, size=32, seed=9) for name in ("a", "b")]
    read = read_folder(tmp_path / "a")
    assert (read.quarantined, len(read.entries)) == ((), summaries[0].count)
    assert sum(entry.withheld for entry in read.entries) == summaries[0].withheld > 0
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_the_attributes_are_complete_whatever_the_caption(tmp_path: Path) -> None:
    write_shapes(tmp_path / "out", count=60, size=16, seed=10)
    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").read_text("utf-8").splitlines()]
    keys = {line["attributes"]["kind"]: set(line["attributes"]) - {"kind", "open"} for line in lines}
    assert keys == {
        "single": {"shape", "colour", "position", "size", "background"},
        "pair": {"first", "relation", "second", "background"},
        "triple": {"first", "relation", "second", "third", "third_relation", "background"},
        "weather": {"weather", "land"},
    }
    with Image.open(tmp_path / "out" / lines[0]["file_name"]) as picture:
        assert picture.size == (16, 16)


@pytest.mark.parametrize(("count", "size"), [(0, 32), (1, 15), (1, 513)])
def test_counts_and_sizes_out_of_range_are_refused(count: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"count {count} and size {size}"):
        write_shapes(tmp_path / "out", count=count, size=size, seed=0)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        write_shapes(tmp_path, count=1, size=32, seed=0)
