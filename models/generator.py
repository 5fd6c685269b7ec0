"""A generator that draws captions with an implicit network; see `models.plane_network`."""

import keras
import tensorflow as tf

from models.drawing import DrawingModel, at_scale
from models.plane_network import PlaneNetwork
from models.sampling import Draw


@keras.saving.register_keras_serializable(package="easel")
class Generator(PlaneNetwork, DrawingModel):
    """The network `plane` as a generator of captions, in TensorFlow's graph and from Python; see `PlaneNetwork`."""

    @property
    def draws(self) -> tuple[Draw, ...]:
        """The random numbers for `NoisePrior.sample`: float32[b] and float32[b, noise_size]."""
        return Draw("uniform", 4, ()), Draw("normal", 1, (self.noise_size,))

    def noise(self, embeddings: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        """In the graph: noise, float32[b, noise_size], sampled from each caption's own prior."""
        return self.prior.sample(embeddings, *chances)

    def likeliest(self, embeddings: tf.Tensor) -> tf.Tensor:
        """In the graph: the mean of the heaviest component of each caption's prior, float32[b, noise_size]."""
        return self.prior.likeliest(embeddings)

    def sketch(self, embeddings: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings of captions, float32[b, embedding_size], and noise to pictures in -1..1."""
        inputs = [noise, embeddings]
        drawn = at_scale(scale, lambda: self(inputs), lambda times: self.call_finer(inputs, times))
        return tf.clip_by_value(drawn, -1.0, 1.0)
