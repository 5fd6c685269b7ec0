from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality.photographs import read_photographs


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
