"""What photographs are judged by in training: whether they look real, and which of a batch's captions they fit."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from models.layers import leaky
from models.photo_network import sides_of, widths_of
from models.tensors import Tensor

MEANING = 128
"""Width of what is compared between pictures and captions."""
TRAITS, TRAIT_SIZE = 16, 8
"""What pictures of a batch are compared by: how many traits, of how many numbers each."""


class Opinion(NamedTuple):
    """What a critic says.

    Attributes:
        scores: How real pictures look for their captions, float32[b].
        shown: What pictures show, float32[b, `MEANING`], unit vectors.
        told: What captions say, likewise.
    """

    scores: Tensor
    shown: Tensor
    told: Tensor


class Halving(keras.layers.Layer):
    """A residual block to half the resolution.

    Args:
        taken: Channels that go in.
        width: Channels that come out.
    """

    def __init__(self, taken: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = convolution(taken, dtype=self.dtype_policy)
        self.second = convolution(width, dtype=self.dtype_policy)
        self.past = keras.layers.Conv2D(width, 1, use_bias=False, dtype=self.dtype_policy)

    def call(self, x: Tensor) -> Tensor:
        """[b, h, w, taken] -> [b, h / 2, w / 2, width]."""
        seen = self.second(ops.average_pool(self.first(x), 2, 2))
        return (seen + self.past(ops.average_pool(x, 2, 2))) * float(np.sqrt(0.5))


class PhotoCritic(keras.Model):
    """A residual projection discriminator (Miyato and Koyama, 2018) that sees how many pictures of a batch are alike.

    Without minibatch discrimination (Salimans et al., 2016) the generator soon drew one picture a caption: a deviation
    over the batch (Karras et al., 2018) does not tell, since the captions of a batch differ.

    Args:
        picture_size: Side of a picture in pixels.
        embedding_size: Width of a caption embedding.
        width: Channels of the finest level; each coarser one has twice as many.
        most_width: Most channels of a level.
        block: Pictures are folded into blocks of this side first.
    """

    def __init__(
        self, picture_size: int, embedding_size: int, *, width: int, most_width: int, block: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.block = block
        policy = self.dtype_policy
        widths = widths_of(len(sides_of(picture_size // block)), width, most_width)[::-1]
        self.enter = convolution(width, dtype=policy)
        self.halvings = [Halving(*pair, dtype=policy) for pair in itertools.pairwise(widths)]
        self.leave = convolution(most_width, dtype=policy)
        self.traits = keras.layers.Dense(TRAITS * TRAIT_SIZE)
        self.features = keras.layers.Dense(most_width, activation=leaky, dtype=policy)
        self.realism = keras.layers.Dense(1)
        self.projection = keras.layers.Dense(most_width + TRAITS)
        self.shown = keras.layers.Dense(MEANING)
        self.told = keras.layers.Dense(MEANING)
        self([keras.Input(batch_shape=[1, *shape]) for shape in ([picture_size, picture_size, 3], [embedding_size])])

    def call(self, inputs: Sequence[Tensor]) -> Opinion:
        """Pictures float32[b, s, s, 3] in -1..1 and embeddings, float32[b, d], as `PhotoNetwork.standardised`."""
        pictures, embedding = inputs
        x = self.enter(ops.space_to_depth(pictures, self.block) if self.block > 1 else pictures)
        for halving in self.halvings:
            x = halving(x)
        x = self.leave(x)
        features = ops.cast(self.features(ops.reshape(x, [-1, int(np.prod(x.shape[1:]))])), "float32")
        features = ops.concatenate([features, closeness(self.traits(features))], axis=-1)
        match = ops.sum(features * self.projection(embedding), axis=-1) / np.sqrt(features.shape[-1])
        return Opinion(
            self.realism(features)[:, 0] + match,
            ops.normalize(self.shown(features)),
            ops.normalize(self.told(embedding)),
        )


def convolution(width: int, **kwargs: Any) -> keras.layers.Conv2D:
    """A convolution of 3x3 with a leaky ReLU."""
    return keras.layers.Conv2D(width, 3, padding="same", activation=leaky, kernel_initializer="he_normal", **kwargs)


def closeness(traits: Tensor) -> Tensor:
    """How close each picture of a batch is to the others in each trait: [b, `TRAITS` * `TRAIT_SIZE`] -> [b, `TRAITS`].

    8 where all are the same, near 0 where none is like another.
    """
    apart = ops.reshape(traits, [-1, TRAITS, TRAIT_SIZE])
    distances = ops.sum(abs(apart[:, None] - apart[None]), axis=-1)
    return 8 * ops.mean(ops.exp(-distances), axis=1)
