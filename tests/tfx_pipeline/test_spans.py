from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.datasets.entries import DataSetError, fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.spans import newest_spans, read_spans


def span(folder: Path, name: str, *pictures: str) -> None:
    (folder / name).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / name / f"{picture}.png")
        (folder / name / f"{picture}.txt").write_text(f"{picture} of {name}")


@pytest.mark.parametrize(
    ("window", "expected"),
    [(1, ("span-0010",)), (2, ("span-9", "span-0010")), (9, ("span-0002", "span-9", "span-0010"))],
)
def test_the_newest_spans_are_taken_by_their_numbers(tmp_path: Path, window: int, expected: tuple[str, ...]) -> None:
    for name in ("span-0002", "span-0010", "span-9", ".span-0011.unfinished-1", "spans", "span-x", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "span-0099").write_text("a file")
    assert newest_spans(tmp_path, window) == expected


def test_a_data_set_has_no_spans(tmp_path: Path) -> None:
    span(tmp_path, "pictures", "a")
    assert newest_spans(tmp_path / "pictures", 8) == ()
    assert newest_spans(tmp_path / "nowhere", 8) == ()


def test_two_spans_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("span-1", "span-01"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataSetError, match=r"span-1 and span-01 are both span 1: rename one of them"):
        newest_spans(tmp_path, 8)


def test_spans_are_read_as_one_data_set(tmp_path: Path) -> None:
    span(tmp_path, "span-1", "a", "b")
    span(tmp_path, "span-2", "a")
    (tmp_path / "span-2/lonely.png").write_bytes(b"")
    reading = read_spans(tmp_path, ("span-1", "span-2"))
    assert {entry.file_name: entry.text for entry in reading.entries} == {
        "span-1/a.png": "a of span-1",
        "span-1/b.png": "b of span-1",
        "span-2/a.png": "a of span-2",
    }
    assert [item.file_name for item in reading.quarantined] == ["span-2/lonely.png"]
    assert fingerprint(tmp_path, reading.entries)


def test_without_spans_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    span(tmp_path, "pictures", "a", "b")
    assert read_spans(tmp_path / "pictures", ()) == read_folder(tmp_path / "pictures")
