import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from odd_pictures import encoded, halves, profile, turned
from PIL import Image
from reading import captioned_folder, read_into
from tfx.types.standard_artifacts import Examples

from models.pictures import decode
from serving.images import rendered
from tfx_pipeline.components.examples import NO_DIGEST, check_splits, finish
from tfx_pipeline.datasets.entries import DataSetError, Entry, fingerprint
from tfx_pipeline.datasets.folder import Reading, read_folder
from tfx_pipeline.ingesting.examples import example, serialized, trained_caption
from tfx_pipeline.ingesting.slices import EVAL_SHARE, by_split, in_tenth
from tfx_pipeline.runs.root import Root

TENTH_OF_60 = ["0", "7", "9", "10", "33", "40", "44", "51", "57", "59"]


def features(record: bytes) -> dict[str, bytes]:
    found = tf.train.Example.FromString(record).features.feature
    return {name: feature.bytes_list.value[0] for name, feature in found.items() if feature.bytes_list.value}


PICTURES = {
    "rgb": encoded(halves()),
    "jpeg": encoded(halves(), "JPEG", quality=95),
    "turned": encoded(halves(), "JPEG", exif=turned(6), quality=95),
    "palette": encoded(halves("P"), "BMP"),
    "webp": encoded(halves(), "WEBP", lossless=True),
    "16 bits": encoded(Image.fromarray(np.arange(256, dtype=np.uint16)[None] * 257)),
    "key": encoded(halves(), transparency=(255, 0, 0)),
    "profile": encoded(halves(), icc_profile=profile()),
    "rubbish": encoded(halves(), exif=b"Exif\0\0garbage!"),
}


@pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES)
def test_the_graph_sees_what_the_reader_does(data: bytes) -> None:
    picture, portable = rendered(data)
    np.testing.assert_allclose(decode(tf.constant(portable)).numpy().astype(int), np.asarray(picture), atol=3)


def test_a_tenth_is_the_same_tenth_everywhere() -> None:
    assert [key for key in map(str, range(60)) if in_tenth(key)] == TENTH_OF_60


def test_a_tenth_is_about_a_tenth() -> None:
    share = np.mean([in_tenth(f"images/{number:06}.png") for number in range(20_000)])
    assert abs(share - 1 / EVAL_SHARE) < 0.01


def held_out(entries: Sequence[Entry]) -> list[str]:
    _, kept = by_split(entries)
    return [entry.file_name for entry in kept]


def test_withheld_entries_are_the_eval_split_where_there_are_any() -> None:
    names = [f"{number}" for number in range(60)]
    assert held_out([Entry(name, "a", withheld=name == "1") for name in names]) == ["1"]
    assert held_out([Entry(name, "a") for name in names]) == TENTH_OF_60
    assert held_out([]) == []


def test_of_a_handful_one_is_held_out_wherever_it_stands() -> None:
    handful = [Entry(name, "a") for name in "1234"]
    assert not any(in_tenth(entry.file_name) for entry in handful)
    (kept,) = held_out(handful)
    assert held_out(handful[::-1]) == [kept]


@pytest.mark.parametrize("withheld", [True, False])
def test_a_split_without_pictures_is_refused(withheld: bool) -> None:
    entries = (Entry("a.png", "a", withheld=withheld),) * 3
    told = rf"has {0 if withheld else 3} pictures to train on and {3 if withheld else 0} held out .* at least 1 of each"
    with pytest.raises(DataSetError, match=told):
        check_splits(Reading(Path("pictures"), entries, ()))


def numbers(record: bytes) -> dict[str, float]:
    found = tf.train.Example.FromString(record).features.feature
    return {
        name: value
        for name, feature in found.items()
        for value in (*feature.int64_list.value, *feature.float_list.value)
    }


def record(data: bytes, entry: Entry, *attributes: str) -> bytes:
    picture, portable = rendered(data)
    return serialized(entry, portable, picture, frozenset(attributes))


def test_an_entry_becomes_an_example() -> None:
    row = features(record(PICTURES["webp"], Entry("a.webp", "half red, half blue", "一半红一半蓝")))
    assert {name: row[name].decode() for name in ("file_name", "text", "text_zh", "size")} == {
        "file_name": "a.webp",
        "text": "half red, half blue",
        "text_zh": "一半红一半蓝",
        "size": "up to 32",
    }
    with Image.open(io.BytesIO(row["image"])) as picture:
        assert (picture.format, picture.size) == ("PNG", (16, 8))


def test_an_example_says_what_data_are_watched_by() -> None:
    made = record(PICTURES["rgb"], Entry("a.png", "Half red, half blue", "红"))
    told = numbers(made)
    assert (told["width"], told["height"], told["caption_length"]) == (16, 8, 20)
    assert (told["red"], told["green"], told["blue"]) == pytest.approx((127.5, 0, 127.5), abs=1)
    assert told["brightness"] == pytest.approx(85, abs=1)
    words = tf.train.Example.FromString(made).features.feature["words"].bytes_list.value
    assert [word.decode() for word in words] == ["half", "red,", "blue", "红"]


def test_data_are_watched_as_they_are_trained_on() -> None:
    keyed, sideways = (numbers(record(PICTURES[name], Entry("a.png", "a"))) for name in ("key", "turned"))
    assert (keyed["red"], keyed["green"], keyed["blue"]) == pytest.approx((127.5, 127.5, 255), abs=1)
    assert (sideways["width"], sideways["height"]) == (8, 16)


def test_the_attributes_that_are_asked_for_are_kept() -> None:
    entry = Entry("a.png", "red", attributes={"colour": "red", "open": ["size"], "shape": "disc"})
    row = features(record(PICTURES["rgb"], entry, "attribute.colour", "attribute.open"))
    assert {name for name in row if name.startswith("attribute")} == {"attribute.colour"}
    assert (row["attribute.colour"], row["language"]) == (b"red", b"en")


def test_the_same_example_has_the_same_bytes() -> None:
    assert example(a=b"1", b=b"2", c=b"3") == example(c=b"3", b=b"2", a=b"1")


# Through TFX


def split(root: Path, component: str, name: str) -> list[dict[str, bytes]]:
    files, zipped = files_of(root, component, name), "GZIP" if component == "TextExampleGen" else ""
    return [features(record.numpy()) for record in tf.data.TFRecordDataset(files, compression_type=zipped)]


def files_of(root: Path, component: str, name: str) -> list[str]:
    (folder,) = (root / "pipeline" / component / "examples").iterdir()
    return sorted(map(str, (folder / f"Split-{name}").iterdir()))


def test_the_component_writes_every_picture_once(reading_run: Path) -> None:
    train, held = (split(reading_run, "FolderExampleGen", name) for name in ("train", "eval"))
    names = [row["file_name"].decode() for row in (*train, *held)]
    assert sorted(names) == [f"{number:02}.png" for number in range(1, 24)]
    assert sorted(row["file_name"].decode() for row in held) == ["20.png", "21.png"]
    assert {row["text_zh"].decode() for row in train} <= {"", "红"}


def test_the_component_keeps_all_captions_of_a_picture(reading_run: Path) -> None:
    (first,) = (
        tf.train.Example.FromString(record.numpy()).features.feature
        for record in tf.data.TFRecordDataset(files_of(reading_run, "FolderExampleGen", "train"))
        if features(record.numpy())["file_name"] == b"01.png"
    )
    assert (first["text"].bytes_list.value[0], list(first["more"].bytes_list.value)) == (
        b"red number 1",
        [b"nearly black", b"dark"],
    )


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
    with pytest.raises(DataSetError, match="changed while it was being read: wait until nothing writes to it"):
        read_into(Root(tmp_path), folder, tmp_path / "lines.txt", known_as)


def test_the_component_splits_lines(reading_run: Path) -> None:
    train, held = (split(reading_run, "TextExampleGen", name) for name in ("train", "eval"))
    lines = [row["line"].decode() for row in (*train, *held)]
    assert sorted(lines, key=int) == [str(number) for number in range(60)]
    assert sorted((row["line"].decode() for row in held), key=int) == TENTH_OF_60


@pytest.mark.parametrize("told", [[], [(0, NO_DIGEST.hex(), None), (1, NO_DIGEST.hex(), None)]], ids=["root", "folder"])
def test_workers_that_do_not_see_the_disk_are_told_apart_from_changes(tmp_path: Path, told: list[Any]) -> None:
    reading = read_folder(captioned_folder(tmp_path / "pictures", 3), decode=False)
    with pytest.raises(DataSetError, match=r"Beam's workers returned none of the 3 pictures in .*: they must see"):
        finish(Examples(), reading, told, "abc", 0.5)
