import errno
import fcntl
import os
from pathlib import Path
from typing import IO

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
        ("full", "full is not empty: choose a new folder, or remove it first."),
        ("full/file", "file is a file: choose a folder."),
        ("full/file/out", "file is a file, not a folder: choose another path."),
    ],
)
def test_a_place_that_is_taken_is_refused(tmp_path: Path, out: str, told: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(FolderError, match=told), fresh_folder(tmp_path / out):
        pytest.fail("the folder was given out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_a_lock_is_taken_as_nfs_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS locks byte ranges, for which a file must be open for writing."""
    flock, taken = fcntl.flock, 0

    def nfs(file: IO[str], operation: int) -> None:
        nonlocal taken
        if not fcntl.fcntl(file, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(file, operation)
        taken += 1

    monkeypatch.setattr(fcntl, "flock", nfs)
    (tmp_path / ".out.unfinished-left").mkdir()
    with fresh_folder(tmp_path / "out"):
        pass
    assert taken == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_written_and_nothing_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(file: IO[str], operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    (tmp_path / ".out.unfinished-left").mkdir()
    with fresh_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").is_dir() and (tmp_path / ".out.unfinished-left").is_dir()
