"""A generator that is a function of the plane: coordinates in, colours out, everything else decided by the caption."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_rows, as_strings
from models.language_model import LanguageModel, Texts
from models.layers import AffineFrames, Modulated, leaky
from models.pictures import to_uint8
from models.sampling import normal_rows


@keras.saving.register_keras_serializable(package="easel")
class Generator(keras.Model):
    """Noise and a caption embedding become a picture.

    A style, computed from both, places affine frames on a grid of coordinates and modulates the layers that turn
    coordinates into colours (an implicit network as in SIREN, Sitzmann et al. 2020, modulated as in FiLM, Perez et al.
    2018); the last layer writes a small block of pixels for each point of the grid.

    Args:
        language_model: Reads captions; it is not trained here.
        picture_size: Side of a picture in pixels, a multiple of `block`.
        noise_size: Width of the noise.
        style_size: Width of the style.
        frames: Affine frames.
        width: Channels at each point.
        depth: Modulated layers.
        block: Side of the block of pixels that one point of the grid writes.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        picture_size: int = 32,
        noise_size: int = 4,
        style_size: int = 128,
        frames: int = 16,
        width: int = 64,
        depth: int = 4,
        block: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if picture_size % block:
            raise ValueError(f"picture_size {picture_size} is not a multiple of block {block}.")
        self.language_model = language_model
        self.picture_size = picture_size
        self.noise_size = noise_size
        self.style_size = style_size
        self.frames = frames
        self.width = width
        self.depth = depth
        self.block = block
        language_model.trainable = False
        grid = picture_size // block
        self.style = keras.Sequential(
            [
                keras.Input((noise_size + language_model.embedding_size,)),
                keras.layers.Dense(style_size, activation=leaky),
                keras.layers.Dense(style_size, activation=leaky),
            ]
        )
        self.place = AffineFrames(grid, frames)
        self.waves = keras.layers.Dense(
            width,
            activation=keras.ops.sin,
            kernel_initializer=keras.initializers.RandomNormal(stddev=2.5 / np.sqrt(frames)),
            bias_initializer=keras.initializers.RandomUniform(-3, 3),
        )
        self.layers_of_points = [Modulated(width) for _ in range(depth)]
        self.colours = keras.layers.Dense(3 * block**2)
        self([tf.zeros([1, noise_size]), tf.zeros([1, language_model.embedding_size])])

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("picture_size", "noise_size", "style_size", "frames", "width", "depth", "block")
        language_model = keras.saving.serialize_keras_object(self.language_model)
        return {
            **super().get_config(),
            "language_model": language_model,
            **{name: getattr(self, name) for name in names},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Generator":
        """Rebuild the generator and the language model that it reads with."""
        return cls(keras.saving.deserialize_keras_object(config.pop("language_model")), **config)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Draw.

        Args:
            inputs: Noise, float32[b, noise_size], and caption embeddings, float32[b, embedding_size].

        Returns:
            float32[b, picture_size, picture_size, 3], about -1..1, not clipped.
        """
        style_BxC = self.style(tf.concat(inputs, axis=-1))
        x_BxPxC = self.waves(self.place(style_BxC))
        for layer in self.layers_of_points:
            x_BxPxC = layer([x_BxPxC, style_BxC])
        grid = self.picture_size // self.block
        blocks = tf.reshape(self.colours(x_BxPxC), [-1, grid, grid, 3 * self.block**2])
        return tf.nn.depth_to_space(blocks, self.block) if self.block > 1 else blocks

    def draw(self, captions: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """In the graph: captions, string[b], and seeds, int64[b], to float32[b, s, s, 3] in -1..1."""
        noise = normal_rows(seeds, self.noise_size, stream=1)
        return tf.clip_by_value(self([noise, self.language_model.embed_texts(captions)]), -1.0, 1.0)

    def generate(self, captions: Texts, *, seed: int | Sequence[int] = 0) -> NDArray[np.uint8]:
        """Draw captions as they are, without continuing them.

        Args:
            captions: A string, a list of strings, or a dataset of string batches.
            seed: One for all captions, or one for each.

        Returns:
            uint8 RGB, (s, s, 3) for a string, else (n, s, s, 3).

        Raises:
            ValueError: If there are not as many seeds as captions.
        """
        texts, single = as_strings(captions)
        pictures = self._generate(tf.constant(texts), as_rows(seed, len(texts), "seed", np.int64)).numpy()
        return pictures[0] if single else pictures

    @tf.function(reduce_retracing=True)
    def _generate(self, captions: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return to_uint8(self.draw(captions, seeds))
