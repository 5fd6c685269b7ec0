"""Muon for every kernel, and optimizers that see one batch over all workers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from models.backends import backend
from models.tensors import Tensor

LEAST_CHANNELS = 16

Rate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule


class OverWorkers:
    """Gives an optimizer the mean gradients of all workers that share a batch, before it clips them.

    Each step is then the one that a single process would take on the whole batch, as long as the workers' shares of it
    are equal. Keras' own optimizers clip each worker's gradients and add them up.
    """

    def _backend_apply_gradients(self, grads: list[Tensor], trainable_variables: list[Any]) -> None:
        mean = backend.mean_over_workers(grads)
        super()._backend_apply_gradients(mean, trainable_variables)  # type: ignore[misc]

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        return grads_and_vars


@keras.saving.register_keras_serializable(package="easel")
class Adam(OverWorkers, keras.optimizers.Adam):
    """Adam (Kingma and Ba, 2015) over all workers."""


@keras.saving.register_keras_serializable(package="easel")
class KernelMuon(OverWorkers, keras.optimizers.Muon):
    """Muon (Jordan et al., 2024) that also takes kernels of convolutions, as matrices of (height * width * in, out).

    Keras' own leaves them to Adam, as this one leaves biases, embeddings and kernels of convolutions with fewer than 16
    channels on either side. Steps are scaled as Adam's are (Liu et al., 2025), so that one rate serves both.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == 4:
            return min(variable.shape[2:]) < LEAST_CHANNELS
        return bool(super()._should_use_adamw(variable))

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        """The nearest orthogonal matrix, about, to a kernel; the kernel's shape."""
        return ops.reshape(super().zeropower_via_newtonschulz5(as_matrix(x), steps), x.shape)

    def lr_adjust(self, x: Tensor) -> Tensor:
        """A step as large as Adam's would be."""
        return ops.reshape(super().lr_adjust(as_matrix(x)), x.shape)


def as_matrix(kernel: Tensor) -> Tensor:
    """[..., in, out] -> [... * in, out]."""
    return ops.reshape(kernel, [-1, kernel.shape[-1]])


def muon(rate: Rate, *, last_layers: Sequence[str] = (), average: float | None = None) -> KernelMuon:
    """What every model but the critic is trained with: in a given time it went farther than Adam.

    Args:
        rate: As Adam's.
        last_layers: Names of layers that end a network, whose kernels are better left to Adam.
        average: Momentum of the moving average of the weights that training leaves behind; None for the last weights.
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
