import json
from datetime import date
from pathlib import Path

import jinja2
import pytest

from benchmarks.results import record, rendered, share

MACHINE = {"cores": 2, "processor": "AMD EPYC (avx2)", "commit": "1234"}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "results.json").write_text('{"other": {"figures": {"ms": 3.25}}, "row": {"figures": {"ms": 9.0}}}')
    (tmp_path / "results.md.jinja").write_text(
        '{{ row.ms | number(".1f") }} ms by {{ runs.row.command }}; {{ other.ms | number("+.2f") }} ms\n'
    )
    return tmp_path


def test_a_row_is_recorded_and_the_page_rendered(docs: Path) -> None:
    figures = {"ms": 12.345678, "share": None}
    page = record(docs, "row", figures, command="easel bench", seed=7, machine=MACHINE, budget_minutes=8)
    assert page.read_text() == "12.3 ms by easel bench; +3.25 ms\n"
    assert json.loads((docs / "results.json").read_text()) == {
        "other": {"figures": {"ms": 3.25}},
        "row": {
            "command": "easel bench",
            "seed": 7,
            "machine": "2 cores of an AMD EPYC (avx2)",
            "date": date.today().isoformat(),
            "commit": "1234",
            "budget_minutes": 8,
            "figures": {"ms": 12.35},
        },
    }


def test_a_figure_that_was_not_measured_is_an_error(docs: Path) -> None:
    (docs / "results.md.jinja").write_text("{{ row.seconds | share(2) }}")
    with pytest.raises(jinja2.UndefinedError, match="seconds"):
        rendered(docs)


@pytest.mark.parametrize(("value", "digits", "text"), [(0.945, 3, ".945"), (1.0, 2, "1.00"), (0.006, 3, ".006")])
def test_a_share_has_no_leading_zero(value: float, digits: int, text: str) -> None:
    assert share(value, digits) == text
