"""Roots that are moved, and artifacts that an earlier path to the root was recorded for."""

from contextlib import chdir
from pathlib import Path

import pytest
from reading import captioned_folder, read_into

from tfx_pipeline.datasets.entries import fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.runs.cleaning import clean
from tfx_pipeline.runs.history import History, Run
from tfx_pipeline.runs.root import Root
from tfx_pipeline.runs.store import open_store, relocate_artifacts

HERE = Root(Path())


def read(root: Root, data: Path, count: int) -> Run:
    """A run of the ExampleGens on so many pictures, which lie outside the root."""
    folder, lines = data / f"pictures-{count}", data / "lines.txt"
    if not folder.exists():
        captioned_folder(folder, count)
        lines.write_text("one\ntwo")
    read_into(root, folder, lines, fingerprint(folder, read_folder(folder, decode=False).entries))
    return History(root).run("latest")


def states(run: Run) -> dict[str, str]:
    return {step.name: step.state for step in run.steps}


def uris(root: Root) -> list[str]:
    return [artifact.uri for artifact in open_store(root, read_only=True).get_artifacts()]


@pytest.mark.parametrize("name", ["moved", "工作 [v2] *"])
def test_a_root_goes_on_where_it_is_moved_to(tmp_path: Path, name: str) -> None:
    (tmp_path / "root").mkdir()
    with chdir(tmp_path / "root"):
        before = read(HERE, tmp_path, 20)
    moved = (tmp_path / "root").rename(tmp_path / name)
    with chdir(moved):
        relocate_artifacts(HERE)
        again = read(HERE, tmp_path, 20)
    assert set(states(before).values()) == {"ran"}
    assert set(states(again).values()) == {"cached"}
    assert all(Path(item.uri).is_dir() for step in History(Root(moved)).run("latest").steps for item in step.outputs)


@pytest.mark.parametrize("is_absolute", [False, True])
def test_artifacts_of_an_earlier_path_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_absolute: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    earlier = Path("root").absolute() if is_absolute else Path("root")
    earlier.mkdir()
    read(Root(earlier), tmp_path, 20)
    moved = earlier.rename("moved").absolute()
    monkeypatch.chdir(moved)
    for root in (Root(moved), HERE):
        relocate_artifacts(root)
        assert uris(root) and all(uri.startswith(f"{root.pipeline}/") and Path(uri).is_dir() for uri in uris(root))


def test_a_root_without_runs_stays_without(tmp_path: Path) -> None:
    relocate_artifacts(Root(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("asked", ["work", "moved"])
def test_a_root_by_a_relative_path_gives_its_disk_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("work").mkdir()
    older, _ = (read(Root(Path("work")), tmp_path, count) for count in (20, 24))
    Path("work").rename(asked)
    done = clean(Root(Path(asked)), 1)
    assert done.artifacts == 1
    (gone,) = [item.uri for step in older.steps for item in step.outputs if step.name == "FolderExampleGen"]
    assert not Path(gone.replace("work", asked, 1)).exists()
