from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf

import tfx_pipeline.training.records as reading
from models.text import Tokenizer
from models.vocabulary import END, PAD, RESERVED, START
from tfx_pipeline.ingesting.annotations import Annotations
from tfx_pipeline.training.records import filled, read_captioned, read_captions, read_lines

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


def test_fewer_captions_are_filled_up() -> None:
    few = np.full([2, 2, LENGTH], 7)
    np.testing.assert_array_equal(filled(few, 4), np.stack([[[7] * LENGTH] * 2 + [MISSING] * 2] * 2))
    np.testing.assert_array_equal(filled(few, 2), few)


def test_captions_of_all_batches_are_filled_up_to_the_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_BATCH", 1)
    more = [[], ids(1) + ids(2), ids(3)]
    rows = [{"image": bytes(SIZE * SIZE * 3), "text": ids(9), "text_zh": MISSING, "more": each} for each in more]
    file = write_records(tmp_path / "pictures.gz", rows)
    read, _ = read_captioned([file], picture_size=SIZE, caption_length=LENGTH)
    further = [[MISSING] * 2, [ids(1), ids(2)], [ids(3), MISSING]]
    np.testing.assert_array_equal(read.captions, [[ids(9), MISSING, *each] for each in further])


def test_files_without_a_picture_give_none(files: list[str]) -> None:
    read, annotations = read_captioned(files[1:], picture_size=SIZE, caption_length=LENGTH)
    assert (read.image.shape, read.captions.shape) == ((0, SIZE, SIZE, 3), (0, 2, LENGTH))
    assert len(annotations) == 0 and list(annotations) == []
    assert read_captions(files[1:], caption_length=LENGTH).shape == (0, 2, LENGTH)


def test_no_files_are_an_error() -> None:
    with pytest.raises(ValueError, match="no files of transformed examples"):
        read_captioned([], picture_size=SIZE, caption_length=LENGTH)


def test_examples_are_unpacked_once_for_each_size(files: list[str]) -> None:
    first, _ = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    coarse, _ = read_captioned(files, picture_size=SIZE // 2, caption_length=LENGTH)
    for file in map(Path, files):
        file.write_bytes(bytes(file.stat().st_size))
    again, _ = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    np.testing.assert_array_equal(again.image, first.image)
    np.testing.assert_array_equal(coarse.image, first.image[:, ::2, ::2])
    with pytest.raises(tf.errors.DataLossError):
        read_captioned(files, picture_size=SIZE, caption_length=LENGTH + 1)
    assert len(list(Path(files[0]).parent.parent.glob(f"{Path(files[0]).parent.name}.*"))) == 2


def test_whoever_unpacks_last_takes_what_is_there(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    monkeypatch.setattr(Path, "is_dir", Mock(side_effect=[False, True]))
    again, _ = read_captioned(files, picture_size=SIZE, caption_length=LENGTH)
    np.testing.assert_array_equal(again.image, first.image)


def test_annotations_are_read_in_the_order_of_the_pictures(files: list[str], tmp_path: Path) -> None:
    rows = [{"image": bytes([n]) * SIZE * SIZE * 3, "text": ids(4), "text_zh": MISSING} for n in range(3)]
    rows[1]["annotations"] = b'{"boxes":[],"tags":["street"]}'
    read, annotations = read_captioned(
        [write_records(tmp_path / "annotated.gz", rows), files[1]], picture_size=SIZE, caption_length=LENGTH
    )
    known = [Annotations(), Annotations(boxes=(), tags=("street",)), Annotations()]
    for _ in range(2):
        assert list(annotations) == [known[number] for number in read.image[:, 0, 0, 0]]
    assert len(annotations) == 3 and known[1] in annotations


def test_lines_are_read_without_the_pictures(files: list[str]) -> None:
    tokenizer = Tokenizer([*RESERVED, "▁a", "▁b"], LENGTH)
    lines = read_lines(files, tokenizer)
    np.testing.assert_array_equal(
        sorted(lines.tolist()), sorted([[START, 4, 5, END, PAD, PAD], [START, 5, END, PAD, PAD, PAD]])
    )


def test_no_lines_are_an_empty_array(files: list[str]) -> None:
    assert read_lines(files[:1], Tokenizer([*RESERVED, "a"], LENGTH)).shape == (0, LENGTH)
