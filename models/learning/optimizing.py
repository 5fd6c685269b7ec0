"""How fast a training learns: its learning rate, its optimizer and the average of its weights."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.optimizers import KernelMuon, muon
from models.tensors import Tensor


@keras.saving.register_keras_serializable(package="easel")
class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises over the first 100 steps, at most a tenth of all, and falls along a cosine.

    At `steps` it has come down to `floor` of its peak.
    """

    def __init__(self, peak: float, steps: int, *, floor: float) -> None:
        self.peak = peak
        self.steps = steps
        self.floor = floor

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at a step."""
        step = ops.cast(step, "float32")
        fall = 0.5 * (1 + ops.cos(np.pi * ops.minimum(step / self.steps, 1.0)))
        rise = max(1, min(100, self.steps // 10))
        return self.peak * ops.minimum(1.0, (step + 1) / rise) * (self.floor + (1 - self.floor) * fall)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {"peak": self.peak, "steps": self.steps, "floor": self.floor}


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
