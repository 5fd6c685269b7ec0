"""The regression check: ratios are compared with those on record. Times would depend on the machine."""

from collections.abc import Iterator, Mapping
from typing import Any

RATIOS = (
    "vs_keras",
    "decoding_vs_torch",
    "inference_served_vs_best_min",
    "inference_vs_torch_min",
    "training_vs_torch_min",
)
MOST_LOST = 0.2
"""The relative loss of a ratio that is tolerated."""


def lost(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each ratio that has fallen too far; ratios that only one side has are skipped."""
    for name in RATIOS:
        before, now = recorded.get(name), measured.get(name)
        if before is not None and now is not None and now < before * (1 - MOST_LOST):
            yield f"{name} is {now:.3g}, more than {MOST_LOST:.0%} below the {before:.3g} on record."


def compared(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> list[str]:
    """The names of the ratios that both sides have."""
    return [name for name in RATIOS if recorded.get(name) is not None and measured.get(name) is not None]
