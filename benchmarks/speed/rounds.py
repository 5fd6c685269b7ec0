"""Timing in turn: whatever else the machine does meets all sides alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

WIDEST = 0.25
"""Most that the middle half of the rounds may spread, as a share of their median, for a figure to be reported."""
ROUNDS, FEWEST = 9, 3
SECONDS = 0.05
PATIENCE = 20.0
"""Seconds after which there are fewer rounds, down to `FEWEST`."""
TRIES = 5


class Timing(NamedTuple):
    """How long one call takes.

    Attributes:
        ms: Milliseconds, the median of the rounds.
        spread: Between the quartiles of the rounds, as a share of the median.
    """

    ms: float
    spread: float


class UnsteadyError(Exception):
    """A machine on which a time cannot be told; the message is one sentence.

    Attributes:
        steady: The timings of the sides that could be told all the same.
    """

    def __init__(self, message: str, steady: dict[str, Timing]) -> None:
        super().__init__(message)
        self.steady = steady


def in_turn(
    sides: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, Timing]:
    """Time functions in turn, a round of each after a round of the other.

    Args:
        sides: Functions by name; each is called twice before the first round, which also compiles what is compiled.
        rounds: Rounds of each; slow sides get fewer.
        seconds: What a round of one side lasts at least.

    Returns:
        The timing of each.

    Raises:
        UnsteadyError: If the rounds of a side still spread more than `WIDEST` at the last try.
    """
    warm = {name: warmed(run) for name, run in sides.items()}
    calls = {name: max(1, round(seconds * 1000 / ms)) for name, ms in warm.items()}
    a_round = sum(warm[name] * calls[name] for name in sides) / 1000
    count = min(rounds, max(FEWEST, int(PATIENCE / a_round)))
    timings: dict[str, Timing] = {}
    for _ in range(TRIES):
        seen: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(count):
            for name, run in sides.items():
                seen[name].append(milliseconds(run, calls[name]))
        timings = {name: timing(values) for name, values in seen.items()}
        if all(timing.spread <= WIDEST for timing in timings.values()):
            return timings
    name = max(timings, key=lambda name: timings[name].spread)
    raise UnsteadyError(
        f"the rounds of {name!r} spread by {timings[name].spread:.0%} of their median, above {WIDEST:.0%}: "
        "measure on idle cores",
        {side: timing for side, timing in timings.items() if timing.spread <= WIDEST},
    )


def warmed(run: Callable[[], object]) -> float:
    """The time of the second call."""
    run()
    return milliseconds(run, 1)


def milliseconds(run: Callable[[], object], calls: int) -> float:
    """The time of a call, the median of several: what interrupts one of them does not count."""
    ends = [time.perf_counter()]
    for _ in range(calls):
        run()
        ends.append(time.perf_counter())
    return 1000 * statistics.median(end - start for start, end in pairwise(ends))


def timing(values: list[float]) -> Timing:
    """Of the times of at least two rounds."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(middle, (high - low) / middle)
