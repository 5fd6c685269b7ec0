"""The whole way from a prompt to a picture: continue the prompt, draw the caption, refine the drawing."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_rows, as_strings, as_temperatures
from models.generator import Generator
from models.language_model import TEMPERATURE, Texts
from models.pictures import to_uint8
from models.restorer import Restorer


class TextToImage(tf.Module):
    """The composition of the three models, and nothing more.

    Args:
        generator: Draws captions; its language model continues prompts.
        restorer: Refines drawings.
    """

    def __init__(self, generator: Generator, restorer: Restorer) -> None:
        super().__init__(name="text_to_image")
        self.generator = generator
        self.restorer = restorer

    @classmethod
    def load(cls, saved_model: Path) -> "TextToImage":
        """Load the Keras models that an exported SavedModel carries beside its graph.

        Raises:
            FileNotFoundError: If the folder carries none.
        """
        extra = Path(saved_model) / "assets.extra"
        if not (extra / "generator.keras").is_file():
            raise FileNotFoundError(f"{extra} holds no generator.keras: name a version folder of text_to_image.")
        generator, restorer = (keras.saving.load_model(extra / f"{name}.keras") for name in ("generator", "restorer"))
        return cls(generator, restorer)

    def draw(
        self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor, expand: tf.Tensor, refine: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """In the graph: draw prompts; each row depends on its own inputs alone.

        Args:
            prompts: string[b].
            seeds: int64[b].
            temperatures: float32[b] of the continuation.
            expand: bool[b], whether to continue the prompt.
            refine: bool[b], whether the restorer has the last word.

        Returns:
            Pictures, uint8[b, s, s, 3], and the captions that were drawn, string[b].
        """
        continued = self.generator.language_model.continue_texts(prompts, seeds, temperatures)
        captions = tf.where(expand, continued, prompts)
        drawn = self.generator.draw(captions, seeds)
        no_holes = tf.zeros_like(drawn[..., :1])
        refined = self.restorer.restore_batch(drawn, no_holes, tf.fill(tf.shape(seeds), -1.0))
        return to_uint8(tf.where(refine[:, None, None, None], refined, drawn)), captions

    def generate(
        self,
        prompts: Texts,
        *,
        seed: int | Sequence[int] = 0,
        expand: bool = True,
        refine: bool = True,
        temperature: float = TEMPERATURE,
    ) -> NDArray[np.uint8]:
        """Draw prompts.

        Args:
            prompts: A string, a list of strings, or a dataset of string batches.
            seed: One for all prompts, or one for each.
            expand: Whether to continue the prompts first.
            refine: Whether the restorer has the last word.
            temperature: Of the continuation; 0 takes the likeliest words.

        Returns:
            uint8 RGB, (s, s, 3) for a string, else (n, s, s, 3).

        Raises:
            ValueError: If the temperature is negative, or there are not as many seeds as prompts.
        """
        texts, single = as_strings(prompts)
        pictures, _ = self._draw(
            tf.constant(texts),
            as_rows(seed, len(texts), "seed", np.int64),
            as_temperatures(temperature, len(texts)),
            tf.fill([len(texts)], expand),
            tf.fill([len(texts)], refine),
        )
        return pictures.numpy()[0] if single else pictures.numpy()

    @tf.function(reduce_retracing=True)
    def _draw(
        self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor, expand: tf.Tensor, refine: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.draw(prompts, seeds, temperatures, expand, refine)
