"""Alternating timing, in which other load on the machine affects all sides alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

WIDEST = 0.25
"""The maximum interquartile range of the rounds, as a share of their median, at which a figure is reported."""
ROUNDS, FEWEST = 9, 3
SECONDS = 0.05
PATIENCE = 20.0
"""Seconds after which the number of rounds is reduced, down to `FEWEST`."""
TRIES = 5


class Timing(NamedTuple):
    """The duration of one call.

    Attributes:
        ms: Milliseconds, the median of the rounds.
        spread: The interquartile range of the rounds, as a share of the median.
    """

    ms: float
    spread: float


class UnsteadyError(Exception):
    """The rounds of a side vary too much; the message is one sentence.

    Attributes:
        steady: The timings of the sides whose rounds do not.
    """

    def __init__(self, message: str, steady: dict[str, Timing]) -> None:
        super().__init__(message)
        self.steady = steady


def in_turn(
    sides: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, Timing]:
    """Time functions alternately, one round of each after the other.

    Args:
        sides: Functions by name; each is called twice before the first round, so that compilation is not timed.
        rounds: Number of rounds; slow sides get fewer.
        seconds: Minimum duration of a round.

    Returns:
        The timing of each function.

    Raises:
        UnsteadyError: In the last attempt, the rounds of a side still vary by more than `WIDEST`.
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
    """The duration of the second call."""
    run()
    return milliseconds(run, 1)


def milliseconds(run: Callable[[], object], calls: int) -> float:
    """The duration of a call, the median of several, so that an interruption of one does not count."""
    ends = [time.perf_counter()]
    for _ in range(calls):
        run()
        ends.append(time.perf_counter())
    return 1000 * statistics.median(end - start for start, end in pairwise(ends))


def timing(values: list[float]) -> Timing:
    """The timing from the durations of at least two rounds."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(middle, (high - low) / middle)
