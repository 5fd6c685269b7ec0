import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.leaves import (
    MOST_LEAVES,
    OUTLINES,
    OVERSAMPLING,
    SHAPES,
    SIZES,
    Leaves,
    Style,
    draw_leaves,
    draw_numbered,
    fallen,
    owned,
    random_style,
    textures,
    write_leaves,
)

PLAIN = Style(
    size="medium",
    shape="round",
    smallest=4.0,
    exponent=3.0,
    light=(0.5, 0.2),
    tint=((0.0, 0.0), 0.0),
    texture=0.0,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def edge_energy(picture: NDArray[np.uint8]) -> float:
    return float(np.square(np.diff(picture.astype(float), axis=0)).mean())


def test_radii_follow_the_power_law_from_the_smallest_on() -> None:
    radii = np.concatenate([fallen(PLAIN, 512, 4.0, rng(seed)).radii for seed in range(8)])
    smallest = OVERSAMPLING * PLAIN.smallest
    assert smallest <= radii.min() < 1.05 * smallest and radii.max() <= 0.6 * 512
    # With a density of r ** -3, a quarter of the leaves is more than twice as large as the smallest.
    assert (radii > 2 * smallest).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("size", SIZES)
def test_leaves_lie_over_each_point_as_often_as_asked(size: str) -> None:
    style = PLAIN._replace(smallest=float(np.mean(SIZES[size])))
    bare = [(owned(fallen(style, 256, 1.0, rng(seed)), 256) == 0).mean() for seed in range(12)]
    assert 0.15 < np.mean(bare) < 0.6
    assert len(fallen(style, 1024, 4.0, rng()).radii) <= MOST_LEAVES


def test_later_leaves_hide_earlier_ones() -> None:
    square = np.float32([[0, 0], [0, 9], [9, 9], [9, 0]])
    leaves = Leaves(np.zeros((2, 2), np.float32), np.ones(2, np.float32), [square, square + 5])
    owners = owned(leaves, 16)
    assert (owners[2, 2], owners[7, 7], owners[12, 12], owners[15, 0]) == (1, 2, 2, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_are_around_the_origin_and_of_about_unit_size(shape: str) -> None:
    outlines = [OUTLINES[shape](rng(seed)) for seed in range(50)]
    assert len({outline.tobytes() for outline in outlines}) == 50
    reach = np.array([np.linalg.norm(outline, axis=1).max() for outline in outlines])
    assert reach.min() > 0.5 and reach.max() < 5
    assert np.abs([outline.mean(axis=0) for outline in outlines]).mean() < 0.4


def test_textures_go_from_grain_to_clouds_and_repeat() -> None:
    atlas = textures(rng())
    steps = np.square(np.diff(atlas, axis=1)).mean(axis=(1, 2))
    assert (np.diff(steps) < 0).all() and steps[0] > 50 * steps[-1]
    np.testing.assert_allclose(atlas.std(axis=(1, 2)), 1, rtol=1e-4)
    assert np.square(atlas[-1, 0] - atlas[-1, -1]).mean() < 2 * steps[-1]


def test_a_style_is_seen_in_its_picture() -> None:
    smooth = np.mean([edge_energy(draw_leaves(PLAIN, 64, rng(seed))) for seed in range(8)])
    textured = np.mean([edge_energy(draw_leaves(PLAIN._replace(texture=0.2), 64, rng(seed))) for seed in range(8)])
    fine = np.mean([edge_energy(draw_leaves(PLAIN._replace(smallest=1.0), 64, rng(seed))) for seed in range(8)])
    assert textured > 1.3 * smooth and fine > 1.3 * smooth


def test_pictures_have_the_spectrum_of_photographs() -> None:
    """The power of photographs falls about as the square of the frequency (Field, 1987)."""
    power = np.zeros(32)
    for number in range(24):
        grey = draw_numbered(64, 3, number).astype(float).mean(axis=-1)
        window = np.outer(np.hanning(64), np.hanning(64))
        spectrum = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
        frequencies = np.round(64 * np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64))).astype(int)
        power += [spectrum[frequencies == each].mean() for each in range(32)]
    slope = np.polyfit(np.log(np.arange(3, 24)), np.log(power[3:24]), 1)[0]
    assert -3.5 < slope < -1.5


def test_a_number_and_a_seed_decide_a_picture() -> None:
    picture = draw_numbered(32, 5, 7)
    assert (picture.shape, picture.dtype) == ((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(picture, draw_numbered(32, 5, 7))
    assert not np.array_equal(picture, draw_numbered(32, 5, 8)) and not np.array_equal(picture, draw_numbered(32, 6, 7))


def test_sizes_and_shapes_are_all_drawn() -> None:
    styles = [random_style(rng(seed)) for seed in range(200)]
    assert {style.size for style in styles} == set(SIZES) and {style.shape for style in styles} == set(SHAPES)
    assert all(SIZES[style.size][0] <= style.smallest <= SIZES[style.size][1] for style in styles)


def test_a_data_set_is_written_the_same_twice_and_can_be_read(tmp_path: Path) -> None:
    done: list[int] = []
    summary = write_leaves(tmp_path / "a", count=6, size=32, seed=9, progress=done.append)
    write_leaves(tmp_path / "b", count=6, size=32, seed=9)
    assert done == [1, 2, 3, 4, 5, 6] and (summary.count, summary.withheld) == (6, 0)
    read = read_folder(tmp_path / "a")
    assert (read.quarantined, len(read.entries)) == ((), 6)
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_captions_say_what_the_attributes_say(tmp_path: Path) -> None:
    write_leaves(tmp_path / "out", count=12, size=16, seed=1)
    for line in (tmp_path / "out" / "metadata.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        told = row["attributes"]
        assert row["text"] == f"{told['size']} leaves, most of them {told['shape']}"
        assert "叶片" in row["text_zh"]


@pytest.mark.parametrize(("count", "size"), [(0, 32), (1, 15), (1, 513)])
def test_counts_and_sizes_out_of_range_are_refused(count: int, size: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"count {count} and size {size}"):
        write_leaves(tmp_path / "out", count=count, size=size, seed=0)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        write_leaves(tmp_path, count=1, size=32, seed=0)
