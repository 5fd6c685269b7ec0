"""The optimizer of trainings: its learning rate and the average of the weights."""

from collections.abc import Sequence

from models.learning.fit import Cosine
from models.optimizers import KernelMuon, muon


def averaging_muon(rate: float, steps: int, *, last_layers: Sequence[str]) -> KernelMuon:
    """Muon (Jordan et al., 2024) with an exponential moving average of the weights, with which training ends.

    Its steps are orthogonal matrices, which break the symmetry between slots several times sooner than Adam's.

    Args:
        rate: Peak of the learning rate.
        steps: Number of training steps.
        last_layers: Names of output layers, whose weights are left to Adam.
    """
    return muon(Cosine(rate, steps, floor=0.02), last_layers=last_layers, average=averaging_over(steps))


def averaging_over(steps: int) -> float:
    """The momentum of the moving average, small enough that a short training forgets its first weights."""
    return min(0.998, max(0.0, 1 - 20 / steps))
