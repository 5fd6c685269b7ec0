"""Files that are the system's, that are linked, and that may not be read."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_pictures import encoded, halves

from tfx_pipeline.datasets.entries import Entry, Kind
from tfx_pipeline.datasets.folder import read_folder

PICTURE = encoded(halves())


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PICTURE if name.endswith("png") else b"red")
    return root


def test_what_systems_leave_is_passed_over_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a.txt")
    put(tmp_path / "@eaDir", "a.png/SYNOPHOTO_THUMB_M.png", "a.png/SYNOPHOTO_THUMB_XL.png", "a.txt@SynoEAStream")
    put(tmp_path, "sub/@eaDir/b.png/T.png", "._a.png", "sub/._b.png", ".thumbnails/a.png", "__MACOSX/a.png")
    put(
        tmp_path,
        "$RECYCLE.BIN/x.png",
        "#recycle/y.png",
        "System Volume Information/z.png",
        "Thumbs.db",
        "lost+found/w.png",
    )
    reading = read_folder(tmp_path)
    assert reading.entries == (Entry("a.png", "red"),)
    assert reading.quarantined == ()
    assert reading.passed_over == {
        "@eaDir": 4,
        "._*": 2,
        **dict.fromkeys((".thumbnails", "__MACOSX", "$RECYCLE.BIN", "#recycle"), 1),
        **dict.fromkeys(("System Volume Information", "Thumbs.db", "lost+found"), 1),
    }


def test_a_linked_folder_is_listed_with_the_command_that_cures_it(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "b.png", "b.txt")
    root = put(tmp_path / "my set", "a.png", "a.txt")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (told,) = read_folder(root).quarantined
    assert (told.file_name, told.kind) == ("linked", Kind.LINK)
    command = told.reason.partition("`")[2].partition("`")[0]
    subprocess.run(command, shell=True, check=True)
    assert len(read_folder(f"{root}-copy").entries) == 2


def test_a_snapshot_of_links_is_refused_with_the_command_that_cures_it(tmp_path: Path) -> None:
    put(tmp_path / "blobs", "0.png", "1")
    root = tmp_path / "snapshots/abc"
    root.mkdir(parents=True)
    (root / "a.png").symlink_to("../../blobs/0.png")
    (root / "a.txt").symlink_to("../../blobs/1")
    (told,) = read_folder(root).quarantined
    assert (told.file_name, told.kind) == ("a.png", Kind.ESCAPES)
    subprocess.run(told.reason.partition("`")[2].partition("`")[0], shell=True, check=True)
    assert read_folder(f"{root}-copy").entries == (Entry("a.png", "red"),)


def test_a_link_within_the_folder_hides_nothing(tmp_path: Path) -> None:
    put(tmp_path, "real/a.png", "real/a.txt")
    (tmp_path / "again").symlink_to("real")
    (tmp_path / "real/itself").symlink_to(tmp_path)
    reading = read_folder(tmp_path)
    assert (reading.entries, reading.quarantined) == ((Entry("real/a.png", "red"),), ())


def test_a_folder_that_may_not_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.png", "a.txt", "closed/b.png")
    scandir = os.scandir

    def refusing(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (told,) = read_folder(tmp_path).quarantined
    assert (told.file_name, told.kind) == ("closed", Kind.UNREADABLE)
    assert told.reason == "The folder cannot be read: Permission denied."


@pytest.mark.parametrize("name", ["工作 [v2]", "a*b?", "spaced out", "quo'te\"s", "$HOME", "-n", "line\nbreak", "ünï"])
def test_a_data_set_lies_wherever_the_system_allows(tmp_path: Path, name: str) -> None:
    root = put(tmp_path / name, f"{name}/a {name}.png", f"{name}/a {name}.txt")
    assert read_folder(root).entries == (Entry(f"{name}/a {name}.png", "red"),)
    shutil.rmtree(root)
