import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.choosing import RowError
from benchmarks.quality import rows
from benchmarks.quality.effort import Effort
from benchmarks.quality.programs import ElsewhereError
from benchmarks.quality.rows import ROWS, Row, measure


def waiting(path: Path, effort: Effort) -> dict[str, float]:
    raise ElsewhereError(f"language_model waits in {effort.programs}.")


@pytest.fixture
def some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that train, of which one waits for another machine and one also evaluates weights, and one that does not."""
    found = {
        "shapes": Row(
            ("shapes_psnr", "shapes_ssim"),
            lambda _, effort: {"shapes_psnr": 30.0 + effort.seed, "training_minutes": effort.minutes},
        ),
        "text": Row(
            ("shakespeare_nats",),
            lambda path, _: {"shakespeare_nats": len(path.read_text()), "training_minutes": 7},
            needs="a.txt",
        ),
        "emoji": Row(("emoji_r1",), waiting),
        "storybook": Row(
            ("storybook_single",), lambda _, effort: {"storybook_single": 0.5}, trains=False, weights=True
        ),
        "cifar": Row(
            ("cifar_recall",),
            lambda _, effort: {"cifar_recall": 0.1} | ({} if effort.weights else {"training_minutes": 9}),
            weights=True,
        ),
    }
    monkeypatch.setattr(rows, "ROWS", found)


@pytest.mark.usefixtures("some_rows")
def test_figures_are_flat_and_what_was_not_run_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    told: list[str] = []
    figures = measure(tmp_path, effort=Effort(2, 1), rows=["shapes", "text"], say=told.append)
    assert figures == {
        "shapes_psnr": 31,
        "shapes_ssim": None,
        "shakespeare_nats": 3,
        "shapes_minutes": 2,
        "text_minutes": 7,
        "training_minutes": 7,
    }
    assert told[-1] == "text: shakespeare_nats 3, training_minutes 7"


@pytest.mark.usefixtures("some_rows")
def test_each_row_is_kept_once_it_is_measured() -> None:
    kept: dict[str, dict[str, float]] = {}

    def keep(name: str, figures: Mapping[str, float]) -> None:
        kept[name] = dict(figures)

    measure(None, effort=Effort(2), rows=["shapes", "text", "storybook"], say=lambda line: None, keep=keep)
    minutes = [kept[name].pop("minutes") for name in kept]
    assert kept == {"shapes": {"shapes_psnr": 30, "shapes_minutes": 2}, "storybook": {"storybook_single": 0.5}}
    assert all(0 <= each < 1 for each in minutes)


@pytest.mark.usefixtures("some_rows")
def test_a_row_trains_nothing_if_it_evaluates_weights() -> None:
    told: list[str] = []
    effort = Effort(2, weights=Path("weights"))
    assert measure(None, effort=effort, rows=["cifar"], say=told.append) == {"cifar_recall": 0.1}
    assert told[0] == "cifar: nothing to train."
    assert measure(None, effort=Effort(2), rows=["cifar"], say=told.append)["cifar_minutes"] == 9


@pytest.mark.usefixtures("some_rows")
@pytest.mark.parametrize(
    ("name", "effort", "entry", "command"),
    [
        ("shapes", Effort(2.5), "shapes_cpu", "easel bench quality --json --rows shapes --budget-minutes 2.5"),
        (
            "text",
            Effort(20, 1, Path("programs")),
            "text_gpu",
            "easel bench quality --json --rows text --data DATA --budget-minutes 20 --programs FOLDER",
        ),
        ("storybook", Effort(2), "storybook", "easel bench quality --json --rows storybook"),
        (
            "storybook",
            Effort(2, weights=Path("weights")),
            "storybook",
            "easel bench quality --json --rows storybook --weights FOLDER",
        ),
        ("cifar", Effort(60), "cifar_cpu", "easel bench quality --json --rows cifar --budget-minutes 60"),
        (
            "cifar",
            Effort(60, weights=Path("weights")),
            "cifar",
            "easel bench quality --json --rows cifar --weights FOLDER",
        ),
    ],
)
def test_a_row_is_recorded_with_its_command(
    tmp_path: Path, name: str, effort: Effort, entry: str, command: str
) -> None:
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "results.md.jinja").write_text(f"{{{{ {entry}.psnr }}}} with seed {{{{ runs.{entry}.seed }}}}")
    rows.record_row(tmp_path, name, {"psnr": 3.0}, effort)
    assert (tmp_path / "results.md").read_text() == f"3.0 with seed {effort.seed}"
    assert json.loads((tmp_path / "results.json").read_text())[entry]["command"] == command


@pytest.mark.usefixtures("some_rows")
@pytest.mark.parametrize("given", [True, False])
def test_a_row_without_its_data_is_told_and_not_run(tmp_path: Path, given: bool) -> None:
    told: list[str] = []
    figures = measure(tmp_path if given else None, effort=Effort(2, 1), rows=["text"], say=told.append)
    assert figures == {"shakespeare_nats": None}
    assert told == ["text: not run, because a.txt is not in the data folder."]


@pytest.mark.usefixtures("some_rows")
def test_an_archive_of_the_data_will_do(tmp_path: Path) -> None:
    (tmp_path / "a.txt-part.tar.gz").write_text("abcd")
    figures = measure(tmp_path, effort=Effort(2), rows=["text"], say=lambda line: None)
    assert figures["shakespeare_nats"] == 4


@pytest.mark.usefixtures("some_rows")
def test_a_row_that_waits_for_another_machine_is_told_and_the_others_are_run(tmp_path: Path) -> None:
    told: list[str] = []
    figures = measure(None, effort=Effort(2, 1, tmp_path), rows=["emoji", "shapes"], say=told.append)
    assert f"emoji: language_model waits in {tmp_path / 'emoji'}." in told
    assert figures["emoji_r1"] is None and figures["shapes_psnr"] == 31


@pytest.mark.usefixtures("some_rows")
def test_a_row_without_a_training_has_no_minutes() -> None:
    told: list[str] = []
    assert measure(None, effort=Effort(2), rows=["storybook"], say=told.append) == {"storybook_single": 0.5}
    assert told == ["storybook: nothing to train.", "storybook: storybook_single 0.5"]


def test_a_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RowError, match="There is no row 'scene': choose among storybook, storybook_judge, shapes,"):
        measure(None, effort=Effort(1), rows=["scene"])


def test_no_figure_belongs_to_two_rows() -> None:
    keys = [key for row in ROWS.values() for key in row.keys]
    assert len({*keys}) == len(keys)
    assert {row.needs for row in ROWS.values()} == {None, "emoji", "cifar10", "photos", "tinyshakespeare.txt"}
