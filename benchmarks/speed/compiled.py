"""The text-to-image model with its networks compiled by XLA, which TensorFlow Serving rejects by default."""

from pathlib import Path

import tensorflow as tf

from models.drawing import DrawingModel
from models.export import Tensors, write
from models.options import TEMPERATURE
from models.pictures import encode_png
from models.tensors import to_uint8
from models.text_to_image import TextToImage


class Compiled(tf.Module):
    """The model with default options, and each network compiled by XLA for each number of rows.

    Args:
        model: The model; its generator must be a `DrawingModel`.
    """

    def __init__(self, model: TextToImage) -> None:
        super().__init__()
        assert isinstance(model.generator, DrawingModel)
        self.generator = model.generator
        self.model = model

    def draw(self, prompts: tf.Tensor, seeds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Pictures, uint8[b, s, s, 3], and their captions, string[b], in the graph."""
        language_model, temperatures = self.generator.language_model, tf.fill(tf.shape(seeds), TEMPERATURE.default)
        read = self.model.read(prompts)
        captions = language_model.continue_texts(read, seeds, temperatures, decode=language_model.decode_by_xla)
        drawn = self._sketched(language_model.tokenizer.tokenize_known(captions), *self.generator.chances(seeds))
        return to_uint8(self._restored(drawn)), captions

    @tf.function(jit_compile=True, reduce_retracing=True)
    def _sketched(self, ids: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        embeddings = self.generator.language_model(ids)[1]
        return self.generator.sketch(embeddings, self.generator.noise(embeddings, *chances))

    @tf.function(jit_compile=True, reduce_retracing=True)
    def _restored(self, drawn: tf.Tensor) -> tf.Tensor:
        return self.model.restored(drawn)


def export_compiled(model: TextToImage, out: Path) -> None:
    """Write `serving_default` (prompt, seed -> image_bytes, expanded_prompt), with the weights as variables."""
    compiled = Compiled(model)

    def serving_default(prompt: tf.Tensor, seed: tf.Tensor) -> Tensors:
        pictures, captions = compiled.draw(prompt, seed)
        return {"image_bytes": encode_png(pictures), "expanded_prompt": captions}

    write(out, model.generator, [serving_default])
