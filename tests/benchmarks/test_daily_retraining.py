import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import daily_retraining
from benchmarks.daily_retraining import RETRIES, Machine, Retraining, Step, Year, costs, figures, steps_of

DAYS = 60


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No span is late, and no run is refused."""
    monkeypatch.setattr(daily_retraining, "LATE", 0.0)
    monkeypatch.setattr(daily_retraining, "REFUSED", 0.0)


def line(*, failures: float = 0.0, hours: float = 3.0, checkpoint: float = float("inf")) -> list[Step]:
    machine = Machine("a machine", 2.0, failures)
    return [Step("read", machine, 1, hours, 3600), Step("train", machine, 4, 0.0, 3600, checkpoint)]


def simulated(steps: list[Step], *, millions: float = 4, seed: int = 0) -> Year:
    return Retraining(millions, steps, seed=seed).simulate(DAYS)


@pytest.mark.usefixtures("calm")
def test_without_failures_every_span_waits_as_long_as_a_run_takes() -> None:
    year = simulated(line())
    assert year.runs == DAYS and year.waits == pytest.approx([3 + 4 + 1] * DAYS)
    told = figures(year, DAYS)
    assert told["busy_share"] == pytest.approx(8 / 24)
    assert told["dollars_a_day"] == pytest.approx(2.0 * (7 + 4 * 1))
    assert (told["machine_failures"], told["lost_share"], told["most_spans_at_once"]) == (0, 0, 1)


@pytest.mark.usefixtures("calm")
def test_runs_that_take_longer_than_a_day_take_up_several_spans() -> None:
    year = simulated(line(hours=60))
    assert year.backlog == 3
    assert year.runs < DAYS / 2 and len(year.waits) == DAYS
    assert max(year.waits) < 2 * 65 + 24


@pytest.mark.usefixtures("calm")
def test_failures_cost_time_and_lose_no_span() -> None:
    good, bad = simulated(line()), simulated(line(failures=1 / 48))
    assert bad.failures > 5 and bad.lost > 0
    assert sum(bad.machine_hours.values()) > sum(good.machine_hours.values())
    assert len(bad.waits) >= DAYS - 1 and max(bad.waits) > max(good.waits)


@pytest.mark.usefixtures("calm")
def test_checkpoints_save_work() -> None:
    with_, without = (simulated(line(failures=1 / 10, checkpoint=hours)) for hours in (0.1, float("inf")))
    assert with_.lost < without.lost


@pytest.mark.usefixtures("calm")
def test_a_run_that_fails_too_often_is_given_up() -> None:
    year = simulated(line(failures=1.0))
    assert year.given_up == year.runs > 0 and year.waits == []
    assert year.failures == (RETRIES + 1) * year.runs


def test_late_and_refused_spans_are_served_later() -> None:
    year = simulated(line())
    assert 0 < year.refused < DAYS / 4
    assert max(year.waits) > 24 and len(year.waits) >= DAYS - 2


def test_the_seed_decides_everything() -> None:
    first, again, other = (figures(simulated(line(failures=0.01), seed=seed), DAYS) for seed in (1, 1, 2))
    assert first == again != other


def test_machines_share_the_work_per_picture() -> None:
    few, many = (costs(100, steps_of(readers=count, gpus=count)) for count in (1, 8))
    assert many["Beam"][0] < few["Beam"][0] / 7
    assert many["fingerprint"] == few["fingerprint"]
    # What does not depend on the number of pictures is paid for on every machine.
    assert many["training"][1] > few["training"][1]


def test_the_command_prints_the_figures() -> None:
    command = [sys.executable, "-m", "benchmarks.daily_retraining", "--days", "10", "--millions", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["runs"] >= 9 and set(told["steps"]) == {"fingerprint", "Beam", "training", "evaluation and push"}


def test_the_page_has_the_figures_of_the_simulation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architecture" / "08-scale.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) million \| (\d+), (\d+) \| (.*) \|$", page, re.MULTILINE)
    assert len(rows) == 5
    for millions, readers, gpus, told in rows:
        steps = steps_of(readers=int(readers), gpus=int(gpus))
        year = figures(Retraining(float(millions), steps, seed=0).simulate(365), 365)
        waits = ", ".join(f"{year[name]:.1f}" for name in ("wait_p50_h", "wait_p95_h", "wait_max_h"))
        rest = f"{year['most_spans_at_once']} | {year['busy_share']:.0%} | {year['dollars_a_day']:.0f}"
        assert told == f"{waits} h | {rest}"
    for name, (hours, dollars) in costs(100, steps_of(readers=8, gpus=8)).items():
        shown = "ExampleGen, statistics, Transform on Beam" if name == "Beam" else name
        row = re.search(rf"^\| {shown} \| [^|]+ \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
        assert row and (float(row[1]), float(row[2])) == pytest.approx((hours, dollars), abs=0.06)
