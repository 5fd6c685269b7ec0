from pathlib import Path

import pytest

from serving.folders import FolderError, fresh_folder


def test_a_folder_in_the_making_is_not_cleared_away(tmp_path: Path) -> None:
    with fresh_folder(tmp_path / "out") as first:
        (first / "a").write_bytes(b"first")
        with pytest.raises(ZeroDivisionError), fresh_folder(tmp_path / "out") as second:
            assert second != first
            raise ZeroDivisionError
        assert (first / "a").exists()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["out", "out/a"]


def test_a_fresh_folder_can_be_read_by_everybody(tmp_path: Path) -> None:
    with fresh_folder(tmp_path / "out"):
        pass
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("full", "full is not empty; name a new folder, or remove this one first."),
        ("full/file", "file is a file; name a folder to make."),
        ("full/file/out", "file is a file, and no folder can be made in it; name another."),
    ],
)
def test_a_place_that_is_taken_is_refused(tmp_path: Path, out: str, told: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(FolderError, match=told), fresh_folder(tmp_path / out):
        pytest.fail("the folder was given out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]
