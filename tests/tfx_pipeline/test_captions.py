"""Captions in the encodings, columns and shapes that people keep them in."""

import codecs
import json
from pathlib import Path

import pytest
from odd_pictures import encoded, halves

from tfx_pipeline.datasets.captions import decode_text, text_lines
from tfx_pipeline.datasets.entries import DataSetError, Entry, Kind, Objects, ReadLimits
from tfx_pipeline.datasets.folder import Reading, read_folder

PICTURE = encoded(halves())


def read(root: Path, files: dict[str, str | bytes], *pictures: str, limits: ReadLimits | None = None) -> Reading:
    """Read a folder of these files, and of pictures by these names."""
    for name, content in {**dict.fromkeys(pictures, PICTURE), **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_folder(root, limits=limits)


def lines(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# Encodings

MARKED = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", MARKED)
@pytest.mark.parametrize(
    "table",
    [
        ("metadata.csv", 'file_name,text\r\na.png,"naïve 猫 🐈"\r\n'),
        ("metadata.tsv", "file_name\ttext\na.png\tnaïve 猫 🐈\n"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "naïve 猫 🐈"}\r'),
        ("a.txt", "naïve 猫 🐈"),
    ],
    ids=lambda table: table[0],
)
def test_a_mark_says_the_encoding(tmp_path: Path, encoding: str, table: tuple[str, str]) -> None:
    name, text = table
    reading = read(tmp_path, {name: MARKED[encoding] + text.encode(encoding)}, "a.png")
    assert reading.entries == (Entry("a.png", "naïve 猫 🐈"),)
    assert reading.quarantined == ()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["a cat", "猫 cat", "x"])
def test_utf16_without_a_mark_is_known_by_its_ascii(tmp_path: Path, encoding: str, text: str) -> None:
    files = {"metadata.csv": f"file_name,text\na.png,{text}\n".encode(encoding)}
    assert read(tmp_path / "table", files, "a.png").entries == (Entry("a.png", text),)
    assert read(tmp_path / "beside", {"a.txt": text.encode(encoding)}, "a.png").entries == (Entry("a.png", text),)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_that_cannot_be_told_is_named_and_no_nul_is_taken(tmp_path: Path, encoding: str) -> None:
    reading = read(tmp_path, {"a.txt": "一只猫".encode(encoding)}, "a.png")
    assert reading.entries == () and reading.quarantined[0].kind == Kind.ENCODING
    assert "\0" not in reading.quarantined[0].reason


@pytest.mark.parametrize(("table", "told"), [("metadata.csv", "cannot be read"), ("metadata.jsonl", "cannot be read")])
def test_a_table_that_breaks_off_in_a_letter_is_refused(tmp_path: Path, table: str, told: str) -> None:
    cut = codecs.BOM_UTF16_LE + "file_name,text\n".encode("utf-16-le") + b"a"
    with pytest.raises(DataSetError, match=told):
        read(tmp_path, {table: cut}, "a.png")


def test_a_caption_file_that_breaks_off_in_a_letter_is_set_aside(tmp_path: Path) -> None:
    reading = read(tmp_path, {"a.txt": codecs.BOM_UTF16_LE + b"a"}, "a.png")
    assert [(item.file_name, item.kind) for item in reading.quarantined] == [("a.png", Kind.ENCODING)]


@pytest.mark.parametrize("table", [b"naem\0,text\n", "file_name,text\n".encode("utf-32-le")])
def test_nuls_in_columns_are_not_printed(tmp_path: Path, table: bytes) -> None:
    with pytest.raises(DataSetError, match=r"metadata\.csv holds NULs, like text in another encoding; save it as"):
        read(tmp_path, {"metadata.csv": table}, "a.png")


@pytest.mark.parametrize("data", [b"", b"a", b"\0", b"\xff", b"ab\0"])
def test_short_text_is_decoded(data: bytes) -> None:
    assert decode_text(data).encode("utf-8", "surrogateescape") == data


@pytest.mark.parametrize("encoding", MARKED)
def test_blank_lines_of_a_text_file_are_no_texts(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "lines.txt").write_bytes(MARKED[encoding] + "  one\n\n \t\n二\r\nthree\rfour".encode(encoding))
    assert text_lines(tmp_path / "lines.txt") == ["one", "二", "three", "four"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"one\ncaf\xe9\n", r"lines\.txt line 2 is not UTF-8 at its byte 3; save the file as UTF-8\."),
        (b"one\ntwo\0\n", r"lines\.txt line 2 holds a NUL, like text in another encoding"),
        (codecs.BOM_UTF16_LE + b"a", r"The text file .*lines\.txt cannot be read"),
    ],
)
def test_a_text_file_of_another_encoding_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "lines.txt").write_bytes(content)
    with pytest.raises(DataSetError, match=told):
        text_lines(tmp_path / "lines.txt")


# Columns


@pytest.mark.parametrize("name", ["file_name", "image", "Path", " filename "])
@pytest.mark.parametrize("column", ["text", "caption", "prompt", "Description"])
def test_columns_are_read_by_their_usual_names(tmp_path: Path, name: str, column: str) -> None:
    expected = (Entry("a.png", "red", "红"),)
    row = {name: "a.png", column: "red", "caption_zh": "红"}
    assert read(tmp_path / "jsonl", {"metadata.jsonl": lines(row)}, "a.png").entries == expected
    table = "".join(";".join(cells) + "\n" for cells in (row, row.values()))
    assert read(tmp_path / "csv", {"metadata.csv": table}, "a.png").entries == expected


def test_the_first_usual_column_counts_and_the_others_are_told(tmp_path: Path) -> None:
    row = {"file_name": "a.png", "prompt": "of a prompt", "text": "red", "width": 16, "note": ""}
    reading = read(tmp_path, {"metadata.jsonl": lines(row)}, "a.png")
    assert reading.entries == (Entry("a.png", "red"),)
    assert reading.passed_over == {"column prompt": 1, "column width": 1}


def test_a_table_without_a_caption_names_its_columns(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="has the columns: file_name, label; it needs file_name and text"):
        read(tmp_path, {"metadata.csv": "file_name,label\na.png,red\n"}, "a.png")


def test_no_caption_is_lost_in_a_column_that_occurs_twice(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"metadata\.csv has two columns called text: rename or remove one\."):
        read(tmp_path / "csv", {"metadata.csv": "file_name,Text,text\na.png,red,blue\n"}, "a.png")
    row = '{"file_name": "a.png", "text": "red", "text": "blue"}'
    (refused,) = read(tmp_path / "jsonl", {"metadata.jsonl": row, "b.txt": "b"}, "b.png").quarantined
    assert refused.reason == "metadata.jsonl line 1 is not JSON: it has text twice."
    blank = read(tmp_path / "blank", {"metadata.csv": "file_name,text,,\na.png,red,,\n"}, "a.png")
    assert blank.entries == (Entry("a.png", "red"),)


@pytest.mark.parametrize("name", ["METADATA.JSONL", "Metadata.csv"])
def test_a_table_is_known_whatever_the_case_of_its_name(tmp_path: Path, name: str) -> None:
    table = '{"file_name": "a.png", "text": "red"}' if "J" in name else "file_name,text\na.png,red\n"
    reading = read(tmp_path, {name: table}, "a.png")
    assert (reading.entries, reading.passed_over) == ((Entry("a.png", "red"),), {})


def test_a_chinese_caption_alone_is_enough(tmp_path: Path) -> None:
    reading = read(
        tmp_path, {"metadata.jsonl": lines({"file_name": "a.png", "text_zh": "红"}), "b.zh.txt": "蓝"}, "a.png", "b.png"
    )
    assert reading.entries == (Entry("a.png", "", "红"), Entry("b.png", "", "蓝"))


# Objects and tags

BOX = [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        (
            {"bbox": [BOX, BOX], "categories": ["cat", ["dog", "sitting"]], "nearness": [0, 1], "area": [12, 12]},
            Objects(((1, 2, 3, 4),) * 2, (("cat",), ("dog", "sitting")), (0, 1)),
        ),
        ({"bbox": [BOX], "categories": [0]}, Objects(((1, 2, 3, 4),), (("0",),))),
        ({"bbox": []}, Objects(())),
    ],
)
def test_objects_are_read_as_imagefolder_has_them(
    tmp_path: Path, objects: dict[str, object], expected: Objects
) -> None:
    row = {"file_name": "a.png", "text": "a", "objects": objects, "tags": ["street", " night ", ""]}
    reading = read(tmp_path / "jsonl", {"metadata.jsonl": lines(row)}, "a.png")
    assert reading.entries == (Entry("a.png", "a", objects=expected, tags=("street", "night")),)
    cell = json.dumps(objects).replace('"', '""')
    table = f'file_name,text,objects,tags\na.png,a,"{cell}","street, night"\n'
    assert read(tmp_path / "csv", {"metadata.csv": table}, "a.png").entries == reading.entries


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"objects": [1]}, "objects is refused: "),
        ({"objects": {"categories": ["cat"]}}, "objects.bbox is refused: Field required."),
        ({"objects": {"bbox": [[1, 2, 0, 4]]}}, "objects.bbox.0.2 is refused: Input should be greater than 0."),
        ({"objects": {"bbox": [[1, 2, 3]]}}, "objects.bbox.0.3 is refused: Field required."),
        ({"objects": {"bbox": [BOX], "categories": [""]}}, "objects.categories.0.0 is refused: String should have"),
        ({"objects": {"bbox": [BOX], "nearness": [1, 2]}}, "there are 1 in bbox and 2 in nearness."),
        ({"tags": {"street": 1}}, "tags holds an object, and must hold a string or a list of strings."),
    ],
)
def test_objects_and_tags_that_make_no_sense_set_their_row_aside(
    tmp_path: Path, cells: dict[str, object], told: str
) -> None:
    row = {"file_name": "a.png", "text": "a"}
    reading = read(tmp_path, {"metadata.jsonl": lines(row | cells, row | {"file_name": "b.png"})}, "a.png", "b.png")
    assert [entry.file_name for entry in reading.entries] == ["b.png"]
    (refused,) = reading.quarantined
    assert told in refused.reason and refused.reason.endswith("(metadata.jsonl line 1)")


# Several captions


@pytest.mark.parametrize(
    "files",
    [
        {"metadata.jsonl": lines(*({"file_name": "a.png", "text": text} for text in ("one", "two", "one", "three")))},
        {"metadata.jsonl": lines({"file_name": "a.png", "text": ["one", "two", "", None, "three"]})},
        {"metadata.csv": "file_name,text\na.png,one\na.png,two\na.png,three\n"},
        {"metadata.csv": 'file_name,text\na.png,"[""one"", ""two"", ""three""]"\n'},
        {"metadata.csv": "file_name,text\na.png,\"['one', 'two', 'three']\"\n"},
        {"metadata.csv": 'file_name,text\na.png,"[\'one\' ""two""\n \'three\']"\n'},
        {"a.txt": "one\ntwo\r\n\r\nthree\r"},
        {"a.caption": "one\n", "a.png.txt": "three", "a.TXT": "two"},
    ],
    ids=["rows", "list", "csv rows", "csv list", "python list", "array", "lines", "files"],
)
def test_all_captions_of_a_picture_are_kept(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    reading = read(tmp_path, files, "a.png")
    assert reading.quarantined == ()
    (entry,) = reading.entries
    assert sorted(entry.captions) == ["one", "three", "two"]
    assert entry.text == sorted(entry.captions)[0] or files.keys() != {"a.txt"}


def test_lists_in_two_languages_keep_the_first_of_each_apart(tmp_path: Path) -> None:
    row = {"file_name": "a.png", "text": ["cat", "kitten"], "text_zh": ["猫", "小猫"]}
    (entry,) = read(tmp_path, {"metadata.jsonl": lines(row)}, "a.png").entries
    assert entry == Entry("a.png", "cat", "猫", more=("kitten", "小猫"))


def test_what_only_looks_like_a_list_is_a_caption(tmp_path: Path) -> None:
    table = 'file_name,text\na.png,"[oil painting] a cat"\nb.png,[a cat]\n'
    assert [entry.text for entry in read(tmp_path, {"metadata.csv": table}, "a.png", "b.png").entries] == [
        "[oil painting] a cat",
        "[a cat]",
    ]


def test_too_many_captions_are_cut_and_told(tmp_path: Path) -> None:
    text = "\n".join(f"caption {number}" for number in range(5))
    reading = read(tmp_path, {"a.txt": text, "a.zh.txt": "红"}, "a.png", limits=ReadLimits(max_captions=3))
    assert reading.entries == (Entry("a.png", "caption 0", "红", more=("caption 1",)),)
    (told,) = reading.quarantined
    assert told.kind == Kind.MANY_CAPTIONS and "has 6 captions, and at most 3 are allowed" in told.reason


# Places


def test_a_table_in_each_split_withholds_the_test_split(tmp_path: Path) -> None:
    files = {f"{split}/metadata.jsonl": lines({"file_name": "0.png", "prompt": split}) for split in ("train", "test")}
    reading = read(tmp_path, files, "train/0.png", "test/0.png")
    assert reading.entries == (
        Entry("test/0.png", "test", withheld=True),
        Entry("train/0.png", "train"),
    )


def test_a_table_may_say_otherwise_and_a_lonely_test_folder_is_no_split(tmp_path: Path) -> None:
    kept = {"file_name": "validation/a.png", "text": "a", "withheld": False}
    files = {"metadata.jsonl": lines(kept, {"file_name": "dev/b.png", "text": "b"}), "train/c.txt": "c"}
    reading = read(tmp_path / "splits", files, "validation/a.png", "dev/b.png", "train/c.png")
    assert {entry.text: entry.withheld for entry in reading.entries} == {"a": False, "b": True, "c": False}
    lonely = read(tmp_path / "lonely", {"test/a.txt": "a", "other/b.txt": "b"}, "test/a.png", "other/b.png")
    assert not any(entry.withheld for entry in lonely.entries)


def test_files_beside_pictures_are_told_where_a_table_captions_these(tmp_path: Path) -> None:
    files = {
        "metadata.jsonl": lines({"file_name": "a.png", "text": "red"}),
        "a.txt": "other",
        "notes.txt": "",
        "b.txt": "blue",
    }
    reading = read(tmp_path, files, "a.png", "b.png")
    assert reading.entries == (Entry("a.png", "red"), Entry("b.png", "blue"))
    assert reading.passed_over == {"text files beside a table": 2}


def test_files_that_are_neither_pictures_nor_captions_are_counted(tmp_path: Path) -> None:
    files = {"a.txt": "red", **dict.fromkeys(("a.json", "b.JSON", "c/film.mp4", "LICENSE", "quarantine.jsonl"), "{}")}
    assert read(tmp_path, files, "a.png").passed_over == {"*.json": 2, "*.mp4": 1, "LICENSE": 1}


@pytest.mark.parametrize("ending", [".jfif", ".JPE", ".tif", ".avif", ".ppm", ".dib"])
@pytest.mark.parametrize("caption", [".txt", ".caption", ".TEXT", ".prompt"])
def test_usual_endings_are_known(tmp_path: Path, ending: str, caption: str) -> None:
    assert read(tmp_path, {f"a{caption}": "red"}, f"a{ending}").entries == (Entry(f"a{ending}", "red"),)


DECOMPOSED, COMPOSED = "cafe\u0301", "caf\u00e9"
ALIKE = [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED), ("IMG", "img"), ("ß", "ss")]


@pytest.mark.parametrize(
    ("disk", "told"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED), ("IMG", "img"), ("ß", "ss")]
)
def test_names_are_matched_however_they_are_composed_or_cased(tmp_path: Path, disk: str, told: str) -> None:
    table = {"metadata.jsonl": lines({"file_name": f"{told}.png", "text": "red"})}
    for number, files in enumerate((table, {f"{told}.txt": "red"})):
        reading = read(tmp_path / str(number), files, f"{disk}.png")
        assert reading.entries == (Entry(f"{disk}.png", "red"),)
        assert reading.quarantined == ()


def test_paths_may_be_written_as_on_windows(tmp_path: Path) -> None:
    table = {"metadata.csv": "file_name,text\nimages\\sub\\a.png,red\n"}
    assert read(tmp_path, table, "images/sub/a.png").entries == (Entry("images/sub/a.png", "red"),)


def test_a_name_that_two_files_answer_to_finds_its_own(tmp_path: Path) -> None:
    pictures = {f"{name}.png": PICTURE for name in (DECOMPOSED, COMPOSED)}
    beside = {f"{name}.txt": ascii(name) for name in (DECOMPOSED, COMPOSED)}
    entries = read(tmp_path, {**pictures, **beside}).entries
    assert {entry.file_name: entry.text for entry in entries} == {
        f"{name}.png": ascii(name) for name in (DECOMPOSED, COMPOSED)
    }


def test_other_tables_are_named_where_there_are_no_captions(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"and no captions \(captions\.json is not read\): add a"):
        read(tmp_path, {"captions.json": "{}"}, "a.png")
