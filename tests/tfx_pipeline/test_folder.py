import csv
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from tfx_pipeline.datasets.entries import (
    DataSetError,
    Entry,
    Kind,
    Objects,
    Quarantined,
    ReadLimits,
    RefusedError,
    fingerprint,
    write_metadata,
    write_quarantine,
)
from tfx_pipeline.datasets.folder import Reading, check_quarantine, open_picture, read_folder

FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF"}


def encoded(kind: str = "PNG", *, size: tuple[int, int] = (8, 6), colour: str = "red") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def put(root: Path, name: str, data: bytes | None = None) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded() if data is None else data)
    return path


def table(root: Path, *rows: object) -> None:
    """A metadata.jsonl; a row is an object to write as JSON, or the bytes of a whole line."""
    lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    put(root, "metadata.jsonl", b"\n".join(lines) + b"\n")


def csv_table(root: Path, *rows: list[str]) -> None:
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def only(reading: Reading) -> Quarantined:
    assert reading.entries == ()
    assert len(reading.quarantined) == 1
    return reading.quarantined[0]


# The layouts


def test_a_jsonl_gives_its_entries_in_order(tmp_path: Path) -> None:
    put(tmp_path, "images/b.png")
    put(tmp_path, "images/a.png")
    table(
        tmp_path,
        {"file_name": "images/b.png", "text": "a bee", "text_zh": "蜜蜂", "attributes": {"legs": 6}, "withheld": True},
        {"file_name": "images/a.png", "text": "an ant"},
    )
    assert read_folder(tmp_path) == Reading(
        tmp_path,
        (Entry("images/b.png", "a bee", "蜜蜂", {"legs": 6}, True), Entry("images/a.png", "an ant")),
        (),
    )


def test_a_csv_gives_the_same_as_a_jsonl(tmp_path: Path) -> None:
    put(tmp_path, "b.png")
    put(tmp_path, "a.png")
    csv_table(
        tmp_path,
        ["file_name", "text", "text_zh", "attributes", "withheld"],
        ["b.png", 'a bee, "striped"\nand loud', "蜜蜂", '{"legs": 6}', "true"],
        ["a.png", "an ant", "", "", ""],
    )
    assert read_folder(tmp_path).entries == (
        Entry("b.png", 'a bee, "striped"\nand loud', "蜜蜂", {"legs": 6}, True),
        Entry("a.png", "an ant"),
    )


def test_texts_beside_pictures_are_captions(tmp_path: Path) -> None:
    put(tmp_path, "one/bee.png")
    put(tmp_path, "one/bee.txt", b"a bee\n")
    put(tmp_path, "one/bee.zh.txt", "蜜蜂\n".encode())
    put(tmp_path, "ANT.JPG", encoded("JPEG"))
    put(tmp_path, "ANT.TXT", b"\xef\xbb\xbfan ant\r\n")
    put(tmp_path, "README.txt", b"my pictures")
    assert read_folder(tmp_path) == Reading(
        tmp_path, (Entry("ANT.JPG", "an ant"), Entry("one/bee.png", "a bee", "蜜蜂")), (), {"README.txt": 1}
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"a.{suffix}", encoded(FORMATS[suffix]))
    put(tmp_path, "a.txt", b"red")
    assert read_folder(tmp_path).entries == (Entry(f"a.{suffix}", "red"),)


def test_the_content_decides_the_format_not_the_name(tmp_path: Path) -> None:
    put(tmp_path, "a.png", encoded("JPEG"))
    table(tmp_path, {"file_name": "a.png", "text": "red"})
    assert len(read_folder(tmp_path).entries) == 1


def test_line_ends_marks_and_separators_do_not_break_a_jsonl(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, f"{name}.png")
    caption = "one\u2028two\x85three"
    rows = [json.dumps({"file_name": f"{n}.png", "text": caption}, ensure_ascii=False).encode() for n in "abc"]
    put(tmp_path, "metadata.jsonl", b"\xef\xbb\xbf" + rows[0] + b"\r\n\r\n" + rows[1] + b"\n" + rows[2])
    assert [entry.text for entry in read_folder(tmp_path).entries] == [caption] * 3


def test_blank_and_null_columns_are_absent_ones(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    table(tmp_path, {"file_name": "./a.png", "text": "red", "text_zh": " ", "attributes": None, "withheld": None})
    assert read_folder(tmp_path).entries == (Entry("a.png", "red"),)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    objects = Objects(bbox=((1.0, 2.5, 3.0, 4.0),), categories=(("bee", "flying"),), nearness=(0.5,))
    bee = Entry("b.png", "a bee", "蜜蜂", {"legs": [6]}, True, ("an insect", "昆虫"), objects, ("garden", "day"))
    ant, nothing = Entry("a.png", "an ant"), Entry("d.png", "nothing", objects=Objects(bbox=()))
    entries = (bee, ant, nothing, Entry("c.png", "", "猫", more=("动物",)))
    for entry in entries:
        put(tmp_path, entry.file_name)
    write_metadata(tmp_path / "metadata.jsonl", entries)
    assert read_folder(tmp_path).entries == entries
    assert "蜜蜂" in (tmp_path / "metadata.jsonl").read_text("utf-8")


# What is set aside, one at a time


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises its pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    empty = b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, empty)
    )


def jpeg_header(width: int, height: int) -> bytes:
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def gif_header(width: int, height: int) -> bytes:
    return encoded("GIF")[:6] + struct.pack("<HH", width, height) + encoded("GIF")[10:]


def bmp_header(width: int, height: int) -> bytes:
    return encoded("BMP")[:18] + struct.pack("<II", width, height) + encoded("BMP")[26:]


BOMBS = {"png": png_header, "jpg": jpeg_header, "gif": gif_header, "bmp": bmp_header}


@pytest.mark.parametrize("suffix", BOMBS)
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"a.{suffix}", BOMBS[suffix](60_000, 60_000))
    table(tmp_path, {"file_name": f"a.{suffix}", "text": "red"})
    refused = only(read_folder(tmp_path))
    assert refused.kind == Kind.TOO_LARGE
    assert refused.reason == (
        "The picture has 60,000 x 60,000 pixels, 3,600 megapixels, and at most 64 are allowed; make it smaller."
    )


def test_the_pixel_limit_is_the_readers_own(tmp_path: Path) -> None:
    put(tmp_path, "a.png", encoded(size=(10, 10)))
    table(tmp_path, {"file_name": "a.png", "text": "red"})
    assert len(read_folder(tmp_path, limits=ReadLimits(max_pixels=100)).entries) == 1
    assert only(read_folder(tmp_path, limits=ReadLimits(max_pixels=99))).kind == Kind.TOO_LARGE


def test_a_gif_frame_larger_than_its_screen_counts_by_the_frame(tmp_path: Path) -> None:
    data = bytearray(encoded("GIF"))
    at = data.index(b",", 13)
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    put(tmp_path, "a.gif", bytes(data))
    table(tmp_path, {"file_name": "a.gif", "text": "red"})
    assert only(read_folder(tmp_path)).kind == Kind.TOO_LARGE


NOISE = Image.effect_noise((64, 64), 80).convert("RGB")


def noise(kind: str) -> bytes:
    stream = io.BytesIO()
    NOISE.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_picture_is_set_aside(tmp_path: Path, suffix: str) -> None:
    whole = noise(FORMATS[suffix])
    put(tmp_path, f"a.{suffix}", whole[: len(whole) // 2])
    table(tmp_path, {"file_name": f"a.{suffix}", "text": "red"})
    refused = only(read_folder(tmp_path))
    assert refused.kind == Kind.UNREADABLE
    assert refused.reason.startswith("The picture cannot be decoded: ")


def test_what_is_no_picture_is_set_aside(tmp_path: Path) -> None:
    put(tmp_path, "a.png", b"just some words")
    table(tmp_path, {"file_name": "a.png", "text": "red"})
    refused = only(read_folder(tmp_path))
    assert (refused.file_name, refused.kind) == ("a.png", Kind.FORMAT)
    assert refused.reason.startswith("The file holds text; only PNG, JPEG, WebP")


def test_values_of_no_known_range_are_set_aside(tmp_path: Path) -> None:
    Image.new("F", (8, 8), 0.5).save(tmp_path / "a.tif")
    put(tmp_path, "a.txt", b"grey")
    assert only(read_folder(tmp_path)).kind == Kind.UNREADABLE


def test_an_svg_with_a_caption_beside_it_is_set_aside(tmp_path: Path) -> None:
    put(tmp_path, "a.svg", b"<svg/>")
    put(tmp_path, "a.txt", b"red")
    assert only(read_folder(tmp_path)).kind == Kind.FORMAT


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"text": ""}, Kind.EMPTY_CAPTION, "The caption is empty; write one. (metadata.jsonl line 1)"),
        ({"text": " \u3000\n"}, Kind.EMPTY_CAPTION, "The caption is empty; write one. (metadata.jsonl line 1)"),
        ({"text": "\u200b"}, Kind.EMPTY_CAPTION, "The caption is empty; write one. (metadata.jsonl line 1)"),
        ({"text": ["", None]}, Kind.EMPTY_CAPTION, "The caption is empty; write one. (metadata.jsonl line 1)"),
        (
            {"label": "red"},
            Kind.EMPTY_CAPTION,
            "No caption is among file_name, label; call its column text, caption or prompt. (metadata.jsonl line 1)",
        ),
        (
            {"text": "a\0b"},
            Kind.ENCODING,
            "text holds a NUL, like text in another encoding; save the file as UTF-8. (metadata.jsonl line 1)",
        ),
        (
            {"text": 3},
            Kind.BROKEN_LINE,
            "text holds a number, and must hold a string or a list of strings. (metadata.jsonl line 1)",
        ),
        (
            {"text": "a", "text_zh": ["a", 3]},
            Kind.BROKEN_LINE,
            "text_zh holds a list with a number, and must hold a string or a list of strings. (metadata.jsonl line 1)",
        ),
        (
            {"text": "a", "attributes": "round"},
            Kind.BROKEN_LINE,
            "attributes holds a string, and must hold an object. (metadata.jsonl line 1)",
        ),
        (
            {"text": "a", "withheld": "no"},
            Kind.BROKEN_LINE,
            "withheld holds a string, and must hold true or false. (metadata.jsonl line 1)",
        ),
        (
            {"text": "x" * 65_537},
            Kind.LONG_CAPTION,
            "text takes 65,537 bytes, and at most 65,536 are allowed. (metadata.jsonl line 1)",
        ),
    ],
)
def test_a_caption_that_is_none(tmp_path: Path, row: dict[str, object], kind: Kind, reason: str) -> None:
    put(tmp_path, "a.png")
    table(tmp_path, {"file_name": "a.png", **row})
    assert only(read_folder(tmp_path)) == Quarantined("a.png", reason, kind)


@pytest.mark.parametrize("column", ["text", "text_zh"])
def test_a_caption_that_is_not_utf8_in_a_jsonl(tmp_path: Path, column: str) -> None:
    put(tmp_path, "a.png")
    line = json.dumps({"file_name": "a.png", "text": "ok", column: "né@"}, ensure_ascii=False)
    table(tmp_path, line.encode().replace(b"@", b"\xe9"))
    refused = only(read_folder(tmp_path))
    assert refused.kind == Kind.ENCODING
    assert refused.reason == f"{column} is not UTF-8 at its byte 3; save the file as UTF-8. (metadata.jsonl line 1)"


def test_a_caption_that_is_not_utf8_in_a_csv(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "metadata.csv", "file_name,text\na.png,caf\xe9\n".encode("latin-1"))
    refused = only(read_folder(tmp_path))
    assert refused.kind == Kind.ENCODING
    assert refused.reason == "text is not UTF-8 at its byte 3; save the file as UTF-8. (metadata.csv line 2)"


@pytest.mark.parametrize("name", ["a.txt", "a.zh.txt"])
def test_a_caption_that_is_not_utf8_beside_its_picture(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "a.txt", b"red")
    put(tmp_path, name, "caf\xe9".encode("latin-1"))
    reason = f"{name} is not UTF-8 at its byte 3; save the file as UTF-8."
    assert only(read_folder(tmp_path)) == Quarantined("a.png", reason, Kind.ENCODING)


def test_half_a_letter_by_escape_is_not_utf8(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    table(tmp_path, rb'{"file_name": "a.png", "text": "a \ud83d b"}')
    assert only(read_folder(tmp_path)).kind == Kind.ENCODING


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"file_name": "a.png", "text": ', "metadata.jsonl line 2 is not JSON: Expecting value"),
        (b'{"file_name": "a.png", "text": "a", "attributes": {"x": NaN}}', "metadata.jsonl line 2 is not JSON: NaN"),
        (b"[" * 100_000, "metadata.jsonl line 2 is not JSON: "),
        (b'["a.png", "red"]', "metadata.jsonl line 2 holds a list, and must hold an object."),
        (b'{"text": "red"}', "metadata.jsonl line 2 has no file_name; write one."),
        (b'{"file_name": "", "text": "red"}', "metadata.jsonl line 2 has no file_name; write one."),
        (b'{"file_name": 7, "text": "red"}', "metadata.jsonl line 2 has no file_name; write one."),
    ],
)
def test_a_broken_line_is_told_by_its_number_and_the_rest_is_read(tmp_path: Path, line: bytes, told: str) -> None:
    put(tmp_path, "b.png")
    table(tmp_path, {"file_name": "b.png", "text": "blue"}, line)
    reading = read_folder(tmp_path)
    assert [entry.file_name for entry in reading.entries] == ["b.png"]
    assert [(item.file_name, item.kind) for item in reading.quarantined] == [("metadata.jsonl", Kind.BROKEN_LINE)]
    assert reading.quarantined[0].reason.startswith(told)


@pytest.mark.parametrize(
    ("lines", "name", "told"),
    [
        ("a.png,a dog, running\n", "a.png", "metadata.csv line 2 has 3 columns and the header 2; put a caption"),
        ("a.png\n", "a.png", "metadata.csv line 2 has 1 columns and the header 2"),
        (",red\n", "metadata.csv", "metadata.csv line 2 has no file_name"),
        ('a.png,"never closed\n', "metadata.csv", "metadata.csv line 2 is broken: unexpected end of data"),
        ('a.png,"closed" too soon\n', "metadata.csv", "metadata.csv line 2 is broken: "),
    ],
)
def test_a_broken_row_of_a_csv(tmp_path: Path, lines: str, name: str, told: str) -> None:
    put(tmp_path, "metadata.csv", ("file_name,text\n" + lines).encode())
    refused = only(read_folder(tmp_path))
    assert (refused.file_name, refused.kind) == (name, Kind.BROKEN_LINE)
    assert refused.reason.startswith(told)


def test_a_broken_row_does_not_take_the_next_with_it(tmp_path: Path) -> None:
    put(tmp_path, "b.png")
    put(tmp_path, "metadata.csv", b'file_name,text\na.png,"closed" too soon\nb.png,blue\n')
    reading = read_folder(tmp_path)
    assert reading.entries == (Entry("b.png", "blue"),)
    assert len(reading.quarantined) == 1


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("withheld", "perhaps", "withheld holds 'perhaps', and must hold true or false. (metadata.csv line 2)"),
        ("attributes", "{round}", "attributes holds a string, and must hold an object. (metadata.csv line 2)"),
        ("attributes", "[1]", "attributes holds a list, and must hold an object. (metadata.csv line 2)"),
    ],
)
def test_a_csv_cell_that_cannot_be_understood(tmp_path: Path, column: str, value: str, told: str) -> None:
    csv_table(tmp_path, ["file_name", "text", column], ["a.png", "red", value])
    refused = only(read_folder(tmp_path))
    assert (refused.file_name, refused.kind) == ("a.png", Kind.BROKEN_LINE)
    assert refused.reason.startswith(told)


@pytest.mark.parametrize("name", ["../a.png", "images/../../a.png", "/etc/hostname", "..\\a.png", "a\0.png", "."])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "set").mkdir()
    table(tmp_path / "set", {"file_name": name, "text": "red"})
    refused = only(read_folder(tmp_path / "set"))
    assert (refused.file_name, refused.kind) == (name, Kind.ESCAPES)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "outside/b.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "set/folder").symlink_to(tmp_path / "outside")
    table(tmp_path / "set", {"file_name": "a.png", "text": "a"}, {"file_name": "folder/b.png", "text": "b"})
    reading = read_folder(tmp_path / "set")
    assert reading.entries == ()
    assert [item.kind for item in reading.quarantined] == [Kind.ESCAPES] * 2


def test_a_caption_linked_from_outside_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "secret", b"not for captions")
    put(tmp_path, "set/a.png")
    (tmp_path / "set/a.txt").symlink_to(tmp_path / "secret")
    assert only(read_folder(tmp_path / "set")).kind == Kind.ESCAPES


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "store/a.png")
    (tmp_path / "b.png").symlink_to("store/a.png")
    table(tmp_path, {"file_name": "b.png", "text": "b"}, {"file_name": "store/a.png", "text": "a"})
    assert len(read_folder(tmp_path).entries) == 2


def test_a_data_set_behind_a_link_is_read(tmp_path: Path) -> None:
    put(tmp_path, "real/a.png")
    table(tmp_path / "real", {"file_name": "a.png", "text": "a"})
    (tmp_path / "link").symlink_to("real")
    assert len(read_folder(tmp_path / "link").entries) == 1


def test_a_missing_picture(tmp_path: Path) -> None:
    table(tmp_path, {"file_name": "a.png", "text": "red"})
    assert only(read_folder(tmp_path)) == Quarantined("a.png", "The file a.png is not in the folder.", Kind.MISSING)


def test_a_caption_without_a_picture_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "a.txt", b"red")
    put(tmp_path, "sub/b.txt", b"blue")
    reading = read_folder(tmp_path)
    reason = "There is no picture for this caption; add one, such as b.png."
    assert reading.quarantined == (Quarantined("sub/b.txt", reason, Kind.MISSING),)


def test_a_picture_named_twice_with_other_attributes_keeps_the_first(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    first = {"file_name": "a.png", "text": "first"}
    others = {"attributes": {"legs": 6}}, {"withheld": True}, {"tags": "red"}, {"objects": {"bbox": []}}
    table(tmp_path, first, *({**first, "text": "second", **other} for other in others))
    reading = read_folder(tmp_path)
    assert reading.entries == (Entry("a.png", "first"),)
    assert [(item.file_name, item.kind) for item in reading.quarantined] == [("a.png", Kind.DUPLICATE)]


@pytest.mark.parametrize("layout", ["jsonl", "sidecar"])
def test_a_picture_that_no_caption_names(tmp_path: Path, layout: str) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "sub/b.webp")
    if layout == "jsonl":
        table(tmp_path, {"file_name": "a.png", "text": "red"})
    else:
        put(tmp_path, "a.txt", b"red")
    reading = read_folder(tmp_path)
    reason = "No caption names this picture; write one, or remove the picture."
    assert reading.quarantined == (Quarantined("sub/b.webp", reason, Kind.UNCAPTIONED),)


def test_a_file_of_too_many_bytes_is_not_opened(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    table(tmp_path, {"file_name": "a.png", "text": "red"})
    refused = only(read_folder(tmp_path, limits=ReadLimits(max_bytes=10)))
    assert refused.kind == Kind.TOO_LARGE
    assert refused.reason.endswith("and at most 10 are allowed.")


def test_a_film_named_txt_is_not_read(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "a.txt", b"x" * 200)
    assert only(read_folder(tmp_path, limits=ReadLimits(max_caption_bytes=64))).kind == Kind.LONG_CAPTION


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    table(tmp_path, {"file_name": "a.png", "text": "red"}, {"file_name": "b.png", "text": "blue"})
    assert [item.kind for item in read_folder(tmp_path).quarantined] == [Kind.FORMAT] * 2


def test_a_name_that_is_not_utf8_is_set_aside_and_can_be_listed(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "a.txt", b"red")
    put(tmp_path, os.fsdecode(b"caf\xe9.png"))
    put(tmp_path, os.fsdecode(b"caf\xe9.txt"), b"coffee")
    reading = read_folder(tmp_path)
    assert [item.kind for item in reading.quarantined] == [Kind.NAME]
    write_quarantine(tmp_path / "list.jsonl", reading.quarantined)
    row = json.loads((tmp_path / "list.jsonl").read_text("utf-8"))
    assert os.fsencode(row["file_name"]) == b"caf\xe9.png"


# The whole folder


def mixed(root: Path, good: int, bad: int) -> Path:
    for number in range(good + bad):
        put(root, f"{number:04}.png", encoded() if number < good else b"broken")
    table(root, *({"file_name": f"{number:04}.png", "text": f"number {number}"} for number in range(good + bad)))
    return root


def test_threads_keep_the_order_and_tell_their_progress(tmp_path: Path) -> None:
    mixed(tmp_path, 600, 3)
    told: list[tuple[str, int, int]] = []
    one = read_folder(tmp_path, workers=1)
    four = read_folder(tmp_path, workers=4, progress=lambda *step: told.append(step))
    assert one == four
    assert [entry.text for entry in four.entries] == [f"number {number}" for number in range(600)]
    assert told == [("checking pictures", done, 603) for done in (256, 512, 603)]


def test_without_decoding_only_what_lies_there_is_checked(tmp_path: Path) -> None:
    mixed(tmp_path, 1, 1)
    table(tmp_path, *({"file_name": f"{name}.png", "text": name} for name in ("0000", "0001", "gone")))
    reading = read_folder(tmp_path, decode=False)
    assert [entry.file_name for entry in reading.entries] == ["0000.png", "0001.png"]
    assert [item.kind for item in reading.quarantined] == [Kind.MISSING]


def test_the_share_and_the_kinds_are_counted(tmp_path: Path) -> None:
    reading = read_folder(mixed(tmp_path, 6, 2))
    assert reading.share == 0.25
    assert reading.kinds == {"not a picture of a known format": 2}


def test_too_much_set_aside_is_one_sentence_with_its_cure(tmp_path: Path) -> None:
    reading = read_folder(mixed(tmp_path, 6, 2))
    with pytest.raises(DataSetError) as caught:
        check_quarantine(reading, listed=Path("list.jsonl"))
    assert str(caught.value) == (
        "2 of 8 pictures (25.0%) were quarantined, and at most 5.0% may be; the most common reason is "
        "'not a picture of a known format' (2); the list is in list.jsonl. "
        "Fix them, or raise the limit with --max-quarantine 0.25."
    )


def test_without_a_list_the_first_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"the first is 0006\.png: The file holds text;"):
        check_quarantine(read_folder(mixed(tmp_path, 6, 2)))


@pytest.mark.parametrize("share", [0.25, 0.26, 1.0])
def test_a_share_within_the_limit_passes(tmp_path: Path, share: float) -> None:
    check_quarantine(read_folder(mixed(tmp_path, 6, 2)), share)


def test_nothing_left_is_refused_at_any_share(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="No picture is left"):
        check_quarantine(read_folder(mixed(tmp_path, 0, 2)), 1.0)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "metadata.jsonl", b"")
    with pytest.raises(DataSetError, match=r"There are no pictures in .*: add some"):
        check_quarantine(read_folder(tmp_path))


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda root: root.rmdir(), "There is no folder "),
        (lambda root: None, "has 0 pictures and no captions: add a metadata.jsonl"),
        (lambda root: put(root, "a.png"), "has 1 pictures and no captions: add a metadata.jsonl"),
        (lambda root: put(root, "metadata.csv", b""), "has the columns: none; it needs file_name and text"),
        (lambda root: put(root, "metadata.csv", b"name;text\n"), "has the columns: name, text; it needs"),
        (lambda root: put(root, "metadata.csv", b'"file'), "it must name the columns"),
        (lambda root: (csv_table(root), table(root)), "contains metadata.csv and metadata.jsonl: keep one"),
        (lambda root: (root / "metadata.jsonl").symlink_to("gone"), "cannot be read: No such file"),
    ],
)
def test_a_folder_that_is_no_data_set(tmp_path: Path, build: Callable[[Path], object], told: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    build(root)
    with pytest.raises(DataSetError, match=told):
        read_folder(root)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="is not a folder: give a folder"):
        read_folder(put(tmp_path, "a.tar"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_pixels", 0), ("max_pixels", 10**9), ("max_bytes", 0), ("max_share", -0.1), ("max_share", 1.1), ("width", 3)],
)
def test_limits_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        ReadLimits.model_validate({name: value})


# The fingerprint


def test_a_fingerprint_knows_the_content_and_not_the_names(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "b.png", encoded(colour="blue"))
    put(tmp_path, "elsewhere/c.png")
    a, b = Entry("a.png", "one"), Entry("b.png", "two")
    first = fingerprint(tmp_path, [a, b])
    assert len(first) == 64
    assert fingerprint(tmp_path, [Entry("elsewhere/c.png", "one"), b]) == first
    others = [[b, a], [a], [Entry("a.png", "uno"), b], [Entry("a.png", "one", "一"), b], [Entry("b.png", "one"), b]]
    others += [[Entry("a.png", "one", attributes={"x": 1}), b], [Entry("a.png", "one", withheld=True), b]]
    others += [[Entry("a.png", "one", tags=("x",)), b], [Entry("a.png", "one", more=("x",)), b]]
    others += [[Entry("a.png", "one", objects=Objects(bbox=((0, 0, 1, size),))), b] for size in (1, 2)]
    assert len({fingerprint(tmp_path, entries) for entries in others} | {first}) == 12


# Any bytes at all


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_pictures_are_pictures_or_refused(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([noise(kind) for kind in sorted(set(FORMATS.values()))]))
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=8)) if damaged else []:
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        assert open_picture(bytes(damaged), limits=ReadLimits(max_pixels=10**6)).size
    except RefusedError as error:
        assert str(error).endswith((".", "smaller.")), error


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["metadata.jsonl", "metadata.csv", "a.txt"]))
def test_any_bytes_for_captions_are_read_or_refused(captions: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), "a.png")
        put(Path(folder), name, captions)
        try:
            reading = read_folder(folder, workers=1)
        except DataSetError:
            return
        assert reading.entries or reading.quarantined


def test_the_room_needs_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, easel.data, tfx_pipeline.datasets.emoji, tfx_pipeline.datasets.importing;"
        "print([name for name in ('tfx', 'tensorflow', 'apache_beam', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
