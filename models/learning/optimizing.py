"""How fast a training learns: its learning rate, its optimizer and the average of its weights."""

from collections.abc import Sequence

from models.learning.fit import Cosine
from models.optimizers import KernelMuon, muon


def averaging_muon(rate: float, steps: int, *, last_layers: Sequence[str]) -> KernelMuon:
    """Muon (Jordan et al., 2024) that leaves an exponential moving average of the weights behind.

    Its steps are orthogonal matrices, which break the symmetry between slots several times sooner than Adam's do.

    Args:
        rate: Peak of the learning rate.
        steps: Of the training.
        last_layers: Names of layers that end a network, whose weights are left to Adam.
    """
    return muon(Cosine(rate, steps, floor=0.02), last_layers=last_layers, average=averaging_over(steps))


def averaging_over(steps: int) -> float:
    """The momentum of an average of the weights, such that a short training forgets the first ones."""
    return min(0.998, max(0.0, 1 - 20 / steps))
