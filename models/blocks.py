"""Keras LSTM layers run by TensorFlow's block operation: one operation for any number of pieces, not twenty for each.

It computes the same, on a CPU and on a GPU, and the stock TensorFlow Serving has it. XLA does not.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

State = list[tf.Tensor]


class Block(NamedTuple):
    """The weights of an LSTM layer as the operation wants them.

    Attributes:
        kernel: float32[inputs + width, 4 width], of the input and of the last output.
        bias: float32[4 width].
    """

    kernel: tf.Tensor
    bias: tf.Tensor


def block_of(layer: keras.layers.LSTM) -> Block:
    """The weights of a layer with the default activations; ask for them outside of a loop."""
    cell = layer.cell
    kernel = tf.concat([tf.convert_to_tensor(cell.kernel), tf.convert_to_tensor(cell.recurrent_kernel)], axis=0)
    return Block(in_block_order(kernel), in_block_order(tf.convert_to_tensor(cell.bias)))


def in_block_order(weights: tf.Tensor) -> tf.Tensor:
    """Keras has the gates as input, forget, cell, output; the operation has cell and forget the other way round."""
    first, forget, cell, last = tf.split(weights, 4, axis=-1)
    return tf.concat([first, cell, forget, last], axis=-1)


def read_block(block: Block, x_TxBxC: tf.Tensor, state: State, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Read on, for inference.

    Args:
        block: The weights.
        x_TxBxC: float32.
        state: Output and memory so far, float32[b, width] each.
        length: int64, how many of the time steps to read; what is given after them is zero.

    Returns:
        What the layer gives and what it remembers after each step, float32[t, b, width] each.
    """
    output, memory = state
    nothing = tf.zeros_like(block.bias[: block.bias.shape[0] // 4])
    read = tf.raw_ops.BlockLSTM(
        seq_len_max=length,
        x=x_TxBxC,
        cs_prev=memory,
        h_prev=output,
        w=block.kernel,
        wci=nothing,
        wcf=nothing,
        wco=nothing,
        b=block.bias,
        forget_bias=0.0,
        cell_clip=-1.0,
    )
    return read.h, read.cs
