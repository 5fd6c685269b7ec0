import itertools

import numpy as np
import pytest
from drawers import scenes_and_pictures

from benchmarks.quality import judge
from tfx_pipeline.datasets.shapes import (
    BACKGROUNDS_RGB,
    COLOURS_RGB,
    POSITIONS,
    RADII,
    SHAPES,
    Scene,
    pair_scene,
    render,
    single_scene,
    triple_scene,
    weather_scene,
)

RED_CIRCLE = single_scene("circle", "red", "center", "medium", "navy")


@pytest.mark.parametrize(("kind", "size"), [("single", 32), ("single", 64), ("pair", 32), ("pair", 64), ("triple", 64)])
def test_real_pictures_are_read_right(kind: str, size: int) -> None:
    scenes, pictures = scenes_and_pictures(kind, 1000, size)
    assert judge.all_right(pictures, scenes).mean() >= 0.99


@pytest.mark.parametrize("kind", ["single", "pair", "triple"])
def test_pictures_of_other_scenes_are_wrong(kind: str) -> None:
    scenes, pictures = scenes_and_pictures(kind, 300, 32)
    assert judge.all_right(np.roll(pictures, 1, axis=0), scenes).mean() < 0.01


def test_the_nearest_canonical_picture_is_found() -> None:
    """Against the definition itself: all 10,368 pictures of one object, drawn one by one, by their squared distance."""
    words = itertools.product(SHAPES, COLOURS_RGB, POSITIONS, RADII, BACKGROUNDS_RGB)
    scenes = [single_scene(*each) for each in words]
    canonical = np.stack([render(scene, 16) for scene in scenes]).reshape(len(scenes), -1).astype(np.float64)
    chosen = np.random.default_rng(0).choice(len(scenes), 200, replace=False)
    damage = np.random.default_rng(1).normal(0, 40, (200, canonical.shape[1]))
    damaged = np.clip(canonical[chosen] + damage, 0, 255).astype(np.uint8)
    distances = (canonical**2).sum(1) - 2 * (damaged @ canonical.T)
    told = zip(judge.read(damaged.reshape(-1, 16, 16, 3)), distances.argmin(1), strict=True)
    agree = [scene == scenes[nearest] for scene, nearest in told if scene and scene.kind == "single"]
    assert len(agree) > 100
    assert all(agree)


@pytest.mark.parametrize("background", BACKGROUNDS_RGB)
def test_a_bare_background_shows_nothing(background: str) -> None:
    picture = np.full((1, 32, 32, 3), BACKGROUNDS_RGB[background], np.uint8)
    assert judge.read(picture) == [None]
    assert not judge.all_right(picture, [single_scene("circle", "red", "center", "small", background)]).any()


def test_noise_shows_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3)).astype(np.uint8)
    assert judge.read(noise) == [None] * 50


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(COLOURS_RGB, 2)))
def test_a_colour_between_two_is_neither(one: str, other: str) -> None:
    scenes = [single_scene("square", colour, "center", "medium", "black") for colour in (one, other)]
    mixed = np.mean([render(scene, 32) for scene in scenes], axis=0).astype(np.uint8)
    assert not judge.all_right(np.stack([mixed] * 2), scenes).any()


def test_two_colours_side_by_side_in_one_shape_are_neither() -> None:
    scenes = [single_scene("square", colour, "center", "large", "black") for colour in ("red", "blue")]
    halves = np.concatenate([render(scenes[0], 32)[:, :16], render(scenes[1], 32)[:, 16:]], axis=1)
    assert not judge.all_right(np.stack([halves] * 2), scenes).any()


@pytest.mark.parametrize(
    "other",
    [
        single_scene("heart", "red", "center", "medium", "navy"),
        single_scene("circle", "orange", "center", "medium", "navy"),
        single_scene("circle", "red", "right", "medium", "navy"),
        single_scene("circle", "red", "center", "small", "navy"),
        single_scene("circle", "red", "center", "medium", "black"),
    ],
    ids=["shape", "colour", "position", "size", "background"],
)
def test_one_wrong_attribute_is_enough(other: Scene) -> None:
    picture = render(other, 32)[None]
    assert judge.all_right(picture, [other]).all()
    assert not judge.all_right(picture, [RED_CIRCLE]).any()


def test_two_objects_exchanged_are_wrong() -> None:
    one, other = ("circle", "red"), ("square", "blue")
    picture = render(pair_scene(one, "above", other, "navy"), 64)[None]
    assert judge.all_right(picture, [pair_scene(other, "below", one, "navy")]).all()
    assert not judge.all_right(picture, [pair_scene(other, "above", one, "navy")]).any()


def test_an_object_too_many_or_too_few_is_wrong() -> None:
    things = [("circle", "red"), ("square", "blue"), ("star", "green")]
    pair = pair_scene(things[0], "above", things[1], "navy")
    triple = triple_scene(things[0], "above", things[1], things[2], "to the left of", "navy")
    pictures = np.stack([render(pair, 64), render(triple, 64)])
    assert judge.all_right(pictures, [pair, triple]).tolist() == [True, True]
    assert judge.all_right(pictures, [triple, pair]).tolist() == [False, False]


def test_an_object_that_is_hardly_there_is_not_seen() -> None:
    bare = np.full((32, 32, 3), BACKGROUNDS_RGB["navy"])
    faint, strong = (bare + share * (render(RED_CIRCLE, 32) - bare) for share in (0.45, 0.9))
    read = judge.read(np.stack([faint, strong]).astype(np.uint8))
    assert [scene and scene.attributes for scene in read] == [None, RED_CIRCLE.attributes]


def test_the_weather_is_not_judged() -> None:
    with pytest.raises(ValueError, match="The weather is not judged"):
        judge.all_right(np.zeros((1, 32, 32, 3), np.uint8), [weather_scene("sun", "sea")])


def test_no_pictures_are_no_scenes() -> None:
    assert judge.read(np.zeros((0, 32, 32, 3), np.uint8)) == []


def test_more_pictures_than_a_batch_are_read_as_alone() -> None:
    scenes, pictures = scenes_and_pictures("pair", judge.BATCH + 2, 32)
    assert judge.read(pictures)[-1] == judge.read(pictures[-1:])[0]
    assert judge.all_right(pictures, scenes).shape == (judge.BATCH + 2,)


@pytest.mark.parametrize("size", [32, 64])
def test_a_centre_is_found_to_a_fraction_of_a_pixel(size: int) -> None:
    scene = single_scene("circle", "yellow", "top left", "large", "brown")
    moved = [scene.sprites[0]._replace(x=0.35 + 0.003 * step) for step in range(8)]
    pictures = np.stack([render(Scene(scene.attributes, (sprite,), False), size) for sprite in moved])
    expected = [(sprite.x * size, sprite.y * size) for sprite in moved]
    assert np.abs(judge.centres(pictures) - expected).max() < 0.05


def test_a_tinted_background_does_not_move_the_centre() -> None:
    picture = render(single_scene("circle", "red", "top left", "small", "gray"), 32)
    tinted = np.clip(picture.astype(int) + 10, 0, 255).astype(np.uint8)
    assert judge.centres(np.stack([picture, tinted])) == pytest.approx(np.full((2, 2), 0.31 * 32), abs=0.1)


def test_the_centre_of_nothing_is_the_middle() -> None:
    assert judge.centres(np.zeros((1, 32, 32, 3), np.uint8)) == pytest.approx(np.full((1, 2), 16))
