"""The steps up to DriftCheck in TFX, on pictures that grow dark."""

from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.config import RunConfig
from tfx_pipeline.ingesting.drift import DriftError
from tfx_pipeline.local_run import drift, execute, narrated, source_of
from tfx_pipeline.pipeline import bound, reading_steps
from tfx_pipeline.runs.history import History, Run
from tfx_pipeline.runs.root import Root


def grey_pictures(folder: Path, brightness: int) -> Path:
    folder.mkdir()
    for number in range(120):
        shade = brightness + number % 40
        Image.new("RGB", (16, 16), (shade, shade, shade)).save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text("a grey square" if number % 2 else "grey")
    return folder


def watch(root: Root, folder: Path, on_drift: str) -> Run:
    """Run as far as DriftCheck; a dozen pictures to judge by are too few for their skew to tell anything."""
    config = RunConfig.model_validate({"retraining": {"on_drift": on_drift, "most_skew": 1.0}})
    nodes = reading_steps(root, source_of(folder, config), config).nodes
    with narrated(root, lambda line: None) as log:
        execute(bound(root, nodes), root, log)
    return History(root).run("latest")


def test_dark_pictures_are_a_warning_or_a_stop_until_they_are_accepted(tmp_path: Path) -> None:
    root = Root(tmp_path)
    bright, dark = grey_pictures(tmp_path / "bright", 200), grey_pictures(tmp_path / "dark", 10)
    assert drift(watch(root, bright, "stop")) == ""
    assert not root.drift.exists()
    for _ in range(2):
        with pytest.raises(DriftError, match=r"The data have drifted: .*drift of brightness 1\.000 > 0\.100"):
            watch(root, dark, "stop")
    assert root.drift.read_text(encoding="utf-8").count("data:image/png;base64,") == 2
    assert "drift of brightness" in drift(watch(root, dark, "warn"))
    assert drift(watch(root, dark, "stop")) == ""
