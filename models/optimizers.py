"""Muon for every kernel, and optimizers that average gradients over all workers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from models.backends import backend
from models.tensors import Tensor

LEAST_CHANNELS = 16

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


class OverWorkers:
    """Averages the gradients of all workers before an optimizer clips them.

    Each step then equals that of a single process on the whole batch, if the workers' shares of it are equal. Keras's
    own optimizers clip the gradients of each worker and add them up.
    """

    def _backend_apply_gradients(self, grads: list[Tensor], trainable_variables: list[Any]) -> None:
        mean = backend.mean_over_workers(grads)
        super()._backend_apply_gradients(mean, trainable_variables)  # type: ignore[misc]

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        return grads_and_vars


@keras.saving.register_keras_serializable(package="easel")
class Adam(OverWorkers, keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015) with gradients averaged over all workers."""


@keras.saving.register_keras_serializable(package="easel")
class KernelMuon(OverWorkers, keras.optimizers.Muon):
    """Muon (Jordan et al., 2024) that also updates convolution kernels, as matrices of (height * width * in, out).

    Keras's own Muon leaves these to Adam. This one leaves only biases, embeddings and convolution kernels with fewer
    than 16 input or output channels to Adam. Steps are scaled to the size of Adam's (Liu et al., 2025), so that one
    learning rate suits both.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == 4:
            return min(variable.shape[2:]) < LEAST_CHANNELS
        return bool(super()._should_use_adamw(variable))

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """Approximate the orthogonal matrix nearest to a kernel; returns the kernel's shape."""
        return ops.reshape(super().zeropower_via_newtonschulz5(as_matrix(x), steps), x.shape)

    def lr_adjust(self, x: Tensor) -> Tensor:
        """Scale a step to the size of Adam's."""
        return ops.reshape(super().lr_adjust(as_matrix(x)), x.shape)


def as_matrix(kernel: Tensor) -> Tensor:
    """[..., in, out] -> [... * in, out]."""
    return ops.reshape(kernel, [-1, kernel.shape[-1]])


def muon(rate: Rate, *, last_layers: Sequence[str] = (), average: float | None = None) -> KernelMuon:
    """The optimizer of every model but the critic; in a given time it reaches a lower loss than Adam.

    Args:
        rate: Learning rate, in the range that suits Adam.
        last_layers: Names of output layers, whose kernels are better left to Adam.
        average: Momentum of the moving average of weights with which training ends; None for the last weights.
    """
    return KernelMuon(
        rate,
        adam_beta_2=0.99,
        weight_decay=0.0,
        adam_weight_decay=0.0,
        exclude_layers=list(last_layers),
        clipnorm=1.0,
        use_ema=average is not None,
        ema_momentum=average or 0.0,
    )
