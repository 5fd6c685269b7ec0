"""PSNR and SSIM of pictures in uint8."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

MAX_PSNR = 100.0


def psnr(pictures: NDArray[Any], references: NDArray[Any]) -> NDArray[np.float32]:
    """Peak signal-to-noise ratio, 10 log10(255² / MSE).

    Args:
        pictures: (n, h, w, c), values 0..255.
        references: The same shape.

    Returns:
        float32[n], in dB; 100 for equal pictures.
    """
    return np.asarray(psnr_in_graph(tf.constant(pictures), tf.constant(references)))


def ssim(pictures: NDArray[Any], references: NDArray[Any]) -> NDArray[np.float32]:
    """Structural similarity (Wang et al., 2004) with an 11x11 Gaussian window of standard deviation 1.5.

    Args:
        pictures: (n, h, w, c), values 0..255, sides from 11.
        references: The same shape.

    Returns:
        float32[n] in -1..1; 1 for equal pictures.
    """
    return np.asarray(ssim_in_graph(tf.constant(pictures), tf.constant(references)))


def psnr_in_graph(pictures: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
    """`psnr` on tensors."""
    first, second = (tf.cast(x, tf.float32) for x in (pictures, references))
    return tf.minimum(tf.image.psnr(first, second, max_val=255.0), MAX_PSNR)


def ssim_in_graph(pictures: tf.Tensor, references: tf.Tensor) -> tf.Tensor:
    """`ssim` on tensors."""
    first, second = (tf.cast(x, tf.float32) for x in (pictures, references))
    return keras.ops.image.ssim(first, second, max_val=255.0)
