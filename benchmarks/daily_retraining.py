"""Simulates a year of daily retraining on more pictures than one machine holds, with failures and late data.

    python -m benchmarks.daily_retraining --millions 100 --days 365 --seed 0

A discrete-event simulation (SimPy): a span is due every day and may arrive late; a run starts when a span waits and no
run is active, and trains on the whole window of spans; machines fail, steps resume from their last checkpoint, and a
run that fails too often is given up until the next span. Rates are those measured in docs/architecture/08-scale.md and
docs/results.md; prices, failures and lateness are assumptions, given below.
"""

import argparse
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

RETRY_HOURS, RETRIES = 10 / 60, 3
"""Pause before a failed step is repeated, and how often this happens in a run, as in the Airflow DAG."""
LATE, LATE_HOURS = 0.1, 8.0
"""Share of the spans that are late, and their mean delay."""
REFUSED = 0.03
"""Share of the runs whose models miss a threshold; their spans are used by the next run."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine.

    Attributes:
        name: What the table calls it.
        dollars: Price of an hour, a round figure for renting one on demand.
        failures: How often one fails in an hour.
    """

    name: str
    dollars: float
    failures: float = 1 / 720


@dataclass(frozen=True)
class Step:
    """A step of a run.

    Attributes:
        name: What the table calls it.
        machine: The kind of machine it needs.
        count: How many of them, which share the work per picture.
        hours: Hours that do not depend on the number of pictures.
        seconds_per_million: Seconds of one machine for a million pictures.
        checkpoint: Hours between checkpoints; a failure loses the work since the last one. Infinite for a step without.
    """

    name: str
    machine: Machine
    count: int
    hours: float
    seconds_per_million: float
    checkpoint: float = float("inf")

    def duration(self, millions: float) -> float:
        """Hours for so many pictures, without failures."""
        return self.hours + self.seconds_per_million * millions / 3600 / self.count


CPU, GPU = Machine("16 cores", 0.80), Machine("H200", 4.00)


def steps_of(*, readers: int, gpus: int) -> tuple[Step, ...]:
    """The steps of a run, with so many machines for Beam and GPUs for training.

    Reading was measured on two cores with 32x32 pictures (the slope from 10,000 to 100,000), and training on one H200
    with 64x64 pictures; training makes one pass over the window.
    """
    return (
        Step("fingerprint", CPU, 1, 0.0, 110),
        Step("Beam", CPU, readers, 0.01, 1024 * 2 / 16, checkpoint=0.1),
        Step("training", GPU, gpus, 0.25, 165, checkpoint=0.25),
        Step("evaluation and push", CPU, 1, 0.3, 0),
    )


@dataclass
class Year:
    """What happened.

    Attributes:
        waits: Hours from when a span was due until a model trained on it was served.
        backlog: The largest number of spans that one run took up.
        runs, refused, given_up, failures: How many runs there were, how many of them were refused or given up, and how
            many machines failed.
        machine_hours: Hours by kind of machine.
        lost: Machine hours whose work a failure lost.
        busy: Hours in which a run was active.
    """

    waits: list[float] = field(default_factory=list)
    backlog: int = 0
    runs: int = 0
    refused: int = 0
    given_up: int = 0
    failures: int = 0
    machine_hours: dict[Machine, float] = field(default_factory=dict)
    lost: float = 0.0
    busy: float = 0.0


class Retraining:
    """The simulated line.

    Args:
        millions: Pictures in a full window.
        steps: Steps of a run, one after the other.
        seed: Seed of failures, delays and refusals.
    """

    def __init__(self, millions: float, steps: Sequence[Step], *, seed: int) -> None:
        self.millions = millions
        self.steps = steps
        self.random = np.random.default_rng(seed)
        self.env = simpy.Environment()
        self.waiting: list[float] = []
        self.arrived = self.env.event()
        self.year = Year()

    def simulate(self, days: int) -> Year:
        """So many days, and then until every span that arrived is served or no run is active."""
        for day in range(days):
            self.env.process(self.arrive(24.0 * day))
        self.env.process(self.retrain())
        self.env.run()
        return self.year

    def arrive(self, due: float) -> Generator[simpy.Event, Any, None]:
        """A span, on time or late."""
        late = self.random.random() < LATE
        yield self.env.timeout(due + (self.random.exponential(LATE_HOURS) if late else 0.0))
        self.waiting.append(due)
        self.arrived.succeed()
        self.arrived = self.env.event()

    def retrain(self) -> Generator[simpy.Event, Any, None]:
        """One run after the other; each takes up all spans that wait."""
        while True:
            if not self.waiting:
                yield self.arrived
            taken, self.waiting = self.waiting, []
            self.year.backlog = max(self.year.backlog, len(taken))
            started = self.env.now
            finished = yield self.env.process(self.run())
            self.year.busy += self.env.now - started
            if finished:
                self.year.waits += [self.env.now - due for due in taken]
                continue
            # The same data would give the same result, so these spans wait for another one.
            if not self.waiting:
                yield self.arrived
            self.waiting = [*taken, *self.waiting]

    def run(self) -> Generator[simpy.Event, Any, bool]:
        """One run; its value is whether its models are served."""
        self.year.runs += 1
        left = RETRIES
        for step in self.steps:
            hours = step.duration(self.millions)
            while (lost := self.failure(step, hours)) is not None:
                spent, hours = lost.spent, hours - lost.kept
                self.account(step, spent)
                self.year.failures += 1
                self.year.lost += (spent - lost.kept) * step.count
                yield self.env.timeout(spent)
                if not left:
                    self.year.given_up += 1
                    return False
                left -= 1
                yield self.env.timeout(RETRY_HOURS)
            self.account(step, hours)
            yield self.env.timeout(hours)
        refused = self.random.random() < REFUSED
        self.year.refused += refused
        return not refused

    def failure(self, step: Step, hours: float) -> "Failure | None":
        """The first failure of a machine in so many hours of a step, if there is one."""
        spent = self.random.exponential(1 / (step.machine.failures * step.count)) if step.machine.failures else hours
        if spent >= hours:
            return None
        return Failure(spent, spent // step.checkpoint * step.checkpoint if spent >= step.checkpoint else 0.0)

    def account(self, step: Step, hours: float) -> None:
        """Count the hours of a step's machines."""
        counted = self.year.machine_hours.get(step.machine, 0.0)
        self.year.machine_hours[step.machine] = counted + hours * step.count


@dataclass(frozen=True)
class Failure:
    """A failure: hours since the step began or was repeated, and how many of them its checkpoint keeps."""

    spent: float
    kept: float


def figures(year: Year, days: int) -> dict[str, float]:
    """The figures of a simulation by name; waits in hours, costs in dollars a day."""
    hours, total = year.machine_hours, sum(year.machine_hours.values())
    return {
        "runs": year.runs,
        "refused": year.refused,
        "given_up": year.given_up,
        "machine_failures": year.failures,
        "wait_p50_h": float(np.percentile(year.waits, 50)) if year.waits else float("nan"),
        "wait_p95_h": float(np.percentile(year.waits, 95)) if year.waits else float("nan"),
        "wait_max_h": max(year.waits, default=float("nan")),
        "most_spans_at_once": year.backlog,
        "busy_share": year.busy / (24 * days),
        "lost_share": year.lost / total if total else 0.0,
        "dollars_a_day": sum(machine.dollars * spent for machine, spent in hours.items()) / days,
    }


def costs(millions: float, steps: Sequence[Step]) -> dict[str, tuple[float, float]]:
    """Hours and dollars of each step of one run without failures."""
    return {
        step.name: (hours, hours * step.count * step.machine.dollars)
        for step in steps
        for hours in [step.duration(millions)]
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=100, help="pictures of a run, in millions")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", type=int, default=8, help="machines that run Beam")
    parser.add_argument("--gpus", type=int, default=8)
    options = parser.parse_args()
    steps = steps_of(readers=options.readers, gpus=options.gpus)
    year = Retraining(options.millions, steps, seed=options.seed).simulate(options.days)
    told = {"steps": costs(options.millions, steps), **figures(year, options.days)}
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
