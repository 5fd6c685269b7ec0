from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.storybook_judge import Reading, Setting, all_settings, bare, falls, read, relation, verdict
from benchmarks.quality.storybook_matching import over
from tfx_pipeline.datasets.storybook.layout import lay_out, random_scene
from tfx_pipeline.datasets.storybook.scene import Scene, render
from tfx_pipeline.datasets.storybook.story import Role, Story


def true_reading(scene: Scene) -> Reading:
    """What a judge without error would read."""
    story = scene.story
    setting = Setting(story.place, scene.backdrop, scene.mirrored, story.time, story.weather, scene.pattern)
    return Reading(setting, scene.figures)


def pair() -> Scene:
    story = Story("pair", (Role("cat", "red"), Role("house", "blue")), ("left of",), "meadow", "day", "clear")
    return lay_out(story)


def test_every_bare_scene_is_drawn_as_the_data_set_draws_it() -> None:
    for setting in list(all_settings())[::97]:
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


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"noun": "dog", "variant": "sitting"}, {"first.noun", "first.colour", "first.variant", "relation"}),
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


def test_strangers_and_another_hour_are_wrong() -> None:
    scene = pair()
    setting, figures = true_reading(scene).setting, scene.figures
    crowded = Reading(setting._replace(time="night"), (*figures, replace(figures[0], noun="cow", variant="standing")))
    assert {path for path, right in verdict(crowded, scene).items() if not right} == {"count", "time"}


def test_one_figure_is_read_off_its_pixels() -> None:
    scene = lay_out(Story("single", (Role("cat", "red"),), (), "meadow", "day", "clear"), np.random.default_rng(0))
    reading = read(render(scene, 64))
    assert all(verdict(reading, scene).values())
    (figure,) = reading.figures
    assert (figure.x, figure.y, figure.size) == pytest.approx(
        (scene.figures[0].x, scene.figures[0].y, scene.figures[0].size), abs=0.02
    )
