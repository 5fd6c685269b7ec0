from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import DTypeLike, NDArray

from models.learning.inputs import Batches, Captioned, UnknownWords, caption_batches, embedding_batches, picture_batches
from models.learning.stored import PART, as_tensor, mapped, parts, zeros_beside
from models.vocabulary import END, PAD, START

RNG = np.random.default_rng(0)


def stored(array: NDArray[np.generic], folder: Path) -> NDArray[np.generic]:
    """The same values in a mapped file."""
    file = folder / f"{len(list(folder.iterdir()))}.bin"
    array.tofile(file)
    return mapped(file, array.dtype).reshape(array.shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_a_tensor_of_a_mapped_file_shares_its_memory(tmp_path: Path, dtype: DTypeLike) -> None:
    values = stored(RNG.integers(0, 2, [50, 3, 2]).astype(dtype), tmp_path)
    tensor = as_tensor(values)
    np.testing.assert_array_equal(tensor, values)
    values[7] = 1 - values[7].astype(int)
    np.testing.assert_array_equal(tensor, values)


def test_changes_do_not_reach_the_file(tmp_path: Path) -> None:
    values = stored(np.zeros(4, np.uint8), tmp_path)
    values[:] = 1
    assert not (tmp_path / "0.bin").read_bytes().strip(b"\0")


def test_what_is_no_whole_mapped_file_is_copied(tmp_path: Path) -> None:
    whole = stored(np.arange(120).reshape(20, 6), tmp_path)
    for values in (whole[:, :3], whole[1:], np.array(whole), whole[:0]):
        tensor = as_tensor(values)
        kept = np.array(values)
        values += 1
        np.testing.assert_array_equal(tensor, kept)


def test_an_empty_file_is_an_empty_array(tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    assert mapped(tmp_path / "none", np.int64).reshape(0, 2, 3).dtype == np.int64


def test_zeros_lie_where_the_other_array_does(tmp_path: Path) -> None:
    beside = stored(np.ones([6, 2], np.uint8), tmp_path)
    for array, kind in ((beside, np.memmap), (beside[:2], np.memmap), (np.ones(3), np.ndarray)):
        zeros = zeros_beside(array, [5, 2], np.float32)
        assert type(zeros) is kind and zeros.shape == (5, 2) and not zeros.any()
        zeros[3] = 7
        np.testing.assert_array_equal(as_tensor(zeros)[3], [7, 7])
    assert zeros_beside(beside, [0, 2], bool).shape == (0, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["0.bin"]


@pytest.mark.parametrize("rows", [0, 1, PART, 2 * PART + 3])
def test_parts_cover_all_rows_once(rows: int) -> None:
    assert [row for part in parts(rows) for row in np.arange(rows)[part]] == list(range(rows))


def captioned() -> Captioned:
    ids = np.full([40, 2, 9], PAD)
    ids[..., :3], ids[:30, 0, 1:4] = [START, END, PAD], [5, 6, END]
    ids[10:, 1, 1:4] = [7, 8, END]
    tags = RNG.random([40, 3, 4]) < 0.3
    return Captioned(RNG.integers(0, 256, [40, 8, 8, 3], np.uint8), ids, tags=tags)


def batches_of(data: Captioned) -> list[Batches]:
    """As the recipes of the three models make them."""
    assert data.boxes is None and data.tags is not None
    embeddings = zeros_beside(data.image, [40, 2, 4], np.float32)
    embeddings[:] = np.arange(320).reshape(40, 2, 4)
    lines = np.array([[START, 9, END]] * 5)
    lines = np.pad(lines, [(0, 0), (0, 6)], constant_values=PAD)
    present = data.captions[..., 1] != END
    return [
        caption_batches(data, lines, batch_size=8, seed=3, unknown=UnknownWords([11, 12], 0.5)),
        embedding_batches(data.image, embeddings, present, batch_size=8, seed=3),
        picture_batches(data.image, batch_size=8, seed=3),
    ]


@pytest.mark.parametrize("number", range(3))
def test_batches_of_mapped_data_are_those_of_data_in_memory(tmp_path: Path, number: int) -> None:
    held = captioned()
    data = Captioned(stored(held.image, tmp_path), stored(held.captions, tmp_path), tags=stored(held.tags, tmp_path))
    tf.random.set_seed(1)
    expected = list(batches_of(held)[number].dataset().take(12).as_numpy_iterator())
    tf.random.set_seed(1)
    for batch, known in zip(batches_of(data)[number].dataset().as_numpy_iterator(), expected, strict=False):
        assert batch.keys() == known.keys()
        for name, values in known.items():
            np.testing.assert_array_equal(batch[name], values)
