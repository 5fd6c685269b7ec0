import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from reading import captioned_folder, read_into
from tfx.types.standard_artifacts import Examples

from tfx_pipeline.datasets.folder import DataSetError, Entry, fingerprint, open_picture, read_folder
from tfx_pipeline.ingesting.examples import (
    NO_DIGEST,
    example,
    finish,
    graph_readable,
    serialized,
    text_lines,
    trained_caption,
)
from tfx_pipeline.ingesting.slices import EVAL_SHARE, in_tenth, is_eval
from tfx_pipeline.runs.root import Root

TURNED = 6  # EXIF: the camera was held upright, the rows are its columns.
TENTH_OF_60 = ["0", "7", "9", "10", "33", "40", "44", "51", "57", "59"]


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """What TensorFlow makes of it, as the graph does."""
    return tf.io.decode_image(graph_readable(data), channels=3, expand_animations=False).numpy()


def halves(mode: str = "RGB") -> Image.Image:
    """16 wide, 8 high; red at the left, blue at the right."""
    picture = Image.new("RGB", (16, 8), "blue")
    picture.paste("red", (0, 0, 8, 8))
    return picture.convert(mode)


def features(record: bytes) -> dict[str, bytes]:
    found = tf.train.Example.FromString(record).features.feature
    return {name: feature.bytes_list.value[0] for name, feature in found.items() if feature.bytes_list.value}


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "L")])
def test_what_tensorflow_reads_stays_as_it_was(kind: str, mode: str) -> None:
    data = encoded(halves(mode), kind)
    assert graph_readable(data) == data


def test_a_picture_that_was_taken_upright_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = TURNED
    turned = decoded(encoded(halves(), "JPEG", exif=exif, quality=95))
    assert turned.shape == (16, 8, 3)
    assert turned[:6].mean((0, 1)).argmax() == 0
    assert turned[10:].mean((0, 1)).argmax() == 2


def test_an_upright_jpeg_with_exif_stays_as_it_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    data = encoded(halves(), "JPEG", exif=exif)
    assert graph_readable(data) == data


def test_transparency_is_laid_on_white() -> None:
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    picture.putpixel((0, 0), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 128))
    pixels = decoded(encoded(picture, "PNG"))
    np.testing.assert_array_equal(pixels[0, 0], [255, 0, 0])
    np.testing.assert_allclose(pixels[0, 1].astype(int), [127] * 3, atol=1)
    np.testing.assert_array_equal(pixels[1], np.full((4, 3), 255))


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGB", {"lossless": True}),
        ("BMP", "RGB", {}),
        ("GIF", "P", {}),
        ("PNG", "P", {}),
        ("PNG", "LA", {}),
        ("PNG", "1", {"dither": 0}),
        ("JPEG", "CMYK", {"quality": 95}),
    ],
)
def test_every_other_kind_keeps_its_colours(kind: str, mode: str, options: dict[str, object]) -> None:
    picture = halves(mode)
    expected = np.asarray(picture.convert("RGB")).astype(int)
    np.testing.assert_allclose(decoded(encoded(picture, kind, **options)).astype(int), expected, atol=6)


def test_sixteen_bits_of_grey_keep_their_tones() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    pixels = decoded(encoded(Image.fromarray(ramp), "PNG"))
    np.testing.assert_allclose(pixels[0, :, 0].astype(int), np.arange(256), atol=1)


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    pixels = decoded(encoded(picture, "PNG", transparency=1))
    np.testing.assert_array_equal(pixels[0], [[255, 0, 0], [255, 255, 255]])


def test_a_tenth_is_the_same_tenth_everywhere() -> None:
    assert [key for key in map(str, range(60)) if in_tenth(key)] == TENTH_OF_60


def test_a_tenth_is_about_a_tenth() -> None:
    share = np.mean([in_tenth(f"images/{number:06}.png") for number in range(20_000)])
    assert abs(share - 1 / EVAL_SHARE) < 0.01


def test_withheld_entries_are_the_eval_split_where_there_are_any() -> None:
    names = [f"{number}" for number in range(60)]
    marked = [Entry(name, "a", withheld=name == "1") for name in names]
    assert [entry.file_name for entry in marked if is_eval(entry, any_withheld=True)] == ["1"]
    assert [name for name in names if is_eval(Entry(name, "a"), any_withheld=False)] == TENTH_OF_60


def numbers(record: bytes) -> dict[str, float]:
    found = tf.train.Example.FromString(record).features.feature
    return {
        name: value
        for name, feature in found.items()
        for value in (*feature.int64_list.value, *feature.float_list.value)
    }


def record(picture: Image.Image, entry: Entry, *attributes: str, kind: str = "PNG") -> bytes:
    data = encoded(picture, kind, lossless=True)
    return serialized(entry, data, open_picture(data), frozenset(attributes))


def test_an_entry_becomes_an_example() -> None:
    row = features(record(halves(), Entry("a.webp", "half red, half blue", "一半红一半蓝"), kind="WEBP"))
    assert {name: row[name].decode() for name in ("file_name", "text", "text_zh", "size")} == {
        "file_name": "a.webp",
        "text": "half red, half blue",
        "text_zh": "一半红一半蓝",
        "size": "up to 32",
    }
    with Image.open(io.BytesIO(row["image"])) as picture:
        assert (picture.format, picture.size) == ("PNG", (16, 8))


def test_an_example_says_what_data_are_watched_by() -> None:
    made = record(halves(), Entry("a.png", "Half red, half blue", "红"))
    told = numbers(made)
    assert (told["width"], told["height"], told["caption_length"]) == (16, 8, 20)
    assert (told["red"], told["green"], told["blue"]) == pytest.approx((127.5, 0, 127.5), abs=1)
    assert told["brightness"] == pytest.approx(85, abs=1)
    words = tf.train.Example.FromString(made).features.feature["words"].bytes_list.value
    assert [word.decode() for word in words] == ["half", "red,", "blue", "红"]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "LA", "RGBA", "1", "I;16"])
def test_every_kind_of_picture_has_a_mean_colour(mode: str) -> None:
    grey = np.full((8, 8), 40_000, np.uint16)
    picture = Image.fromarray(grey) if mode == "I;16" else Image.new("L", (8, 8), 156).convert(mode)
    colours = numbers(record(picture, Entry("a.png", "grey")))
    # A picture of two tones comes near by its pattern.
    near = 10 if mode == "1" else 2
    assert [colours[name] for name in ("red", "green", "blue", "brightness")] == pytest.approx([156] * 4, abs=near)


def test_the_attributes_that_are_asked_for_are_kept() -> None:
    entry = Entry("a.png", "red", attributes={"colour": "red", "open": ["size"], "shape": "disc"})
    row = features(record(halves(), entry, "attribute.colour", "attribute.open"))
    assert {name for name in row if name.startswith("attribute")} == {"attribute.colour"}
    assert (row["attribute.colour"], row["language"]) == (b"red", b"en")


def test_the_same_example_has_the_same_bytes() -> None:
    assert example(a=b"1", b=b"2", c=b"3") == example(c=b"3", b=b"2", a=b"1")


def test_blank_lines_are_no_texts(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_bytes("  one\n\n \t\n二\r\nthree".encode())
    assert list(text_lines(str(tmp_path / "lines.txt"))) == ["one", "二", "three"]


# Through TFX


def split(root: Path, component: str, name: str) -> list[dict[str, bytes]]:
    (folder,) = (root / "pipeline" / component / "examples").iterdir()
    files: Iterable[str] = map(str, sorted((folder / f"Split-{name}").iterdir()))
    zipped = "GZIP" if component == "TextExampleGen" else ""
    return [features(record.numpy()) for record in tf.data.TFRecordDataset(list(files), compression_type=zipped)]


def test_the_component_writes_every_picture_once(reading_run: Path) -> None:
    train, held = (split(reading_run, "FolderExampleGen", name) for name in ("train", "eval"))
    names = [row["file_name"].decode() for row in (*train, *held)]
    assert sorted(names) == [f"{number:02}.png" for number in range(1, 24)]
    assert sorted(row["file_name"].decode() for row in held) == ["20.png", "21.png"]
    assert {row["text_zh"].decode() for row in train} <= {"", "红"}


def test_the_component_lists_what_it_set_aside(reading_run: Path) -> None:
    (file,) = (reading_run / "pipeline/FolderExampleGen/examples").glob("*/quarantine.jsonl")
    (row,) = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert row["file_name"] == "00.png"
    assert row["reason"]


def test_nothing_of_the_looking_is_left_beside_the_examples(reading_run: Path) -> None:
    (folder,) = (reading_run / "pipeline/FolderExampleGen/examples").iterdir()
    assert {path.name for path in folder.iterdir()} == {"Split-train", "Split-eval", "quarantine.jsonl"}


def test_the_caption_to_try_is_of_a_picture_that_is_trained_on() -> None:
    entries = [Entry("a.png", "a", withheld=True), Entry("b.png", "a star"), Entry("c.png", "", "红色")]
    assert trained_caption(entries) == "红色"
    assert trained_caption(entries[:1]) == ""


def test_a_folder_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    folder = captioned_folder(tmp_path / "pictures", 24)
    known_as = fingerprint(folder, read_folder(folder, decode=False).entries)
    Image.new("RGB", (8, 8), "blue").save(folder / "07.png")
    with pytest.raises(DataSetError, match="has changed while it was read: let whatever writes there finish"):
        read_into(Root(tmp_path), folder, tmp_path / "lines.txt", known_as)


def test_the_component_splits_lines(reading_run: Path) -> None:
    train, held = (split(reading_run, "TextExampleGen", name) for name in ("train", "eval"))
    lines = [row["line"].decode() for row in (*train, *held)]
    assert sorted(lines, key=int) == [str(number) for number in range(60)]
    assert sorted((row["line"].decode() for row in held), key=int) == TENTH_OF_60


@pytest.mark.parametrize("told", [[], [(0, NO_DIGEST.hex(), None), (1, NO_DIGEST.hex(), None)]], ids=["root", "folder"])
def test_workers_that_do_not_see_the_disk_are_told_apart_from_changes(tmp_path: Path, told: list[Any]) -> None:
    reading = read_folder(captioned_folder(tmp_path / "pictures", 3), decode=False)
    with pytest.raises(
        DataSetError, match=r"Of the 3 pictures in .* none came back from Beam's workers: they must see"
    ):
        finish(Examples(), reading, told, "abc", 0.5)
