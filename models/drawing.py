"""The interface of a generator, and its implementation on top of a few methods of a network."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_rows, as_strings
from models.drawing_network import DrawingNetwork
from models.language_model import LanguageModel, Texts
from models.options import SCALE, Option
from models.sampling import Draw
from models.tensors import to_uint8


class Drawer(Protocol):
    """The interface of a generator.

    A generator is also a `keras.Model` and contains its language model. Row i of a batch depends only on its own
    caption and seed.

    Attributes:
        language_model: Encodes captions; it is not trained with the generator.
        picture_size: Side of a picture in pixels.
    """

    language_model: LanguageModel
    picture_size: int

    def draw_embedded(self, embeddings: tf.Tensor, seeds: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings of captions to pictures.

        Args:
            embeddings: float32[b, embedding_size].
            seeds: int64[b].
            scale: Upscale factor relative to `picture_size`, an integer scalar in the range of `SCALE`; None for 1.

        Returns:
            float32[b, scale * s, scale * s, 3] in -1..1.
        """

    def draw_between(
        self,
        embeddings: tf.Tensor,
        seeds: tf.Tensor,
        to_embeddings: tf.Tensor,
        to_seeds: tf.Tensor,
        shares: tf.Tensor,
        scale: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """In the graph: pictures between two drawings; see `DrawingModel.draw_between`."""

    def draw_likeliest(self, captions: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: captions, string[b], to pictures without noise; scale and result as for `draw_embedded`."""

    def draw(self, captions: tf.Tensor, seeds: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: captions, string[b], to pictures; see `DrawingModel.draw`."""

    def generate(self, captions: Texts, *, seed: int | Sequence[int] = 0, scale: int = 1) -> NDArray[np.uint8]:
        """Draw captions unchanged; see `DrawingModel.generate`."""


class DrawingModel(DrawingNetwork):
    """A `Drawer` that a network implements with `draws`, `noise`, `likeliest` and `sketch`."""

    language_model: LanguageModel

    @property
    def draws(self) -> tuple[Draw, ...]:
        """The random numbers of a drawing, in the order of the arguments of `noise`."""
        raise NotImplementedError

    def chances(self, seeds: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """In the graph: the random numbers that `draws` describes, for seeds, int64[b], as tensors of b rows.

        They are separate from `noise`, because XLA would generate other numbers.
        """
        return tuple(draw.rows(seeds) for draw in self.draws)

    def noise(self, embeddings: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        """In the graph: the latents of pictures, from embeddings and `chances`, float32[b, ...].

        Points between two latents must be valid latents too, because `draw_between` interpolates.
        """
        raise NotImplementedError

    def likeliest(self, embeddings: tf.Tensor) -> tf.Tensor:
        """In the graph: the most likely latent of each caption, with the shape that `noise` returns."""
        raise NotImplementedError

    def sketch(self, embeddings: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings and noise to pictures; scale and result as for `draw_embedded`."""
        raise NotImplementedError

    def draw_likeliest(self, captions: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: captions, string[b], to pictures without noise; scale and result as for `draw`."""
        embeddings = self.language_model.embed_texts(captions)
        return self.sketch(embeddings, self.likeliest(embeddings), scale)

    def draw_embedded(self, embeddings: tf.Tensor, seeds: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: embeddings of captions, float32[b, embedding_size], to pictures; the rest as for `draw`."""
        return self.sketch(embeddings, self.noise(embeddings, *self.chances(seeds)), scale)

    def draw_between(
        self,
        embeddings: tf.Tensor,
        seeds: tf.Tensor,
        to_embeddings: tf.Tensor,
        to_seeds: tf.Tensor,
        shares: tf.Tensor,
        scale: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """In the graph: pictures between two drawings, by linear interpolation of their embeddings and noise.

        Spherical interpolation would suit a standard normal latent; here each caption has its own prior.

        Args:
            embeddings: float32[b, embedding_size], the captions of the first drawings.
            seeds: int64[b], their seeds.
            to_embeddings: float32[b, embedding_size], the captions of the second drawings.
            to_seeds: int64[b], their seeds.
            shares: float32[b] in 0..1: 0 is the first drawing, 1 the second.
            scale: As for `draw`.

        Returns:
            As for `draw`.
        """

        def blended() -> tf.Tensor:
            both = self.noise(tf.concat([embeddings, to_embeddings], 0), *self.chances(tf.concat([seeds, to_seeds], 0)))
            noise, to_noise = tf.split(both, 2)
            return self.sketch(between(embeddings, to_embeddings, shares), between(noise, to_noise, shares), scale)

        return tf.cond(tf.reduce_any(shares > 0), blended, lambda: self.draw_embedded(embeddings, seeds, scale))

    def draw(self, captions: tf.Tensor, seeds: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        """In the graph: captions to pictures.

        Args:
            captions: string[b].
            seeds: int64[b].
            scale: Upscale factor, an integer scalar in the range of `SCALE`; None for 1.

        Returns:
            float32[b, scale * s, scale * s, 3] in -1..1.
        """
        return self.draw_embedded(self.language_model.embed_texts(captions), seeds, scale)

    def generate(self, captions: Texts, *, seed: int | Sequence[int] = 0, scale: int = 1) -> NDArray[np.uint8]:
        """Draw captions unchanged, without expanding them.

        Args:
            captions: A string, a list of strings, or a dataset of string batches.
            seed: One for all captions, or one for each.
            scale: Upscale factor relative to the training pictures, in the range of `models.options.SCALE`.

        Returns:
            uint8 RGB, (scale * s, scale * s, 3) for a string, else (n, scale * s, scale * s, 3).

        Raises:
            ValueError: The numbers of seeds and captions differ, or the scale is out of range.
        """
        texts, single = as_strings(captions)
        seeds = as_rows(seed, len(texts), "seed", np.int64)
        pictures = self._generate(tf.constant(texts), seeds, as_scale(scale)).numpy()
        return pictures[0] if single else pictures

    @tf.function(reduce_retracing=True)
    def _generate(self, captions: tf.Tensor, seeds: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
        return to_uint8(self.draw(captions, seeds, scale))


def between(start: tf.Tensor, end: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """In the graph: linear interpolation between tensors of b rows, each by its own share, float32[b] in 0..1."""
    return start + tf.reshape(shares, [-1, *[1] * (start.shape.rank - 1)]) * (end - start)


def at_scale(scale: tf.Tensor | None, whole: Callable[[], Any], finer: Callable[[tf.Tensor], Any]) -> tf.Tensor:
    """In the graph: a drawing at the training resolution or above.

    Args:
        scale: An integer scalar in the range of `SCALE`, which the graph asserts; None stands for 1.
        whole: Draws at scale 1.
        finer: Draws at another scale, int32[].
    """
    if scale is None:
        return whole()
    times = times_of(scale)
    return tf.cond(times == 1, whole, lambda: finer(times))


def times_of(scale: tf.Tensor) -> tf.Tensor:
    """In the graph: a scale, an integer scalar, as int32[]; the graph asserts that it is in the range of `SCALE`."""
    return tf.cast(within(SCALE, scale), tf.int32)


def within(option: Option[int], values: tf.Tensor) -> tf.Tensor:
    """In the graph: the values, asserted to be in an option's range."""
    fits = tf.reduce_all((values >= option.least) & (values <= option.most))
    with tf.control_dependencies([tf.debugging.Assert(fits, [f"{option.rule}, not", values])]):
        return tf.identity(values)


def as_scale(scale: int) -> tf.Tensor | None:
    """The argument `scale` of `Drawer.draw`.

    Raises:
        ValueError: The scale is out of range.
    """
    SCALE.check(scale)
    return None if scale == 1 else tf.constant(scale, tf.int64)
