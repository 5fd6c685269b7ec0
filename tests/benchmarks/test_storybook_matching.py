from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.storybook_judge import bare
from benchmarks.quality.storybook_matching import (
    SIZE,
    Candidate,
    Look,
    View,
    explains,
    gained,
    layer,
    moved,
    over,
    recoloured,
    refined,
    sampled,
    window,
)
from benchmarks.quality.storybook_search import best_figure, regions, standing_alone
from tfx_pipeline.datasets.storybook.scene import Figure, Scene, render
from tfx_pipeline.datasets.storybook.story import Story

TIMES = ("day", "sunset", "night")


def scene(*figures: Figure, time: str = "day") -> Scene:
    return Scene(Story("landscape", (), (), "meadow", time, "clear"), figures, "rolling")


def view(drawn: Scene) -> View:
    """What the figures of a scene explain of its picture."""
    time = drawn.story.time
    explained = bare("meadow", "rolling", False, time, "clear")
    return View(render(drawn, SIZE).astype(np.float32), explained, np.ones((SIZE, SIZE), np.float32), time)


def candidate(figure: Figure) -> Candidate:
    look = Look(figure.noun, figure.variant, figure.flipped, figure.colour)
    return Candidate(0.0, look, figure.x, figure.y, figure.size)


CAT = Figure("cat", "walking", "purple", 0.43, flipped=True, x=0.52, y=0.61)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("figure", [CAT, replace(CAT, flipped=False), Figure("penguin", "standing", None, 0.7)])
def test_candidates_are_painted_as_the_data_set_draws_figures(figure: Figure, time: str) -> None:
    drawn = scene(figure, time=time)
    seen, one = view(drawn), candidate(figure)
    at = window(one, margin=1)
    shown = over(layer(sampled(one, at), one.look.colour, time), seen.explained[at])
    assert np.abs(shown - seen.picture[at]).mean() < 2
    assert explains(seen, one) > 0.98


def test_a_gain_is_the_squared_error_that_is_gone() -> None:
    seen, one = view(scene(CAT)), candidate(CAT)
    painted = seen.explained.copy()
    at = window(one)
    painted[at] = over(layer(sampled(one, at), "purple", "day"), painted[at])
    gone = seen.error.sum() - ((seen.picture - painted) ** 2).sum()
    assert gained(seen, one).gain == pytest.approx(float(gone), rel=1e-4)


def test_what_cannot_be_seen_gains_nothing() -> None:
    seen = view(scene(CAT))
    assert gained(replace(seen, weight=np.zeros((SIZE, SIZE), np.float32)), candidate(CAT)).gain == -np.inf


@pytest.mark.parametrize("time", TIMES)
def test_the_best_colour_is_the_true_one_and_has_the_gain_that_it_says(time: str) -> None:
    seen, one = view(scene(CAT, time=time)), candidate(replace(CAT, colour="white"))
    found = recoloured(seen, one)
    assert found.look.colour == "purple"
    assert found.gain == pytest.approx(gained(seen, found).gain, rel=1e-3)


@pytest.mark.parametrize("change", [(1.5, 0.0, 0.0), (0.0, -1.5, 1.0), (-1.0, 1.0, -2.0)])
def test_a_rough_guess_is_refined_to_a_fraction_of_a_pixel(change: tuple[float, float, float]) -> None:
    found = refined(view(scene(CAT)), moved(candidate(CAT), change))
    assert SIZE * np.abs(np.subtract(found[2:], candidate(CAT)[2:])).max() < 0.2


def test_sizes_stay_within_what_is_natural() -> None:
    least, most = candidate(CAT).least_and_most
    assert moved(candidate(CAT), (0, 0, 99)).size == most and moved(candidate(CAT), (0, 0, -99)).size == least


def test_figures_that_stand_apart_are_found_at_once() -> None:
    others = Figure("apple", "whole", None, 0.2, x=0.15, y=0.8), Figure("bird", "flying", "blue", 0.25, x=0.8, y=0.2)
    small = replace(CAT, size=0.35, x=0.6)
    found = standing_alone(view(scene(small, *others)))
    assert {(each.look.noun, each.look.colour) for each in found} == {
        ("cat", "purple"),
        ("apple", None),
        ("bird", "blue"),
    }


def test_a_figure_is_found_behind_another() -> None:
    house = Figure("house", "wide", "red", 0.5, x=0.5, y=0.6)
    front = Figure("boy", "standing", "blue", 0.35, x=0.62, y=0.72, order=1)
    assert standing_alone(view(scene(house, front))) == []
    found = best_figure(view(scene(house, front)))
    assert found and (found.look.noun, found.look.variant, found.look.colour) == ("house", "wide", "red")


def test_nothing_is_found_where_nothing_is() -> None:
    assert best_figure(view(scene())) is None and standing_alone(view(scene())) == []


def test_regions_are_apart_by_more_than_two_pixels() -> None:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[10:14, 10:14] = mask[15:18, 14:18] = mask[40:44, 20:24] = True
    mask[60, 60] = True
    assert sorted(int(region.sum()) for region in regions(mask)) == [16, 28]
