"""The functions for TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

if TYPE_CHECKING:
    from models.training import Losses, Training, Update

normal = tf.random.stateless_normal
uniform = tf.random.stateless_uniform


def product(x: tf.Tensor, y: tf.Tensor, *, transpose_x: bool = False, transpose_y: bool = False) -> tf.Tensor:
    """Products of small matrices, [..., n, m] and [..., m, k], or of their transposes, in batches.

    TensorFlow replaces `tf.matmul` by oneDNN's product, which takes 50 to 100 microseconds even for one small matrix.
    """
    return tf.raw_ops.BatchMatMulV3(x=x, y=y, Tout=x.dtype, adj_x=transpose_x, adj_y=transpose_y)


def by_row(draw: Callable[[tf.Tensor], tf.Tensor], seeds: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Random numbers from the seed of each row, int64[b]: float32[b, *shape]."""
    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def in_xla() -> bool:
    """Whether XLA compiles the function being traced; TensorFlow has no public API for this."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def resize(pictures: tf.Tensor, size: Sequence[int | tf.Tensor]) -> tf.Tensor:
    """Bilinear resize to a height and a width that may be tensors, which Keras's own does not accept."""
    return tf.image.resize(pictures, size)


def repeated(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, times: int) -> tf.Tensor:
    """Apply a function repeatedly."""
    for _ in range(times):
        x = function(x)
    return x


def mean_over_workers(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """The mean of the gradients over the workers of a `tf.distribute` strategy."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return gradients
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)


def train_step(training: Training, batch: Any) -> Losses:
    """Take a training step."""
    reported: Losses = {}
    for update in training.updates():
        reported |= apply(update, batch)
    return reported


def apply(update: Update, batch: Any) -> Losses:
    """Take one update of a step."""
    with tf.GradientTape() as tape:
        loss, losses = update.loss(batch)
    update.optimizer.apply(gradients_of(loss, update.variables, tape), update.variables)
    return losses


def gradients_of(loss: tf.Tensor, variables: list[keras.Variable], tape: tf.GradientTape) -> list[tf.Tensor]:
    """Gradients of a loss, with zeros for Keras variables that do not affect it."""
    # The tape cannot create zeros for Keras's own class of variables.
    sources = [variable.value for variable in variables]
    return tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
