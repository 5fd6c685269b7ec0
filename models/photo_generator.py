"""A generator that draws captions as photographs; see `models.photo_network`."""

import keras
import tensorflow as tf

from models.backends import backend
from models.drawing import DrawingModel, at_scale
from models.photo_network import PhotoNetwork
from models.sampling import normal_rows


@keras.saving.register_keras_serializable(package="easel")
class PhotoGenerator(PhotoNetwork, DrawingModel):
    """The photo network as a generator of captions, in TensorFlow's graph and from Python."""

    def chances(self, seeds: tf.Tensor) -> tuple[tf.Tensor]:
        """In the graph: the noise for seeds, int64[b], as float32[b, noise_size]."""
        return (normal_rows(seeds, self.noise_size, stream=1),)

    def noise(self, embeddings: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        """In the graph: standard normal noise, float32[b, noise_size], independent of the captions.

        The network normalises it, so that linear interpolations between two drawings are as likely as the two.
        """
        return chances[0]

    def likeliest(self, embeddings: tf.Tensor) -> tf.Tensor:
        """In the graph: zeros, float32[b, noise_size]."""
        return tf.zeros([tf.shape(embeddings)[0], self.noise_size])

    def sketch(self, embeddings: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings of captions, float32[b, embedding_size], and noise to pictures in -1..1.

        The network has only one resolution; at a scale above 1 its pictures are upscaled.
        """
        drawn = self([noise, embeddings])
        return at_scale(scale, lambda: drawn, lambda times: self.enlarged(drawn, times))

    def enlarged(self, pictures: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """Upscale pictures by a factor, with bilinear interpolation."""
        return backend.resize(pictures, [self.picture_size * times] * 2)
