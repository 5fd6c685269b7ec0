"""From prompt to picture: expand the prompt, draw the caption, refine the drawing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_rows, as_strings, as_temperatures
from models.drawing import Drawer, as_scale, within
from models.language_model import Texts
from models.options import CANDIDATES, TEMPERATURE
from models.restorer import Restorer
from models.saving import load_model
from models.tensors import to_uint8


class TextToImage(tf.Module):
    """The composition of the three models.

    Args:
        generator: Draws captions; its language model expands prompts.
        restorer: Refines drawings.
    """

    def __init__(self, generator: Drawer, restorer: Restorer) -> None:
        super().__init__(name="text_to_image")
        self.generator = generator
        self.restorer = restorer

    @classmethod
    def load(cls, folder: Path) -> "TextToImage":
        """Load `generator.keras`, and `refiner.keras` or else `restorer.keras`, from a folder.

        Raises:
            FileNotFoundError: A file is missing.
        """
        refiner = "refiner" if (Path(folder) / "refiner.keras").is_file() else "restorer"
        files = [Path(folder) / f"{name}.keras" for name in ("generator", refiner)]
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"{file.parent} holds no {file.name}: name a folder with Keras models.")
        return cls(*map(load_model, files))

    def draw(
        self,
        prompts: tf.Tensor,
        seeds: tf.Tensor,
        temperatures: tf.Tensor,
        expand: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor | None = None,
        scale: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """In the graph: draw prompts; each row depends only on its own inputs.

        Spelling errors are corrected first; see `read`.

        Args:
            prompts: string[b].
            seeds: int64[b].
            temperatures: float32[b], sampling temperatures of the expansion.
            expand: bool[b], whether to expand the prompt.
            refine: bool[b], whether the restorer refines the drawing.
            candidates: int64[b], number of drawings to choose from, in the range of `CANDIDATES`; None for 1.
            scale: Upscale factor of all pictures; see `Drawer.draw_embedded`.

        Returns:
            Pictures, uint8[b, scale * s, scale * s, 3], and the captions that were drawn, string[b].
        """
        captions = self.captions(self.read(prompts), seeds, temperatures, expand)
        return self.draw_captions(captions, seeds, refine, candidates, scale), captions

    def read(self, prompts: tf.Tensor) -> tf.Tensor:
        """In the graph: prompts, string[b], with one-letter spelling errors corrected; see `Tokenizer.correct`."""
        return self.generator.language_model.tokenizer.correct(prompts)

    def captions(self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor, expand: tf.Tensor) -> tf.Tensor:
        """In the graph: the captions to which corrected prompts expand, string[b]; arguments as for `draw`.

        A prompt with unknown words stays as it is: they are not read, so a continuation would not fit them.
        """
        language_model = self.generator.language_model

        def known() -> tf.Tensor:
            return expand & tf.equal(language_model.tokenizer.unknown(prompts), "")

        chosen = tf.cond(tf.reduce_any(expand), known, lambda: expand)

        def continued() -> tf.Tensor:
            rows = tf.where(chosen)
            asked = (tf.gather_nd(column, rows) for column in (prompts, seeds, temperatures))
            return tf.tensor_scatter_nd_update(prompts, rows, language_model.continue_texts(*asked))

        return tf.cond(tf.reduce_any(chosen), continued, lambda: prompts)

    def draw_captions(
        self,
        captions: tf.Tensor,
        seeds: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor | None = None,
        scale: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """In the graph: pictures, uint8[b, scale * s, scale * s, 3]; arguments as for `draw`."""
        embeddings = self.generator.language_model.embed_texts(captions)
        chosen = seeds if candidates is None else self.choose(embeddings, seeds, candidates)
        return self.draw_embedded(embeddings, chosen, refine, scale)

    def draw_embedded(
        self, embeddings: tf.Tensor, seeds: tf.Tensor, refine: tf.Tensor, scale: tf.Tensor | None = None
    ) -> tf.Tensor:
        """In the graph: embeddings of captions, float32[b, embedding_size], to pictures; the rest as for `draw`."""
        return self._refined(self.generator.draw_embedded(embeddings, seeds, scale), refine)

    def draw_between(
        self,
        embeddings: tf.Tensor,
        seeds: tf.Tensor,
        to_embeddings: tf.Tensor,
        to_seeds: tf.Tensor,
        shares: tf.Tensor,
        refine: tf.Tensor,
        scale: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """In the graph: pictures between two drawings; see `models.drawing.DrawingModel`, the rest as for `draw`."""
        drawn = self.generator.draw_between(embeddings, seeds, to_embeddings, to_seeds, shares, scale)
        return self._refined(drawn, refine)

    def _refined(self, drawn: tf.Tensor, refine: tf.Tensor) -> tf.Tensor:
        rows = tf.where(refine)

        def refined() -> tf.Tensor:
            return tf.tensor_scatter_nd_update(drawn, rows, self.restored(tf.gather_nd(drawn, rows)))

        # oneDNN cannot convolve an empty batch.
        return to_uint8(tf.cond(tf.reduce_any(refine), refined, lambda: drawn))

    def restored(self, drawn: tf.Tensor) -> tf.Tensor:
        """In the graph: drawings, float32[b, h, w, 3] in -1..1, refined; the restorer estimates their noise itself."""
        return self.restorer.restore_batch(drawn, None, tf.fill(tf.shape(drawn)[:1], -1.0))

    def choose(self, embeddings: tf.Tensor, seeds: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """In the graph: the seed of the candidate most similar to the other candidates of its caption.

        That is the one with the least squared error to all (minimum Bayes risk, Kumar and Byrne, 2004): failed drawings
        differ from each other, so they are not chosen. The first candidate is drawn from `seeds` itself.

        Args:
            embeddings: Embeddings of captions, float32[b, embedding_size].
            seeds: int64[b].
            candidates: int64[b], in the range of `CANDIDATES`.

        Returns:
            int64[b].
        """
        most = tf.reduce_max(within(CANDIDATES, candidates))
        return tf.cond(most > 1, lambda: self._most_alike(embeddings, seeds, candidates, most), lambda: seeds)

    def _most_alike(self, embeddings: tf.Tensor, seeds: tf.Tensor, candidates: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
        numbers, size = tf.range(most), self.generator.picture_size
        # Far from neighbouring seeds, which users choose for consecutive pictures.
        seeds_BxK = seeds[:, None] + numbers * 2**32
        drawn = self.generator.draw_embedded(tf.repeat(embeddings, most, axis=0), tf.reshape(seeds_BxK, [-1]))
        flat_BxKxP = tf.reshape(drawn, [-1, most, size * size * 3])
        taken_BxK = tf.cast(numbers < candidates[:, None], tf.float32)
        mean = tf.einsum("bk,bkp->bp", taken_BxK, flat_BxKxP) / tf.reduce_sum(taken_BxK, axis=1, keepdims=True)
        # The candidate with the least sum of squared errors to all is the nearest to their mean.
        error_BxK = tf.reduce_mean((flat_BxKxP - mean[:, None]) ** 2, axis=-1) + 1e9 * (1 - taken_BxK)
        return tf.gather(seeds_BxK, tf.argmin(error_BxK, axis=1), batch_dims=1)

    def generate(
        self,
        prompts: Texts,
        *,
        seed: int | Sequence[int] = 0,
        expand: bool = True,
        refine: bool = True,
        temperature: float = TEMPERATURE.default,
        candidates: int = 1,
        scale: int = 1,
    ) -> NDArray[np.uint8]:
        """Draw prompts; `models.options` defines the range of each option.

        Args:
            prompts: A string, a list of strings, or a dataset of string batches.
            seed: One for all prompts, or one for each.
            expand: Whether to expand the prompts to captions first.
            refine: Whether to refine the drawings with the restorer.
            temperature: Sampling temperature of the expansion.
            candidates: Number of drawings of each prompt to choose from; see `choose`.
            scale: Upscale factor relative to the training pictures.

        Returns:
            uint8 RGB, (scale * s, scale * s, 3) for a string, else (n, scale * s, scale * s, 3).

        Raises:
            ValueError: The numbers of seeds and prompts differ, or a number is out of range.
        """
        TEMPERATURE.check(temperature)
        CANDIDATES.check(candidates)
        texts, single = as_strings(prompts)
        pictures, _ = self._draw(
            tf.constant(texts),
            as_rows(seed, len(texts), "seed", np.int64),
            as_temperatures(temperature, len(texts)),
            tf.fill([len(texts)], expand),
            tf.fill([len(texts)], refine),
            None if candidates == 1 else tf.fill([len(texts)], tf.constant(candidates, tf.int64)),
            as_scale(scale),
        )
        return pictures.numpy()[0] if single else pictures.numpy()

    @tf.function(reduce_retracing=True)
    def _draw(
        self,
        prompts: tf.Tensor,
        seeds: tf.Tensor,
        temperatures: tf.Tensor,
        expand: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor | None,
        scale: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.draw(prompts, seeds, temperatures, expand, refine, candidates, scale)
