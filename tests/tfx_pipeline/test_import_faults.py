"""An import whose disks fail: one sentence with the cure, nothing half-written, and the same command works later."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import Disk, fault, new_disk
from PIL import Image
from typer.testing import CliRunner

from easel.cli import app
from tfx_pipeline.datasets.folder import read_folder

COUNT = 40


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with new_disk(tmp_path, 4) as made:
        yield made


def captioned(folder: Path) -> Path:
    folder.mkdir()
    for number in range(COUNT):
        Image.effect_noise((64, 64), 50 + number).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"noise number {number}", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "place", "sentence"),
    [
        ("ENOSPC", "out", "No space left on device; free disk space (0 MB are left)."),
        ("EROFS", "out", "Read-only file system; mount it writable."),
        ("EIO", "out", "Input/output error; check the disk and its connection."),
        ("EIO", "src", "Input/output error; check the disk and its connection."),
        # The terminal, the lock, the folder, and the pictures, each of which is a file more.
        *(
            (f"EMFILE {more}", "out", "Too many open files; raise the limit on open files, `ulimit -n 4096`.")
            for more in range(4)
        ),
    ],
)
def test_an_import_ends_with_the_cure_and_works_afterwards(
    tmp_path: Path, disk: Disk, name: str, place: str, sentence: str
) -> None:
    places = {"src": tmp_path / "src", "out": tmp_path / "out", place: disk.path / place}
    captioned(places["src"])
    command = ["data", "import", str(places["src"]), "--json", "--out"]
    sound = CliRunner().invoke(app, [*command, str(tmp_path / "sound")])
    if place == "src":
        disk.repair()
    with fault(name, disk):
        refused = CliRunner().invoke(app, [*command, str(places["out"])])
    assert refused.exit_code == 1, refused.output
    assert refused.stderr.endswith(f"{sentence}\n") and refused.stderr.count("\n") == 2
    assert not places["out"].exists()
    done = CliRunner().invoke(app, [*command, str(places["out"])])
    assert json.loads(done.stdout)["fingerprint"] == json.loads(sound.stdout)["fingerprint"]
    assert [path.name for path in places["out"].parent.glob(".out*")] == []


def test_an_import_waits_for_a_disk_that_stalls(tmp_path: Path, disk: Disk) -> None:
    src = captioned(tmp_path / "src")
    with disk.stalled():
        done = CliRunner().invoke(app, ["data", "import", str(src), "--out", str(disk.path / "out")])
    assert done.exit_code == 0, done.output
    assert len(read_folder(disk.path / "out").entries) == COUNT
