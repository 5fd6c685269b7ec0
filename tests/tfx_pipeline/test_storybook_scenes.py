import itertools
import re

import numpy as np
import pytest

from tfx_pipeline.datasets.storybook.layout import (
    HIDDEN,
    JITTER,
    OVERLAP,
    SIZE_JITTER,
    CrowdedError,
    lay_out,
    random_scene,
)
from tfx_pipeline.datasets.storybook.scene import Figure, Scene, hidden, render, svg
from tfx_pipeline.datasets.storybook.story import (
    MOST,
    OPPOSITES,
    RELATIONS,
    SHARES,
    Role,
    Story,
    is_withheld,
    is_withheld_pair,
    may_be,
    pairs_in,
    random_story,
)
from tfx_pipeline.datasets.storybook.things import PLACES, THINGS, in_air

KINDS = [kind for kind in SHARES if kind != "landscape"]


def scenes(count: int, kind: str | None = None, seed: int = 0, withheld: bool | None = None) -> list[Scene]:
    rng = np.random.default_rng(seed)
    shares = {kind: 1.0} if kind else SHARES
    return [random_scene(rng, shares=shares, withheld=withheld) for _ in range(count)]


def pairs(relation: str, count: int = 60) -> list[tuple[Figure, Figure]]:
    """Pairs of figures of which the first is in the relation to the second."""
    rng = np.random.default_rng(3)
    told = (random_scene(rng, shares={"pair": 1}) for _ in itertools.count())
    shown = (scene.figures for scene in told if scene.story.relations == (relation,))
    return [(first, second) for first, second in itertools.islice(shown, count)]


def story(*roles: Role, relations: tuple[str, ...] = (), place: str = "meadow", kind: str = "single") -> Story:
    return Story(kind, roles, relations, place, "day", "clear")


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_within_the_picture(kind: str) -> None:
    for scene in scenes(150, kind):
        for figure in scene.figures:
            assert min(figure.left, figure.top) >= 0
            assert max(figure.right, figure.base) <= 1


@pytest.mark.parametrize("kind", ["count", "triple"])
def test_nothing_hides_another_by_chance(kind: str) -> None:
    for scene in scenes(100, kind):
        for one, other in itertools.combinations(scene.figures, 2):
            if {one.order, other.order} != {1, 2}:
                behind, before = sorted((one, other), key=lambda figure: figure.order)
                assert hidden(behind, before) <= OVERLAP


def test_what_is_left_is_left_and_apart() -> None:
    assert all(first.right < second.left for first, second in pairs("left of"))
    assert all(first.left > second.right for first, second in pairs("right of"))


def test_what_is_above_is_above_and_apart() -> None:
    for first, second in [*pairs("above"), *(pair[::-1] for pair in pairs("below"))]:
        assert first.base < second.top
        assert abs(first.x - second.x) < max(first.width, second.width) / 2
        assert in_air(THINGS[first.noun], first.variant)


def test_what_is_in_front_hides_a_part_and_leaves_most() -> None:
    for first, second in [*pairs("in front of"), *(pair[::-1] for pair in pairs("behind"))]:
        assert first.order > second.order
        assert first.base >= second.base
        assert HIDDEN[0] <= hidden(second, first) <= HIDDEN[1]


def test_what_is_on_another_stands_on_its_upper_side() -> None:
    for first, second in pairs("on"):
        assert second.top < first.base < second.y + 0.1 * second.height
        assert second.left < first.x < second.right
        assert not in_air(THINGS[first.noun], first.variant)


def test_what_is_under_another_stands_at_its_foot() -> None:
    for first, second in pairs("under"):
        assert first.height < second.height
        assert second.left < first.x < second.right
        assert first.base >= second.base
        assert first.top > second.top + 0.2 * second.height


def test_both_relations_of_a_triple_hold() -> None:
    for scene in scenes(100, "triple"):
        first, second, third = scene.figures
        side, other = scene.story.relations
        assert first.right < min(second.left, third.left) or side == "right of"
        assert first.left > max(second.right, third.right) or side == "left of"
        if other == OPPOSITES[side]:
            assert (third.left > second.right) == (side == "left of")


def test_things_stand_where_they_live() -> None:
    for scene in scenes(600, "single"):
        (figure,), place = scene.figures, PLACES[scene.story.place]
        thing = THINGS[figure.noun]
        assert place.name in thing.places
        assert (scene.story.time in place.times, scene.story.weather in place.weathers) == (True, True)
        assert (scene.story.time in thing.times, scene.story.weather in thing.weathers) == (True, True)
        if in_air(thing, figure.variant):
            assert figure.y < place.horizon
        else:
            band = place.water if thing.lives in ("water", "underwater") else place.ground or place.water
            assert band is not None
            assert band[0] - 1e-9 <= figure.base <= band[1] + 1e-9


def test_what_is_farther_is_higher_and_smaller() -> None:
    rng, told = np.random.default_rng(0), story(Role("cow"))
    figures = [lay_out(told, rng).figures[0] for _ in range(300)]
    assert np.corrcoef([figure.base for figure in figures], [figure.size for figure in figures])[0, 1] > 0.2


def test_one_story_is_laid_out_in_many_ways() -> None:
    rng, told = np.random.default_rng(0), story(Role("cat", "red"))
    drawn = [lay_out(told, rng) for _ in range(200)]
    figures = [scene.figures[0] for scene in drawn]
    assert JITTER < np.ptp([figure.x for figure in figures]) <= 2 * JITTER + 1e-9
    assert np.ptp([figure.size for figure in figures]) / np.mean([figure.size for figure in figures]) > SIZE_JITTER
    assert {figure.variant for figure in figures} == set(THINGS["cat"].variants)
    assert {scene.backdrop for scene in drawn} == set(PLACES["meadow"].drawings)
    assert {scene.mirrored for scene in drawn} == {figure.flipped for figure in figures} == {False, True}


def test_without_chance_the_canonical_scene_comes_out() -> None:
    told = story(Role("cat", "red"))
    scene = lay_out(told)
    assert scene == lay_out(told)
    assert scene.figures[0].x == 0.5
    assert (scene.figures[0].variant, scene.backdrop) == (
        THINGS["cat"].variants[0],
        next(iter(PLACES["meadow"].drawings)),
    )
    assert np.array_equal(render(scene, 64), render(scene, 64))


def test_sizes_that_are_said_can_be_seen() -> None:
    small, usual, big = (
        lay_out(story(Role("dog", "blue", size=size))).figures[0].size for size in ("small", "usual", "big")
    )
    assert small < 0.8 * usual < 0.65 * big


@pytest.mark.parametrize("count", range(2, MOST + 1))
def test_as_many_are_drawn_as_are_counted(count: int) -> None:
    scene = lay_out(story(Role("sheep", count=count), kind="count"), np.random.default_rng(1))
    assert len(scene.figures) == count
    assert scene.attributes["count"] == count
    assert len(scene.attributes["variants"]) == count


def test_what_cannot_be_seen_is_refused() -> None:
    told = story(Role("bee"), Role("castle", "red"), relations=("in front of",), kind="pair")
    with pytest.raises(CrowdedError, match="A bee cannot stand before a castle and leave enough of it to be seen"):
        lay_out(told, np.random.default_rng(0))


def test_relations_make_sense() -> None:
    assert may_be(THINGS["bird"], "on", THINGS["house"])
    assert not may_be(THINGS["house"], "on", THINGS["bird"])
    assert may_be(THINGS["cat"], "under", THINGS["tree"])
    assert may_be(THINGS["house"], "below", THINGS["rainbow"])
    assert not may_be(THINGS["cat"], "above", THINGS["house"])
    assert not may_be(THINGS["cup"], "on", THINGS["castle"])


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_relation_has_many_pairs(relation: str) -> None:
    assert sum(len(others) for others in pairs_in(relation).values()) > 100


def test_a_tenth_of_what_can_be_combined_is_withheld() -> None:
    placed = [is_withheld(noun, place) for noun, thing in THINGS.items() for place in thing.places]
    assert 0.08 < np.mean(placed) < 0.12
    related = [
        is_withheld_pair(first, relation, second)
        for relation in RELATIONS
        for first, others in pairs_in(relation).items()
        for second in others
    ]
    assert 0.09 < np.mean(related) < 0.11


def test_every_noun_is_seen_in_most_of_its_places() -> None:
    for noun, thing in THINGS.items():
        assert np.mean([is_withheld(noun, place) for place in thing.places]) < 0.5, noun


def test_the_mirror_image_of_a_withheld_pair_is_withheld() -> None:
    for relation, opposite in OPPOSITES.items():
        for first, second in itertools.permutations(list(THINGS)[:20], 2):
            assert is_withheld_pair(first, relation, second) == is_withheld_pair(second, opposite, first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_withheld_with_anything_that_is(kind: str) -> None:
    for scene in scenes(150, kind):
        told = scene.story
        nouns = [role.noun for role in told.roles]
        withheld = [is_withheld(noun, told.place) for noun in nouns]
        if kind in ("pair", "triple"):
            withheld.append(is_withheld_pair(nouns[0], told.relations[0], nouns[1]))
        if kind == "triple":
            withheld.append(is_withheld_pair(nouns[2], told.relations[1], nouns[1]))
            if told.relations[1] == OPPOSITES[told.relations[0]]:
                withheld.append(is_withheld_pair(nouns[0], told.relations[0], nouns[2]))
        assert scene.withheld == any(withheld)


@pytest.mark.parametrize("withheld", [True, False])
def test_seen_or_withheld_scenes_can_be_asked_for_alone(withheld: bool) -> None:
    assert {scene.withheld for scene in scenes(60, withheld=withheld)} == {withheld}


def test_no_landscape_is_withheld() -> None:
    assert not any(scene.withheld for scene in scenes(30, "landscape"))
    with pytest.raises(ValueError, match="No landscape is withheld"):
        random_story(np.random.default_rng(0), shares={"landscape": 1}, withheld=True)


def test_every_kind_comes_as_often_as_its_share_says() -> None:
    rng = np.random.default_rng(2)
    kinds = [random_story(rng).kind for _ in range(3000)]
    assert {kind: kinds.count(kind) / len(kinds) for kind in SHARES} == pytest.approx(SHARES, abs=0.04)


def test_attributes_say_everything() -> None:
    told = Story("pair", (Role("cat", "red", "big"), Role("tree")), ("left of",), "forest", "night", "rain")
    assert lay_out(told).attributes == {
        "kind": "pair",
        "first": {"noun": "cat", "colour": "red", "size": "big", "variant": "sitting"},
        "second": {"noun": "tree", "size": "usual", "variant": "leafy"},
        "relation": "left of",
        "place": "forest",
        "time": "night",
        "weather": "rain",
    }


def test_a_scene_is_the_same_picture_at_every_size() -> None:
    for scene in scenes(8):
        small, large = render(scene, 64), render(scene, 512).astype(float)
        assert small.dtype == np.uint8
        assert small.shape == (64, 64, 3)
        shrunk = large.reshape(64, 8, 64, 8, 3).mean((1, 3))
        assert np.abs(shrunk - small).mean() < 4


def test_a_colour_fills_the_painted_parts_of_its_own_figure_alone() -> None:
    told = Story("pair", (Role("cat", "red"), Role("car", "blue")), ("left of",), "meadow", "day", "clear")
    document = svg(lay_out(told))
    assert "class=" not in document
    cat, car = re.findall(r'<g transform="translate[^>]*>.*?</g>', document, re.DOTALL)
    assert ("#d8403a" in cat, "#3b74d1" in cat) == (True, False)
    assert ("#d8403a" in car, "#3b74d1" in car) == (False, True)


def test_the_hour_and_the_weather_can_be_seen() -> None:
    pictures = [
        render(lay_out(Story("single", (Role("cat", "red"),), (), "meadow", time, weather)), 32).astype(int)
        for time in ("day", "sunset", "night")
        for weather in ("clear", "cloudy", "rain", "snow")
    ]
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 4


def test_boxes_and_tags_say_where_and_what_the_figures_of_a_scene_are() -> None:
    for scene in scenes(60, seed=9):
        assert len(scene.boxes) == len(scene.tags) == len(scene.figures)
        for figure, (x, y, width, height, _), tags in zip(scene.in_order, scene.boxes, scene.tags, strict=True):
            assert (x, y, width, height) == (figure.x, figure.y, figure.width, figure.height)
            assert tags == [tag for tag in (figure.noun, figure.variant, figure.colour) if tag]
        assert scene.scenery == [scene.attributes[name] for name in ("place", "time", "weather")]
        nearness = [box[-1] for box in scene.boxes]
        assert sorted(nearness) == [number - (len(nearness) - 1) / 2 for number in range(len(nearness))]
        by_nearness = sorted(scene.in_order, key=lambda figure: nearness[scene.in_order.index(figure)])
        assert [figure.order for figure in by_nearness] == sorted(figure.order for figure in scene.figures)
        if scene.kind == "count":
            assert [box[0] for box in scene.boxes] == sorted(box[0] for box in scene.boxes)
