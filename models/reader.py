"""Encodes a caption as a few slots, each of which describes one part of a picture."""

from typing import Any

import keras
import numpy as np
from keras import ops

from models.backends import backend
from models.layers import apart, attention, small_softmax, together
from models.tensors import Tensor
from models.vocabulary import PAD


@keras.saving.register_keras_serializable(package="easel")
class CaptionReader(keras.layers.Layer):
    """Self-attention over pieces (Vaswani et al., 2017), then learned queries that pool them into slots.

    A sentence about two objects binds each colour to its shape and each shape to its place. A single vector confuses
    these; slots (as in DETR, Carion et al. 2020) keep them apart.

    Args:
        slots: Number of slots.
        slot_size: Width of a slot, a multiple of `heads`.
        width: Channels of a piece, a multiple of `heads`.
        depth: Number of self-attention blocks.
        heads: Number of attention heads, in the blocks and for the query of each slot.
        length: Maximum number of pieces in a caption.
    """

    def __init__(
        self, *, slots: int, slot_size: int, width: int, depth: int, length: int, heads: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if width % heads or slot_size % heads:
            raise ValueError(f"width {width} and slot_size {slot_size} must be multiples of heads, {heads}.")
        self.slots = slots
        self.slot_size = slot_size
        self.width = width
        self.depth = depth
        self.length = length
        self.heads = heads
        self.enter = keras.layers.Dense(width)
        self.places = keras.layers.Embedding(length, width, embeddings_initializer=keras.initializers.RandomNormal(0.5))
        self.blocks = [AttentionBlock(width, heads) for _ in range(depth)]
        self.leave = keras.layers.LayerNormalization()
        self.keys = keras.layers.Dense(width)
        self.values = keras.layers.Dense(slot_size)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the queries; `shape` is that of the pieces."""
        size = self.width // self.heads
        self.queries = self.add_weight(
            shape=(self.slots, self.heads, size),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="queries",
        )
        super().build(shape)

    def call(self, pieces_BxTxC: Tensor, ids_BxT: Tensor) -> Tensor:
        """Encode captions.

        Args:
            pieces_BxTxC: Features of the pieces, float32.
            ids_BxT: Ids of the pieces; PAD is masked.

        Returns:
            The concatenated slots, float32[b, slots * slot_size].
        """
        attention_HxBxKxT, x_BxTxC = self.attend(pieces_BxTxC, ids_BxT)
        slots = backend.product(attention_HxBxKxT, apart(self.values(x_BxTxC), self.heads))
        return ops.reshape(together(slots), [-1, self.slots * self.slot_size])

    def attend(self, pieces_BxTxC: Tensor, ids_BxT: Tensor) -> tuple[Tensor, Tensor]:
        """Attention weights of each slot, float32[heads, b, slots, t], and the contextual features of the pieces."""
        unread = -1e9 * ops.cast(ops.equal(ids_BxT, PAD), pieces_BxTxC.dtype)[:, None]
        x = self.enter(pieces_BxTxC) + self.places(ops.arange(ops.shape(ids_BxT)[1]))
        for block in self.blocks:
            x = block(x, unread)
        x = self.leave(x)
        queries = ops.transpose(self.queries, [1, 0, 2])[:, None] / np.sqrt(self.width / self.heads)
        return small_softmax(backend.product(queries, apart(self.keys(x), self.heads), transpose_y=True) + unread), x


@keras.saving.register_keras_serializable(package="easel")
class AttentionBlock(keras.layers.Layer):
    """A transformer block with pre-normalisation: self-attention and a small network."""

    def __init__(self, width: int, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.heads = heads
        self.before_attention = keras.layers.LayerNormalization()
        self.project = keras.layers.Dense(3 * width)
        self.collect = keras.layers.Dense(width)
        self.before_network = keras.layers.LayerNormalization()
        self.widen = keras.layers.Dense(2 * width, activation="gelu")
        self.narrow = keras.layers.Dense(width)

    def call(self, x_BxTxC: Tensor, unread_Bx1xT: Tensor) -> Tensor:
        """float32[b, t, width] -> the same shape; `unread_Bx1xT` is added to the attention scores."""
        queries, keys, values = ops.split(self.project(self.before_attention(x_BxTxC)), 3, axis=-1)
        x_BxTxC = x_BxTxC + self.collect(attention(queries, keys, values, self.heads, unread_Bx1xT))
        return x_BxTxC + self.narrow(self.widen(self.before_network(x_BxTxC)))
