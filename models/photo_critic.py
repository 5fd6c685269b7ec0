"""The critic of photographs in training: whether they look real, and which caption of the batch they match."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from models.frozen_features import LEVELS, FrozenFeatures
from models.layers import leaky
from models.photo_network import sides_of, widths_of
from models.tensors import Tensor

MEANING = 128
"""Width of the joint embedding of pictures and captions."""
TRAITS, TRAIT_SIZE = 16, 8
"""Minibatch discrimination: the number of traits by which pictures of a batch are compared, and the size of each."""
ALIKE = 0.9
"""Cosine similarity from which two captions count as the same."""
OTHERS = 0.05
"""Minibatch discrimination: weight of pictures with other captions, beside 1 for those with the same."""
FROZEN_WIDTH, FROZEN_SIDE = 32, 4
"""Channels and side to which each level of frozen features is reduced."""


class Opinion(NamedTuple):
    """The outputs of a critic.

    Attributes:
        scores: How real pictures look given their captions, float32[b].
        shown: Embeddings of the pictures, float32[b, `MEANING`], unit vectors.
        told: Embeddings of the captions, float32[b, `MEANING`], unit vectors.
    """

    scores: Tensor
    shown: Tensor
    told: Tensor


class Halving(keras.layers.Layer):
    """A residual block that halves the resolution.

    Args:
        taken: Input channels.
        width: Output channels.
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
    """A residual projection discriminator (Miyato and Koyama, 2018) with minibatch discrimination.

    Without minibatch discrimination (Salimans et al., 2016) the generator collapsed to one picture per caption. The
    deviation over the batch (Karras et al., 2018) does not detect this, because the captions of a batch differ; for the
    same reason a picture is compared mostly with those of the same caption.

    Args:
        picture_size: Side of a picture in pixels.
        embedding_size: Width of a caption embedding.
        width: Channels of the finest level; each coarser one has twice as many.
        most_width: Maximum number of channels of a level.
        block: Side of the blocks into which pictures are folded first (space to depth).
        frozen_features: Whether the critic also sees the features of a network that was trained on other pictures; see
            `models.frozen_features`.

    Raises:
        ModuleNotFoundError: The weights of that network are not installed.
    """

    def __init__(
        self,
        picture_size: int,
        embedding_size: int,
        *,
        width: int,
        most_width: int,
        block: int = 1,
        frozen_features: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.block = block
        policy = self.dtype_policy
        widths = widths_of(len(sides_of(picture_size // block)), width, most_width)[::-1]
        self.enter = convolution(width, dtype=policy)
        self.halvings = [Halving(*pair, dtype=policy) for pair in itertools.pairwise(widths)]
        self.leave = convolution(most_width, dtype=policy)
        self.frozen = FrozenFeatures() if frozen_features else None
        self.heads = [
            keras.layers.Conv2D(FROZEN_WIDTH, 1, activation=leaky, dtype=policy)
            for _ in range(len(LEVELS) if frozen_features else 0)
        ]
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
        seen = [flat(self.leave(x))]
        if self.frozen is not None:
            levels = zip(self.heads, self.frozen(pictures), strict=True)
            seen += [flat(pooled(head(level))) for head, level in levels]
        features = ops.cast(self.features(ops.concatenate(seen, axis=-1)), "float32")
        features = ops.concatenate([features, closeness(self.traits(features), alike(embedding))], axis=-1)
        match = ops.sum(features * self.projection(embedding), axis=-1) / np.sqrt(features.shape[-1])
        return Opinion(
            self.realism(features)[:, 0] + match,
            ops.normalize(self.shown(features)),
            ops.normalize(self.told(embedding)),
        )


def flat(x: Tensor) -> Tensor:
    """[b, h, w, c] -> [b, h * w * c]."""
    return ops.reshape(x, [-1, int(np.prod(x.shape[1:]))])


def pooled(x: Tensor) -> Tensor:
    """Average [b, h, w, c] to `FROZEN_SIDE` pixels a side."""
    factor = x.shape[1] // FROZEN_SIDE
    return ops.average_pool(x, factor, factor) if factor > 1 else x


def convolution(width: int, **kwargs: Any) -> keras.layers.Conv2D:
    """A 3x3 convolution with a leaky ReLU."""
    return keras.layers.Conv2D(width, 3, padding="same", activation=leaky, kernel_initializer="he_normal", **kwargs)


def alike(told_BxD: Tensor) -> Tensor:
    """Which captions of a batch say the same: float32[b, b] of 0 and 1; each caption says the same as itself.

    Args:
        told_BxD: The embeddings of the captions, with a root mean square of 1.
    """
    cosines = ops.matmul(told_BxD, ops.transpose(told_BxD)) / told_BxD.shape[-1]
    return ops.cast(cosines > ALIKE, "float32")


def closeness(traits: Tensor, alike_BxB: Tensor) -> Tensor:
    """Closeness of each picture to the others of a batch in each trait: [b, `TRAITS` * `TRAIT_SIZE`] -> [b, `TRAITS`].

    8 if all pictures with the same caption, `alike_BxB`, are the same, near 0 if all differ.
    """
    apart = ops.reshape(traits, [-1, TRAITS, TRAIT_SIZE])
    distances = ops.sum(abs(apart[:, None] - apart[None]), axis=-1)
    weights = (OTHERS + alike_BxB) * (1 - ops.eye(ops.shape(alike_BxB)[0]))
    shares = weights / (ops.sum(weights, axis=1, keepdims=True) + 1e-6)
    return 8 * ops.einsum("bc,bct->bt", shares, ops.exp(-distances))
