import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from PIL import Image
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata

from models.pictures import decode_squares, encode_png
from models.text import Tokenizer
from models.vocabulary import END, PAD, RESERVED, START
from tfx_pipeline.ingesting.preprocessing import VOCABULARY, flat, preprocessing_fn
from tfx_pipeline.ingesting.squares import from_bytes, raw_squares

SIZE, LENGTH = 16, 12
CAPTIONS = [("a red circle", "一个红色圆形"), ("a blue circle", ""), ("A red square!", "红色方块")]
MORE = [["a disc", "圆"], [], ["a box"]]
ANNOTATIONS = [[], [b'{"tags":["street"]}'], []]


def random_pictures(count: int, size: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).integers(0, 256, (count, size, size, 3)), tf.uint8)


@pytest.mark.parametrize(("count", "size"), [(1, 8), (3, 16), (2, 32), (1, 256)])
def test_pictures_of_the_right_size_survive_as_bytes(count: int, size: int) -> None:
    pictures = random_pictures(count, size)
    packed = raw_squares(encode_png(pictures), size)
    assert packed.shape == (count, 1)
    assert {len(row) for row in packed.numpy().ravel()} == {size * size * 3}
    np.testing.assert_array_equal(from_bytes(packed, size), pictures)


@pytest.mark.parametrize("shape", [(16, 9), (9, 16), (7, 7), (16, 8), (8, 16), (40, 40)])
def test_pictures_of_other_sizes_are_squared(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape, 3))
    images = encode_png(tf.constant(pixels, tf.uint8))
    np.testing.assert_array_equal(from_bytes(raw_squares(images, 8), 8), decode_squares(images, 8))


def test_no_pictures_are_no_bytes() -> None:
    assert from_bytes(tf.zeros([0, 1], tf.string), 8).shape == (0, 8, 8, 3)


def test_finer_pictures_are_averaged_down() -> None:
    pictures = random_pictures(3, 16)
    packed = raw_squares(encode_png(pictures), 16)
    blocks = pictures.numpy().reshape(3, 8, 2, 8, 2, 3)
    np.testing.assert_array_equal(from_bytes(packed, 8), np.round(blocks.mean(axis=(2, 4))))
    with pytest.raises(ValueError, match="Pictures of 16 pixels cannot be averaged down to 12"):
        from_bytes(packed, 12)


@pytest.mark.parametrize("grey", [0, 255])
def test_plain_pictures_survive_as_bytes(grey: int) -> None:
    pictures = tf.fill([2, 8, 8, 3], tf.constant(grey, tf.uint8))
    np.testing.assert_array_equal(from_bytes(raw_squares(encode_png(pictures), 8), 8), pictures)


def test_a_missing_value_is_empty() -> None:
    sparse = tf.SparseTensor([[0, 0], [2, 0]], ["a", "b"], [3, 1])
    assert flat(sparse).numpy().tolist() == [b"a", b"", b"b"]
    assert flat(tf.constant([["a"], ["b"]])).numpy().tolist() == [b"a", b"b"]


def png(number: int) -> bytes:
    stream = io.BytesIO()
    pixels = random_pictures(3, 20).numpy()[number]
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


ROWS = [
    {
        "image": png(number),
        "text": texts[0].encode(),
        "text_zh": texts[1].encode(),
        "more": list(map(str.encode, more)),
        "annotations": annotations,
    }
    for number, (texts, more, annotations) in enumerate(zip(CAPTIONS, MORE, ANNOTATIONS, strict=True))
]
SPEC = {name: tf.io.FixedLenFeature([], tf.string) for name in ("image", "text", "text_zh")}
SPEC |= {name: tf.io.VarLenFeature(tf.string) for name in ("more", "annotations")}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], tft.TFTransformOutput]:
    """The rows after Transform, and what it learned."""
    out = tmp_path_factory.mktemp("transform")
    schema = DatasetMetadata.from_feature_spec(SPEC)
    config = {"picture_size": SIZE, "caption_length": LENGTH, "vocabulary_size": 64, "known_pieces": []}
    with tft_beam.Context(temp_dir=str(out / "temporary")):
        (data, _), function = (ROWS, schema) | tft_beam.AnalyzeAndTransformDataset(
            partial(preprocessing_fn, custom_config=config)
        )
        _ = function | tft_beam.WriteTransformFn(str(out))
    return data, tft.TFTransformOutput(str(out))


def vocabulary(output: tft.TFTransformOutput) -> list[str]:
    return [piece.decode() for piece in output.vocabulary_by_name(VOCABULARY)]


def test_the_vocabulary_begins_with_the_reserved_pieces_and_spells_everything(
    transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput],
) -> None:
    pieces = vocabulary(transformed[1])
    assert tuple(pieces[: len(RESERVED)]) == RESERVED
    assert len(set(pieces)) == len(pieces)
    assert set("red!▁红色圆形方块一个") <= set(pieces)
    assert {"▁red", "▁circle"} <= set(pieces)


def test_captions_become_the_ids_that_the_tokenizer_gives(
    transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput],
) -> None:
    rows, output = transformed
    tokenizer = Tokenizer(vocabulary(output), LENGTH)
    for name in ("text", "text_zh"):
        expected = tokenizer.tokenize(tf.constant([row[name] for row in ROWS])).numpy()
        np.testing.assert_array_equal([row[name] for row in rows], expected)


def test_further_captions_follow_each_other(
    transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput],
) -> None:
    rows, output = transformed
    tokenizer = Tokenizer(vocabulary(output), LENGTH)
    for row, texts in zip(rows, MORE, strict=True):
        expected = tokenizer.tokenize(tf.constant(texts)).numpy().ravel() if texts else []
        np.testing.assert_array_equal(row["more"], expected)


def test_annotations_stay_as_they_are(transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput]) -> None:
    assert [row["annotations"].tolist() for row in transformed[0]] == [[b""], ANNOTATIONS[1], [b""]]


def test_a_missing_caption_is_start_and_end(
    transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput],
) -> None:
    assert transformed[0][1]["text_zh"].tolist() == [START, END] + [PAD] * (LENGTH - 2)


def test_pictures_become_squares(transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput]) -> None:
    squares = from_bytes(tf.constant(np.array([row["image"] for row in transformed[0]], object)), SIZE)
    np.testing.assert_array_equal(squares, decode_squares(tf.constant([row["image"] for row in ROWS]), SIZE))


def test_the_graph_transforms_raw_rows_as_beam_did(
    transformed: tuple[list[dict[str, Any]], tft.TFTransformOutput],
) -> None:
    rows, output = transformed
    raw = {name: tf.constant([row[name] for row in ROWS]) for name in ("image", "text", "text_zh")}
    raw["annotations"] = tf.ragged.constant(ANNOTATIONS).to_sparse()
    raw["more"] = tf.ragged.constant([row["more"] for row in ROWS]).to_sparse()
    again = output.transform_raw_features(raw)
    np.testing.assert_array_equal(again["text"], [row["text"] for row in rows])
    np.testing.assert_array_equal(again["image"].numpy().ravel(), np.ravel([row["image"] for row in rows]))


PLAIN = {name: spec for name, spec in SPEC.items() if name not in ("more", "annotations")}


def analysed(out: Path, **settings: Any) -> tft.TFTransformOutput:
    """What Transform learns of the rows without further captions, for a vocabulary of 16 pieces."""
    rows = [{name: row[name] for name in PLAIN} for row in ROWS]
    config = {"picture_size": SIZE, "caption_length": LENGTH, "vocabulary_size": 16, "known_pieces": []} | settings
    with tft_beam.Context(temp_dir=str(out / "temporary")):
        function = (rows, DatasetMetadata.from_feature_spec(PLAIN)) | tft_beam.AnalyzeDataset(
            partial(preprocessing_fn, custom_config=config)
        )
        _ = function | tft_beam.WriteTransformFn(str(out / "out"))
    return tft.TFTransformOutput(str(out / "out"))


def test_a_small_vocabulary_is_cut_to_its_size_and_captions_without_more_have_no_place_for_it(tmp_path: Path) -> None:
    output = analysed(tmp_path)
    assert set(output.transformed_feature_spec()) == set(PLAIN)
    pieces = vocabulary(output)
    assert len(pieces) == 16
    assert tuple(pieces[: len(RESERVED)]) == RESERVED


def test_known_pieces_come_first_and_stay_whatever_the_captions_say(tmp_path: Path) -> None:
    known = ["▁cat", "猫", "▁red"]
    plain, both = vocabulary(analysed(tmp_path / "plain")), vocabulary(analysed(tmp_path / "both", known_pieces=known))
    assert both[: len(RESERVED) + 3] == [*RESERVED, *known]
    assert both[len(RESERVED) + 3 :] == [piece for piece in plain if piece not in (*RESERVED, *known)]
