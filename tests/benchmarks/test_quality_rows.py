from pathlib import Path

import pytest

from benchmarks.quality import rows
from benchmarks.quality.effort import Effort
from benchmarks.quality.programs import ElsewhereError
from benchmarks.quality.rows import KEYS, BenchError, Row, measure


def waiting(path: Path, effort: Effort) -> dict[str, float]:
    raise ElsewhereError(f"language_model waits in {effort.programs}.")


@pytest.fixture
def three_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows: two that answer at once, and one that waits for another machine."""
    found = {
        "shapes": Row(None, lambda _, effort: {"shapes_psnr": 30.0 + effort.seed, "training_minutes": effort.minutes}),
        "text": Row("a.txt", lambda path, _: {"shakespeare_nats": len(path.read_text()), "training_minutes": 7}),
        "emoji": Row(None, waiting),
    }
    monkeypatch.setattr(rows, "ROWS", found)


@pytest.mark.usefixtures("three_rows")
def test_figures_are_flat_and_what_was_not_run_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    told: list[str] = []
    figures = measure(tmp_path, effort=Effort(2, 1), rows=["shapes", "text"], say=told.append)
    assert set(figures) == {*KEYS, "shapes_minutes", "text_minutes"}
    assert figures["shapes_psnr"] == 31 and figures["shakespeare_nats"] == 3 and figures["emoji_r1"] is None
    assert figures["training_minutes"] == figures["text_minutes"] == 7
    assert told[-1] == "text: shakespeare_nats 3, training_minutes 7"


@pytest.mark.usefixtures("three_rows")
@pytest.mark.parametrize("given", [True, False])
def test_a_row_without_its_data_is_told_and_not_run(tmp_path: Path, given: bool) -> None:
    told: list[str] = []
    figures = measure(tmp_path if given else None, effort=Effort(2, 1), rows=["text"], say=told.append)
    assert figures == dict.fromkeys(KEYS)
    assert told == ["text: not run, for want of a.txt in the data folder."]


@pytest.mark.usefixtures("three_rows")
def test_a_row_that_waits_for_another_machine_is_told_and_the_others_are_run(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure(None, effort=Effort(2, 1, tmp_path), rows=["emoji", "shapes"], say=told.append)
    assert f"emoji: language_model waits in {tmp_path / 'emoji'}." in told
    assert figures["emoji_r1"] is None and figures["shapes_psnr"] == 31


def test_a_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BenchError, match="There is no row 'scene': choose among pretrained, storybook, shapes,"):
        measure(None, effort=Effort(1), rows=["scene"])


def test_every_key_is_a_row_s() -> None:
    assert {row.needs for row in rows.ROWS.values()} == {None, "emoji", "cifar10", "photos", "tinyshakespeare.txt"}
