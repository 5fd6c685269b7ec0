"""Whether a picture shows what a caption says, by a small network that reads pictures into embeddings of captions."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.layers import leaky
from models.photo_network import LEAST_SPREAD, normalised
from models.tensors import Tensor, to_float

SMALLEST = 4
"""Pixels along a side at which convolutions end."""


class CaptionJudge(keras.Model):
    """Guesses the embedding of a picture's caption, of which counts what it differs by from other captions'.

    It learns from pictures to train on, shares no weights with a generator, and so can tell of its drawings whether
    they show what they should.

    Args:
        picture_size: Side of a picture in pixels.
        embeddings: Of captions to train on, float32[n, embedding_size].
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
        """float32[b, s, s, 3] in -1..1 -> what `standardised` gives of the captions, float32[b, embedding_size]."""
        x = pictures
        for convolution in self.convolutions:
            x = convolution(x)
        return self.guess(ops.reshape(x, [-1, int(np.prod(x.shape[1:]))]))

    def standardised(self, embeddings: Tensor) -> Tensor:
        """What embeddings say beyond what all captions say; of the same shape."""
        return normalised((embeddings - self.mean) / self.spread)

    def agreement(self, pictures: Tensor, embeddings: Tensor, others: Tensor) -> Tensor:
        """How well pictures agree with their captions.

        Args:
            pictures: uint8[b, s, s, 3].
            embeddings: Of their captions, float32[b, embedding_size].
            others: Of some other captions, float32[m, embedding_size].

        Returns:
            float32[b] in 0..1: the share of the other captions that the picture shows less well than its own, with ties
            as halves; about 1/2 for pictures that have nothing to do with their captions.
        """
        guessed = self(to_float(pictures))
        own = ops.sum(guessed * self.standardised(embeddings), axis=-1, keepdims=True)
        theirs = ops.matmul(guessed, ops.transpose(self.standardised(others)))
        nearly = 1e-5 * ops.maximum(abs(own), 1e-3)
        wins, losses = (ops.cast(sign * (own - theirs) > nearly, "float32") for sign in (1, -1))
        return 0.5 + 0.5 * ops.mean(wins - losses, axis=-1)
