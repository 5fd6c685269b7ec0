import numpy as np
import pytest

from models.learning.crops import to_grey
from models.learning.patches import patch_batches


def picture(height: int, width: int) -> np.ndarray:
    """Every pixel tells its place: red its row, green its column."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, np.full((height, width), 200)], axis=-1).astype(np.uint8)


def is_grey(patches: np.ndarray) -> np.ndarray:
    return (patches == patches[..., :1]).all(axis=(1, 2, 3))


def test_patches_are_crops_mirrored_and_turned() -> None:
    pictures = [picture(40, 30), picture(16, 60)]
    batches = patch_batches(pictures, size=8, batch_size=300, seed=0).dataset()
    patches = np.concatenate([batch["image"] for batch in batches.take(2)]).astype(int)
    coloured = patches[~is_grey(patches)]
    turns, highest, widest = set(), 0, 0
    for rows, columns in zip(coloured[..., 0], coloured[..., 1], strict=True):
        assert (np.ptp(rows), np.ptp(columns)) == (7, 7)
        assert (rows.max() < 40 and columns.max() < 30) or (rows.max() < 16 and columns.max() < 60)
        turns.add((rows[0, 0] - rows[7, 7], columns[0, 0] - columns[7, 7], rows[0, 0] == rows[0, 7]))
        highest, widest = max(highest, rows.max()), max(widest, columns.max())
    assert len(turns) == 8
    assert highest > 35 and widest > 55


def test_half_of_the_patches_are_grey_and_a_seed_decides_all() -> None:
    pictures = [picture(40, 30), picture(16, 60)]
    first, again, other = (
        next(iter(patch_batches(pictures, size=16, batch_size=300, seed=seed).dataset())) for seed in (1, 1, 2)
    )
    image = first["image"].numpy()
    assert (image.shape, image.dtype, first["seed"].shape) == ((300, 16, 16, 3), np.uint8, 300)
    assert abs(is_grey(image).mean() - 0.5) < 0.1
    np.testing.assert_array_equal(image, again["image"])
    np.testing.assert_array_equal(first["seed"], again["seed"])
    assert not np.array_equal(first["seed"], other["seed"])


def test_a_picture_smaller_than_a_patch_is_refused() -> None:
    with pytest.raises(
        ValueError, match="A picture has a side of 15 pixels; patches need 16: leave small pictures out"
    ):
        patch_batches([picture(40, 30), picture(15, 60)], size=16, batch_size=4, seed=0)


def test_grey_is_luma() -> None:
    row = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)
    np.testing.assert_array_equal(to_grey(row)[0, :, 0], [76, 150, 29, 90])
