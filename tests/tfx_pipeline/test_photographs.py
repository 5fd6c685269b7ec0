from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfx_pipeline.datasets.photographs import patch, patch_batches, read_photographs, to_grey


def picture(height: int, width: int) -> np.ndarray:
    """Every pixel tells its place: red its row, green its column."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, np.full((height, width), 200)], axis=-1).astype(np.uint8)


def test_pictures_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    Image.fromarray(picture(10, 20)).save(tmp_path / "b.png")
    Image.fromarray(picture(12, 9)[..., 1]).save(tmp_path / "a.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    grey, coloured = read_photographs(tmp_path)
    np.testing.assert_array_equal(coloured, picture(10, 20))
    np.testing.assert_array_equal(grey, picture(12, 9)[..., 1:2].repeat(3, axis=-1))


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no pictures: put BMP, JPEG or PNG files there"):
        read_photographs(tmp_path)


def test_patches_are_crops_mirrored_and_turned() -> None:
    random, whole, seen = np.random.default_rng(0), picture(40, 30), set()
    for _ in range(200):
        crop = patch(whole, 8, random).astype(int)
        if np.array_equal(crop[..., 0], crop[..., 1]):
            continue
        rows, columns = crop[..., 0], crop[..., 1]
        assert (np.ptp(rows), np.ptp(columns)) == (7, 7) and rows.max() < 40 and columns.max() < 30
        seen.add((rows[0, 0] - rows[7, 7], columns[0, 0] - columns[7, 7], rows[0, 0] == rows[0, 7]))
    assert len(seen) == 8


def test_half_of_the_patches_are_grey_and_a_seed_decides_all() -> None:
    batches = patch_batches([picture(40, 30), picture(16, 60)], size=16, batch_size=300, seed=1)
    first, again = (next(iter(batches)) for _ in range(2))
    image = first["image"].numpy()
    assert (image.shape, image.dtype, first["seed"].shape) == ((300, 16, 16, 3), np.uint8, 300)
    grey = (image == image[..., :1]).all(axis=(1, 2, 3))
    assert abs(grey.mean() - 0.5) < 0.1
    np.testing.assert_array_equal(image, again["image"])
    np.testing.assert_array_equal(first["seed"], again["seed"])
    other = next(iter(patch_batches([picture(40, 30)], size=16, batch_size=300, seed=2)))
    assert not np.array_equal(first["seed"], other["seed"])


def test_a_picture_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(
        ValueError, match="A picture has a side of 15 pixels; patches need 16: leave small pictures out"
    ):
        patch_batches([picture(40, 30), picture(15, 60)], size=16, batch_size=4, seed=0)


def test_grey_is_luma() -> None:
    row = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)
    np.testing.assert_array_equal(to_grey(row)[0, :, 0], [76, 150, 29, 90])
