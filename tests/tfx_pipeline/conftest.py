"""One real run of the two ExampleGens in TFX, twice, so that the second comes from the cache."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from reading import captioned_folder, read_into

from tfx_pipeline.datasets.entries import fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.runs.root import Root


@pytest.fixture(scope="session")
def reading_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of two runs over 24 pictures, one of them damaged, and 60 lines."""
    path = tmp_path_factory.mktemp("reading")
    folder = captioned_folder(path / "pictures", 24)
    (path / "lines.txt").write_text("\n\n".join(map(str, range(60))), encoding="utf-8")
    known_as = fingerprint(folder, read_folder(folder, decode=False).entries)
    for _ in range(2):
        read_into(Root(path), folder, path / "lines.txt", known_as)
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("this user cannot mount a disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four captioned pictures."""
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        Image.new("RGB", (16, 16), (60 * number, 0, 0)).save(tmp_path / f"pictures/{number}.png")
        (tmp_path / f"pictures/{number}.txt").write_text(f"red number {number}")
    return tmp_path / "pictures"
