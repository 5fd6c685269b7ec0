"""One real run of the two ExampleGens in TFX, twice, so that the second comes from the cache."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.root import Root


def captioned_folder(folder: Path, count: int) -> Path:
    """Pictures with captions, of which the first cannot be read and the last has a Chinese one."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(f"red number {number}", encoding="utf-8")
    (folder / "00.png").write_text("not a picture")
    (folder / f"{count - 1:02}.zh.txt").write_text("红", encoding="utf-8")
    return folder


def read_into(root: Root, folder: Path, lines: Path) -> None:
    # Here, so that tests of the data sets alone need not wait for TFX.
    from tfx import v1 as tfx

    from tfx_pipeline.examples import FolderExampleGen, TextExampleGen
    from tfx_pipeline.pipeline import BEAM_ARGS, NAME

    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root.metadata))
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(root.pipeline),
        components=[
            FolderExampleGen(folder=str(folder), fingerprint="of pictures", max_quarantine=0.1),
            TextExampleGen(file=str(lines), fingerprint="of lines"),
        ],
        enable_cache=True,
        metadata_connection_config=metadata,
        beam_pipeline_args=list(BEAM_ARGS),
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)


@pytest.fixture(scope="session")
def reading_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of two runs over 24 pictures, one of them damaged, and 60 lines."""
    path = tmp_path_factory.mktemp("reading")
    folder = captioned_folder(path / "pictures", 24)
    (path / "lines.txt").write_text("\n\n".join(map(str, range(60))), encoding="utf-8")
    for _ in range(2):
        read_into(Root(path), folder, path / "lines.txt")
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
