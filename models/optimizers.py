"""Muon for convolutions."""

from typing import Any

import keras
import tensorflow as tf

LEAST_CHANNELS = 16


@keras.saving.register_keras_serializable(package="easel")
class ConvolutionMuon(keras.optimizers.Muon):
    """Muon (Jordan et al., 2024) that also takes kernels of convolutions, as matrices of (height * width * in, out).

    Keras' own leaves them to Adam, as this one leaves biases and kernels with fewer than 16 channels on either side.
    Steps are scaled as Adam's are (Liu et al., 2025), so that one rate serves both.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4 or min(variable.shape[2:]) < LEAST_CHANNELS

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        """The nearest orthogonal matrix, about, to a kernel; the kernel's shape."""
        return tf.reshape(super().zeropower_via_newtonschulz5(as_matrix(x), steps), x.shape)

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        """A step as large as Adam's would be."""
        return tf.reshape(super().lr_adjust(as_matrix(x)), x.shape)


def as_matrix(kernel: tf.Tensor) -> tf.Tensor:
    """[h, w, in, out] -> [h * w * in, out]."""
    return tf.reshape(kernel, [-1, kernel.shape[-1]])
