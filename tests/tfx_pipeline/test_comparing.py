from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.report.comparing import compared, differing, flat, pairs, side_by_side
from tfx_pipeline.runs.history import Artifact, Run, Step


def run(place: Path, name: str, colour: str | None, **data: object) -> Run:
    """A run that trained a generator and drew some samples in a colour."""
    outputs: tuple[Artifact, ...] = ()
    if colour is not None:
        (place / name / "samples").mkdir(parents=True)
        for file in ("generator_warmup-0000010.png", "generator_adversarial-0000005.png"):
            Image.new("RGB", (64, 32), colour).save(place / name / "samples" / file)
        outputs = (Artifact("model_run", "ModelRun", str(place / name), {}),)
    steps = (Step("Trainer.generator", "ran", 1.0, {}, outputs), Step("FolderExampleGen", "ran", 1.0, dict(data)))
    return Run(name, steps)


def test_nested_settings_become_dotted_names() -> None:
    assert flat({"seed": 0, "data": {"size": 32, "inner": {"a": [1]}}}) == {
        "seed": 0,
        "data.size": 32,
        "data.inner.a": [1],
    }


def test_pairs_hold_every_name_of_either_side() -> None:
    assert pairs({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {"a": [1, None], "b": [2, 2], "c": [None, 3]}
    assert differing({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {"a": [1, None], "c": [None, 3]}


def test_only_what_differs_in_the_data_is_told(tmp_path: Path) -> None:
    first = run(tmp_path, "a", None, folder="/data", fingerprint="1", pictures=10)
    second = run(tmp_path, "b", None, folder="/data", fingerprint="2", pictures=12)
    assert compared(first, second) == {
        "data": {"fingerprint": ["1", "2"], "pictures": [10, 12]},
        "config": {},
        "metrics": {},
    }


@pytest.mark.parametrize("colours", [("red", "blue"), ("red", None), (None, "blue")])
def test_pictures_lie_side_by_side(tmp_path: Path, colours: tuple[str | None, str | None]) -> None:
    first, second = (run(tmp_path, name, colour) for name, colour in zip("ab", colours, strict=True))
    assert side_by_side(first, second, tmp_path / "out/diff.png")
    with Image.open(tmp_path / "out/diff.png") as drawn:
        found = {colour for _, colour in drawn.getcolors() or []}
    shown = {"red": (255, 0, 0), "blue": (0, 0, 255), None: (211, 211, 211)}
    assert {shown[colour] for colour in colours} <= found


def test_runs_without_pictures_draw_nothing(tmp_path: Path) -> None:
    assert not side_by_side(run(tmp_path, "a", None), run(tmp_path, "b", None), tmp_path / "diff.png")
    assert not (tmp_path / "diff.png").exists()
