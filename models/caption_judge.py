"""A measure of how well pictures match captions: a small network that predicts caption embeddings from pictures."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.layers import leaky
from models.photo_network import LEAST_SPREAD, normalised
from models.tensors import Tensor, to_float

SMALLEST = 4
"""Side of the last feature map."""


class CaptionJudge(keras.Model):
    """Predicts the standardised embedding of a picture's caption.

    It is trained on the training pictures and shares no weights with the generator whose drawings it judges.

    Args:
        picture_size: Side of a picture in pixels.
        embeddings: Embeddings of training captions, float32[n, embedding_size].
        width: Channels of the finest level.
    """

    def __init__(self, picture_size: int, embeddings: NDArray[np.float32], *, width: int = 24, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        deviation = embeddings.std(axis=0)
        self.mean = embeddings.mean(axis=0)
        self.spread = np.maximum(deviation, LEAST_SPREAD * deviation.max() + 1e-6)
        levels = max(1, (picture_size // SMALLEST).bit_length() - 1)
        self.convolutions = [
            keras.layers.Conv2D(width * 2 ** min(level, 3), 3, strides=2, padding="same", activation=leaky)
            for level in range(levels)
        ]
        self.guess = keras.layers.Dense(embeddings.shape[-1])
        self(ops.zeros([1, picture_size, picture_size, 3]))

    def call(self, pictures: Tensor) -> Tensor:
        """float32[b, s, s, 3] in -1..1 -> standardised embeddings, float32[b, embedding_size]."""
        x = pictures
        for convolution in self.convolutions:
            x = convolution(x)
        return self.guess(ops.reshape(x, [-1, int(np.prod(x.shape[1:]))]))

    def standardised(self, embeddings: Tensor) -> Tensor:
        """Embeddings relative to the mean and deviation of the training captions; the same shape."""
        return normalised((embeddings - self.mean) / self.spread)

    def agreement(self, pictures: Tensor, embeddings: Tensor, others: Tensor) -> Tensor:
        """Rank the captions of pictures among other captions.

        Args:
            pictures: uint8[b, s, s, 3].
            embeddings: Embeddings of their captions, float32[b, embedding_size].
            others: Embeddings of other captions, float32[m, embedding_size].

        Returns:
            float32[b] in 0..1: the share of the other captions that match the picture less well than its own; ties
            count as half. About 1/2 for pictures that are unrelated to their captions.
        """
        guessed = self(to_float(pictures))
        own = ops.sum(guessed * self.standardised(embeddings), axis=-1, keepdims=True)
        theirs = ops.matmul(guessed, ops.transpose(self.standardised(others)))
        nearly = 1e-5 * ops.maximum(abs(own), 1e-3)
        wins, losses = (ops.cast(sign * (own - theirs) > nearly, "float32") for sign in (1, -1))
        return 0.5 + 0.5 * ops.mean(wins - losses, axis=-1)
