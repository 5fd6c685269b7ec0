from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.text import END, PAD, RESERVED, START, Tokenizer
from tfx_pipeline.training.records import read_captioned, read_captions, read_lines

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
    read = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    order = np.argsort(read.image[:, 0, 0, 0])
    np.testing.assert_array_equal(read.image[order], np.arange(3)[:, None, None, None] * np.ones([1, SIZE, SIZE, 3]))
    np.testing.assert_array_equal(read.captions[order, 0], [ids(4), ids(5), ids(6)])
    np.testing.assert_array_equal(read.captions[:, 1], [MISSING] * 3)
    assert (read.image.dtype, read.captions.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(read_captions(files, caption_length=LENGTH), read.captions)


def test_files_without_a_picture_give_none(files: list[str]) -> None:
    for found in ([], files[1:]):
        read = read_captioned(found, picture_size=SIZE, caption_length=LENGTH)
        assert (read.image.shape, read.captions.shape) == ((0, SIZE, SIZE, 3), (0, 2, LENGTH))
        assert read_captions(found, caption_length=LENGTH).shape == (0, 2, LENGTH)


def test_lines_are_read_without_the_pictures(files: list[str]) -> None:
    tokenizer = Tokenizer([*RESERVED, "▁a", "▁b"], LENGTH)
    lines = read_lines(files, tokenizer)
    np.testing.assert_array_equal(
        sorted(lines.tolist()), sorted([[START, 4, 5, END, PAD, PAD], [START, 5, END, PAD, PAD, PAD]])
    )


def test_no_lines_are_an_empty_array(files: list[str]) -> None:
    assert read_lines(files[:1], Tokenizer([*RESERVED, "a"], LENGTH)).shape == (0, LENGTH)
