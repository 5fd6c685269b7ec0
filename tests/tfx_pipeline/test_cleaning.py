from dataclasses import replace
from pathlib import Path

import pytest
from reading import captioned_folder, read_into

from tfx_pipeline.datasets.entries import fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.runs.cleaning import clean, compared_with, standing
from tfx_pipeline.runs.history import Artifact, History, Run, Step
from tfx_pipeline.runs.root import Root


def read(root: Path, count: int) -> None:
    """One run of the ExampleGens on a folder of so many pictures."""
    folder, lines = root / f"pictures-{count}", root / "lines.txt"
    if not folder.exists():
        captioned_folder(folder, count)
        lines.write_text("one\ntwo")
    read_into(Root(root), folder, lines, fingerprint(folder, read_folder(folder, decode=False).entries))


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on different pictures and the same lines, of which the newer one was kept."""
    root = tmp_path_factory.mktemp("cleaned")
    for count in (20, 24):
        read(root, count)
    done = clean(Root(root), 1)
    assert (len(done.runs), done.artifacts) == (1, 1)
    return root


def places(run: Run) -> dict[str, Path]:
    return {step.name: Path(item.uri) for step in run.steps for item in step.outputs}


def test_only_what_the_kept_run_does_not_use_is_removed(cleaned: Path) -> None:
    newer, older = map(places, History(Root(cleaned)).runs())
    assert not older["FolderExampleGen"].exists()
    assert older["TextExampleGen"] == newer["TextExampleGen"]
    assert all(place.is_dir() for place in newer.values())


def test_what_was_removed_is_not_taken_from_the_cache(cleaned: Path) -> None:
    assert clean(Root(cleaned), 1).artifacts == 0
    read(cleaned, 20)
    states = {step.name: step.state for step in History(Root(cleaned)).run("latest").steps}
    assert states == {"FolderExampleGen": "ran", "TextExampleGen": "cached"}


def blessed(model: str, run: str, value: int) -> tuple[Step, Step]:
    exported = tuple(Artifact(name, "Model", f"/{run}/{model}-{name}", {}) for name in ("judged", "serving"))
    blessing = Artifact("blessing", "ModelBlessing", f"/{run}/{model}-blessing", {"blessed": value})
    return Step(f"Exporter.{model}", "ran", 1.0, {}, exported), Step(f"Evaluator.{model}", "ran", 1.0, {}, (blessing,))


def test_the_next_run_finds_what_it_is_compared_with() -> None:
    drift = Step("DriftCheck", "ran", 1.0, {}, (Artifact("accepted", "ExampleStatistics", "/b/accepted", {}),))
    refused = replace(drift, state="failed", outputs=(Artifact("accepted", "ExampleStatistics", "/c/accepted", {}),))
    newest = Run("c", (*blessed("restorer", "c", 0), refused))
    middle = Run("b", (*blessed("restorer", "b", 1), *blessed("generator", "b", 0), drift))
    oldest = Run("a", (*blessed("restorer", "a", 1), *blessed("generator", "a", 1)))
    assert set(compared_with([newest, middle, oldest])) == {
        "/b/restorer-judged",
        "/b/restorer-blessing",
        "/b/accepted",
        "/a/generator-judged",
        "/a/generator-blessing",
    }


def test_a_pushed_model_counts_while_its_folder_stands(tmp_path: Path) -> None:
    pushed = Artifact("pushed_model", "PushedModel", "", {"pushed": 1, "pushed_version": "7"})
    assembled = Step("Assembler", "ran", 1.0, {}, (Artifact("model", "Model", "/a/fused", {}),))
    pushers = [Step(f"Pusher.{name}", "ran", 1.0, {}, (pushed,)) for name in ("restorer", "text_to_image")]
    run = Run("a", (*blessed("restorer", "a", 1), assembled, *pushers))
    assert list(standing(Root(tmp_path), [run])) == []
    for name in ("restorer", "text_to_image"):
        (tmp_path / f"pushed/{name}/7").mkdir(parents=True)
    assert list(standing(Root(tmp_path), [run])) == ["/a/restorer-serving", "/a/fused"]
