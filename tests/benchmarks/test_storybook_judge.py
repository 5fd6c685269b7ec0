import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks.quality import storybook_judge
from benchmarks.quality.storybook_judge import (
    Page,
    Reading,
    Setting,
    all_settings,
    bare,
    falls,
    read,
    relation,
    reliability,
    replaced,
    verdict,
)
from benchmarks.quality.storybook_matching import Candidate, Look, over
from tfx_pipeline.datasets.storybook.layout import lay_out, random_scene
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import Role, Story


def true_reading(scene: Scene) -> Reading:
    """What a judge without error would read."""
    story = scene.story
    setting = Setting(story.place, scene.backdrop, scene.mirrored, story.time, story.weather, scene.pattern)
    return Reading(setting, scene.figures)


def laid_out(kind: str, *roles: Role, relations: tuple[str, ...] = (), place: str = "meadow") -> Scene:
    story = Story(kind, roles, relations, place, "day", "clear")
    return lay_out(story, np.random.default_rng(0))


def pair() -> Scene:
    return lay_out(Story("pair", (Role("cat", "red"), Role("house", "blue")), ("left of",), "meadow", "day", "clear"))


def test_every_bare_scene_is_drawn_as_the_data_set_draws_it() -> None:
    for setting in all_settings()[::97]:
        story = Story("landscape", (), (), setting.place, setting.time, setting.weather)
        scene = Scene(story, (), setting.backdrop, setting.mirrored, setting.pattern)
        drawn = over(falls(setting.weather, setting.pattern), bare(*setting[:-1]))
        # Layers are rounded to bytes one by one, and mirrored edges are smoothed from the other side.
        assert np.abs(drawn - render(scene, 64)).mean() < 0.5


def test_relations_are_told_from_where_figures_stand() -> None:
    rng = np.random.default_rng(1)
    for scene in (random_scene(rng, shares={"pair": 0.7, "triple": 0.3}) for _ in range(150)):
        second = scene.figures[1]
        found = tuple(relation(figure, second) for figure in (scene.figures[0], *scene.figures[2:]))
        assert found == scene.story.relations


def test_a_true_reading_is_right_in_everything() -> None:
    rng = np.random.default_rng(2)
    for scene in (random_scene(rng) for _ in range(60)):
        assert all(verdict(true_reading(scene), scene).values())
        assert true_reading(scene).scene.figures == scene.figures


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (
            {"noun": "dog", "variant": "sitting"},
            {"strangers", "first.noun", "first.count", "first.colour", "first.variant", "relation"},
        ),
        ({"colour": "green"}, {"first.colour"}),
        ({"variant": "walking"}, {"first.variant"}),
        ({"x": 0.99}, {"relation"}),
    ],
)
def test_what_a_reading_has_wrong_is_named(change: dict[str, object], wrong: set[str]) -> None:
    scene = pair()
    cat, house = scene.figures
    reading = Reading(true_reading(scene).setting, (replace(cat, **change), house))
    assert {path for path, right in verdict(reading, scene).items() if not right} == wrong


def test_strangers_one_too_many_and_another_hour_are_wrong() -> None:
    scene = pair()
    setting, figures = true_reading(scene).setting, scene.figures
    cow, another = replace(figures[0], noun="cow", variant="standing"), replace(figures[0], x=0.9)
    crowded = Reading(setting._replace(time="night"), (*figures, cow, another))
    wrong = {path for path, right in verdict(crowded, scene).items() if not right}
    assert wrong == {"strangers", "first.count", "first.variant", "time"}


def test_one_figure_is_read_off_its_pixels() -> None:
    scene = laid_out("single", Role("cat", "red"))
    reading = read(render(scene, 64))
    assert all(verdict(reading, scene).values())
    (figure,) = reading.figures
    assert (figure.x, figure.y, figure.size) == pytest.approx(
        (scene.figures[0].x, scene.figures[0].y, scene.figures[0].size), abs=0.01
    )


@pytest.mark.parametrize(
    "scene",
    [
        laid_out("pair", Role("fox"), Role("sheep"), relations=("behind",)),
        laid_out("pair", Role("mouse", "blue"), Role("chair", "red"), relations=("on",), place="room"),
        laid_out("count", Role("flower", "yellow", count=4)),
    ],
    ids=["behind", "on", "count"],
)
def test_figures_that_hide_others_and_several_of_a_kind_are_read(scene: Scene) -> None:
    assert all(verdict(read(render(scene, 64)), scene).values())


def test_a_soft_drawing_in_colours_that_are_a_little_off_is_read_as_what_it_is() -> None:
    scene = laid_out("pair", Role("boy", "green"), Role("car", "orange"), relations=("left of",), place="street")
    soft = Image.fromarray(render(scene, 64)).filter(ImageFilter.GaussianBlur(0.7))
    off = np.clip(np.asarray(soft, np.float32) + np.random.default_rng(0).uniform(-14, 14, 3), 0, 255)
    assert all(verdict(read(off.astype(np.uint8)), scene).values())


def test_a_bare_place_has_nothing_in_it() -> None:
    scene = lay_out(Story("landscape", (), (), "beach", "night", "snow"), np.random.default_rng(3))
    reading = read(render(scene, 64))
    assert reading.figures == () and all(verdict(reading, scene).values())


def test_reliability_is_the_share_of_real_pictures_that_are_read_right() -> None:
    shares = reliability(6, seed=1, workers=1)
    assert shares.pop("seconds") > 0
    assert shares == dict.fromkeys(
        ("place", "time", "weather", "strangers", "noun", "count", "variant", "colour", "relation"), 1.0
    )


def test_a_figure_that_is_not_needed_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = laid_out("single", Role("house", "blue"))
    proposed = itertools.count()

    def another(page: Page, figures: list[Candidate]) -> tuple[list[Candidate], int]:
        assert next(proposed) < 10
        return [*figures, figures[0]], len(figures)

    monkeypatch.setattr(storybook_judge, "another", another)
    assert [figure.noun for figure in read(render(scene, 64)).figures] == ["house"]


def test_a_poor_figure_that_was_fitted_anew_is_still_replaced() -> None:
    scene = laid_out("single", Role("house", "blue"))
    page = Page(render(scene, 64).astype(np.float32), true_reading(scene).setting, np.ones((64, 64), np.float32))
    (house,) = scene.figures
    poor = Candidate(-np.inf, Look("tent", "teepee", False, "green"), house.x, house.y, house.size)
    (best,) = replaced(page, [Candidate(*poor)], poor)
    assert (best.look.noun, best.look.colour) == ("house", "blue")
