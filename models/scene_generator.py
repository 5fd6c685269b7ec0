"""A generator that draws captions as scenes; see `models.scene_network`."""

import keras
import numpy as np
import tensorflow as tf

from models.backends import backend
from models.drawing import DrawingModel, times_of
from models.sampling import Draw
from models.scene_network import WHERE, SceneNetwork

LOOKS_TEMPERATURE, PLACES_TEMPERATURE = 0.7, 0.5
"""Factors on the standard deviations of the prior's components (reduced temperature, Kingma and Dhariwal, 2018).

The first is that of appearances, the second that of places: the tails of a component are mostly misplaced things. The
first thing is placed at a temperature of 1, since it may stand anywhere; the others are placed relative to it.
"""


@keras.saving.register_keras_serializable(package="easel")
class SceneGenerator(SceneNetwork, DrawingModel):
    """The scene network as a generator of captions, in TensorFlow's graph and from Python."""

    @property
    def draws(self) -> tuple[Draw, ...]:
        """The random numbers for `PartPrior.sample`: float32[b, parts, 3] and float32[b, parts, noise_size]."""
        choices = Draw("uniform", 4, (self.parts, len(self.noise_sizes)))
        return choices, Draw("normal", 1, (self.parts, self.noise_size))

    def noise(self, embeddings: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        """In the graph: noise of the parts, float32[b, parts, noise_size], sampled with `chances`."""
        mixed, (uniform, normal) = self.mix(embeddings), chances
        temperatures = np.full([self.parts, self.noise_size], LOOKS_TEMPERATURE, np.float32)
        temperatures[:, :WHERE] = PLACES_TEMPERATURE
        temperatures[0, :WHERE] = 1.0
        return self.prior.sample(mixed, self.presences(mixed) > 0, uniform, temperatures * normal)

    def likeliest(self, embeddings: tf.Tensor) -> tf.Tensor:
        """In the graph: the most likely noise of each caption; see `noise`."""
        mixed = self.mix(embeddings)
        return self.prior.likeliest(mixed, self.presences(mixed) > 0)

    def sketch(self, embeddings: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings and noise to pictures; see `DrawingModel.sketch`."""
        mixed = self.mix(embeddings)
        present = self.presences(mixed) > 0
        # The number of present things is known only when the graph runs; XLA needs a static shape.
        rows = None if backend.in_xla() else rows_of(present)
        layers = self.decode(noise, mixed, rows, present=present)

        def painted(times: tf.Tensor | int) -> tf.Tensor:
            side = tf.cast(times * self.picture_size, tf.float32)
            grid = (tf.range(side) + 0.5) / side
            return self.paint(layers, grid, grid, 1 / side)

        return tf.clip_by_value(painted(1 if scale is None else times_of(scale)), -1.0, 1.0)


def rows_of(present_BxT: tf.Tensor) -> tf.Tensor:
    """Indices of the things to decode, int64[m]: those that are present, and the first one.

    Convolutions of no rows at all have the wrong shape in TensorFlow 2.21.
    """
    present = tf.reshape(present_BxT, [-1])
    return tf.where(tf.concat([[True], present[1:]], axis=0))[:, 0]
