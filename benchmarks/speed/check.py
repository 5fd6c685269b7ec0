"""Whether the ratios hold that the repository has on record; times differ from one machine to the next."""

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
"""Share of a ratio that may be lost before it counts as a loss."""


def lost(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each ratio that has fallen too far; those that either side lacks are passed over."""
    for name in RATIOS:
        before, now = recorded.get(name), measured.get(name)
        if before is not None and now is not None and now < before * (1 - MOST_LOST):
            yield f"{name} is {now:.3g}, more than {MOST_LOST:.0%} below the {before:.3g} on record."


def compared(recorded: Mapping[str, Any], measured: Mapping[str, Any]) -> list[str]:
    """The names of the ratios that both have."""
    return [name for name in RATIOS if recorded.get(name) is not None and measured.get(name) is not None]
