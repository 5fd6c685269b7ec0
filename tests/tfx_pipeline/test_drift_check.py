"""The steps up to DriftCheck in TFX, in a root that is moved, on pictures that grow dark."""

from contextlib import chdir
from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.config import RunConfig
from tfx_pipeline.ingesting.drift import DriftError
from tfx_pipeline.ingesting.slices import in_tenth
from tfx_pipeline.local_run import drift, execute, narrated, source_of
from tfx_pipeline.pipeline import bound, reading_steps
from tfx_pipeline.runs.history import History, Run
from tfx_pipeline.runs.root import Root

LARGER = next(name for name in map("{:03}.png".format, range(120)) if in_tenth(name))


def grey_pictures(folder: Path, brightness: int) -> Path:
    """Pictures of which a single one is larger, and kept from training."""
    folder.mkdir()
    for number in range(120):
        shade = brightness + number % 40
        side = 17 if f"{number:03}.png" == LARGER else 16
        Image.new("RGB", (side, side), (shade, shade, shade)).save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text("a grey square" if number % 2 else "grey")
    return folder


def watch(root: Root, folder: Path, on_drift: str) -> Run:
    """Run as far as DriftCheck, from inside the root."""
    config = RunConfig.model_validate({"retraining": {"on_drift": on_drift}})
    here = Root(Path())
    nodes = reading_steps(here, source_of(folder, config), config).nodes
    with narrated(root, lambda line: None) as log, chdir(root.path):
        execute(lambda: bound(here, nodes), root, log)
    return History(root).run("latest")


def test_dark_pictures_are_a_warning_or_a_stop_until_they_are_accepted(tmp_path: Path) -> None:
    root = Root(tmp_path / "工作 [v2]")
    root.path.mkdir()
    bright, dark = grey_pictures(tmp_path / "bright", 200), grey_pictures(tmp_path / "dark", 10)
    assert drift(watch(root, bright, "stop")) == ""
    assert not root.drift.exists()
    root = Root(root.path.rename(tmp_path / "moved"))
    drifted = (
        rf"The data have drifted: .*drift of brightness 0\.9\d+ > 0\.100.* are side by side in {root.drift}\. To train"
    )
    for _ in range(2):
        with pytest.raises(DriftError, match=drifted):
            watch(root, dark, "stop")
    assert root.drift.read_text(encoding="utf-8").count("data:image/png;base64,") == 2
    assert "drift of brightness" in drift(watch(root, dark, "warn"))
    assert drift(watch(root, dark, "stop")) == ""
