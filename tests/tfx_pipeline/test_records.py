from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.text import Tokenizer
from models.vocabulary import END, PAD, RESERVED, START
from tfx_pipeline.ingesting.annotations import Annotations
from tfx_pipeline.training.records import joined, read_captioned, read_captions, read_lines

SIZE, LENGTH = 8, 6
MISSING = [START, END] + [PAD] * (LENGTH - 2)


def ids(piece: int) -> list[int]:
    return [START, piece, END] + [PAD] * (LENGTH - 3)


def write_records(path: Path, rows: list[dict[str, bytes | list[int]]]) -> str:
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            features = {name: feature(value) for name, value in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return str(path)


def feature(value: bytes | list[int]) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three pictures and, in a file of their own, two lines."""
    pictures = [
        {"image": bytes([grey]) * SIZE * SIZE * 3, "text": ids(4 + grey), "text_zh": MISSING} for grey in range(3)
    ]
    lines: list[dict[str, bytes | list[int]]] = [{"line": b"a b"}, {"line": b"b"}]
    return [write_records(tmp_path / "pictures.gz", pictures), write_records(tmp_path / "lines.gz", lines)]


def test_pictures_are_read_with_both_captions(files: list[str]) -> None:
    read, _ = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    order = np.argsort(read.image[:, 0, 0, 0])
    np.testing.assert_array_equal(read.image[order], np.arange(3)[:, None, None, None] * np.ones([1, SIZE, SIZE, 3]))
    np.testing.assert_array_equal(read.captions[order, 0], [ids(4), ids(5), ids(6)])
    np.testing.assert_array_equal(read.captions[:, 1], [MISSING] * 3)
    assert (read.image.dtype, read.captions.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(read_captions(files, caption_length=LENGTH), read.captions)


def test_further_captions_take_as_many_places_as_the_most_of_them_need(tmp_path: Path) -> None:
    counts = [0, 3, 1]
    more = [np.array([ids(number) for number in range(count)], int).ravel().tolist() for count in counts]
    rows = [{"image": bytes(SIZE * SIZE * 3), "text": ids(9), "text_zh": MISSING, "more": each} for each in more]
    file = write_records(tmp_path / "pictures.gz", rows)
    captions = read_captioned([file], picture_size=SIZE, caption_length=LENGTH)[0].captions
    assert captions.shape == (3, 5, LENGTH)
    for row, count in zip(captions, counts, strict=True):
        np.testing.assert_array_equal(row, [ids(9), MISSING, *map(ids, range(count)), *[MISSING] * (3 - count)])


def test_batches_with_fewer_captions_are_filled_up() -> None:
    few, many = np.full([2, 2, LENGTH], 7), np.full([1, 4, LENGTH], 8)
    whole = joined([few, many], LENGTH)
    np.testing.assert_array_equal(whole[:2], np.stack([[[7] * LENGTH] * 2 + [MISSING] * 2] * 2))
    np.testing.assert_array_equal(whole[2:], many)


def test_files_without_a_picture_give_none(files: list[str]) -> None:
    for found in ([], files[1:]):
        read, _ = read_captioned(found, picture_size=SIZE, caption_length=LENGTH)
        assert (read.image.shape, read.captions.shape) == ((0, SIZE, SIZE, 3), (0, 2, LENGTH))
        assert read_captions(found, caption_length=LENGTH).shape == (0, 2, LENGTH)


def test_annotations_are_read_in_the_order_of_the_pictures(files: list[str], tmp_path: Path) -> None:
    rows = [{"image": bytes([n]) * SIZE * SIZE * 3, "text": ids(4), "text_zh": MISSING} for n in range(3)]
    rows[1]["annotations"] = b'{"boxes":[],"tags":["street"]}'
    read, annotations = read_captioned(
        [write_records(tmp_path / "annotated.gz", rows), files[1]], picture_size=SIZE, caption_length=LENGTH
    )
    known = [Annotations(), Annotations(boxes=(), tags=("street",)), Annotations()]
    assert annotations == [known[number] for number in read.image[:, 0, 0, 0]]


def test_lines_are_read_without_the_pictures(files: list[str]) -> None:
    tokenizer = Tokenizer([*RESERVED, "▁a", "▁b"], LENGTH)
    lines = read_lines(files, tokenizer)
    np.testing.assert_array_equal(
        sorted(lines.tolist()), sorted([[START, 4, 5, END, PAD, PAD], [START, 5, END, PAD, PAD, PAD]])
    )


def test_no_lines_are_an_empty_array(files: list[str]) -> None:
    assert read_lines(files[:1], Tokenizer([*RESERVED, "a"], LENGTH)).shape == (0, LENGTH)
