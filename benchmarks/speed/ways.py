"""Two ways from a prompt to the same PNG: plain Keras, and the exported SavedModel."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from benchmarks.speed.networks import drawing_model
from models.language_model import TRIES, LanguageModel
from models.options import TEMPERATURE
from models.restorer_network import noise_sigma
from models.sampling import uniform_rows
from models.tensors import to_uint8
from models.text_to_image import TextToImage
from models.vocabulary import END, PAD, RESERVED

PROMPTS = ("a red house", "it is snowing today", "a cat under a tree at night", "今天的天气很好")
Call = Callable[[Any], Any]


def plain_keras(model: keras.Model) -> Call:
    """A call of the model as one `tf.function`, from a structure of batched arrays to arrays."""
    run = tf.function(lambda inputs: model(inputs), autograph=False, reduce_retracing=True)
    return lambda inputs: tf.nest.map_structure(lambda tensor: tensor.numpy(), run(inputs))


class OneStep(keras.Model):
    """One piece through the language model, as a Keras model: (last, states) -> (logits, states)."""

    def __init__(self, language_model: LanguageModel) -> None:
        super().__init__()
        self.language_model = language_model

    def call(self, inputs: list[Any]) -> tuple[tf.Tensor, list[Any]]:
        """`last` is int64[b]; the states are those of `LanguageModel.no_states`."""
        last, states = inputs
        return self.language_model.step(last, states)


class Staged:
    """Plain Keras: Python calls one model after the other.

    Args:
        model: The models.
    """

    def __init__(self, model: TextToImage) -> None:
        self.generator, self.language_model = drawing_model(model), model.generator.language_model
        self.step = plain_keras(OneStep(self.language_model))
        self.read = plain_keras(self.language_model)
        self.draw = plain_keras(self.generator)
        self.restore = plain_keras(model.restorer)

    def __call__(self, prompt: str, seed: int) -> tuple[bytes, str]:
        """A PNG and the caption that it shows."""
        caption = self.continued(prompt, seed)
        _, embedding = self.read(self.language_model.tokenizer.tokenize_known(tf.constant([caption])).numpy())
        chances = self.generator.chances(tf.constant([seed], tf.int64))
        noise = self.generator.noise(tf.constant(embedding), *chances).numpy()
        drawn = np.clip(self.draw([noise, embedding]), -1, 1)
        sigma = np.minimum(noise_sigma(tf.constant(drawn)).numpy() / 50.0, 1.0)
        known = np.stack([sigma, np.zeros(1), np.zeros(1)], axis=1).astype(np.float32)
        restored = self.restore([drawn, np.zeros_like(drawn[..., :1]), known])
        return png(to_uint8(tf.constant(restored)).numpy()[0]), caption

    def continued(self, prompt: str, seed: int) -> str:
        """The prompt with the likeliest of its continuations; the model is called once per piece, for all of them."""
        model = self.language_model
        ids = model.tokenizer.tokenize_known(tf.constant([prompt])).numpy()[0]
        given = [int(number) for number in ids if number not in (PAD, END)]
        seeds = np.int64(seed) + np.arange(TRIES, dtype=np.int64) * 2**32
        draws = uniform_rows(tf.constant(seeds), model.length, stream=0).numpy()
        states: Any = [[np.zeros((TRIES, lstm.units), np.float32)] * 2 for lstm in model.lstms]
        written, nats = np.full((TRIES, model.length), PAD), np.zeros(TRIES)
        last = np.full(TRIES, given[0])
        for time in range(1, model.length):
            logits, states = self.step([last, states])
            if time < len(given):
                last = np.full(TRIES, given[time])
                continue
            going = (last != END) & (last != PAD)
            if not going.any():
                break
            allowed = without_reserved(np.array(logits))
            picked = np.array([pick(row, draw) for row, draw in zip(allowed, draws[:, time], strict=True)])
            nats += np.where(going, -log_softmax(allowed)[np.arange(TRIES), picked], 0)
            last = written[:, time] = np.where(going, picked, PAD)
        text = model.tokenizer.detokenize(tf.constant([[PAD, *written[np.argmin(nats), 1:]]], tf.int64))
        return prompt + text.numpy()[0].decode()


def without_reserved(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits, float32[b, v], that exclude all reserved pieces except END."""
    logits[:, [number for number in range(len(RESERVED)) if number != END]] = -1e9
    return logits


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def pick(logits: NDArray[np.float32], draw: float) -> int:
    """Sample a piece by inverting the cumulative distribution, like `models.language_model.sample`."""
    cumulative = np.cumsum(np.exp((logits - logits.max()) / np.float32(TEMPERATURE.default)))
    return int(min((cumulative <= draw * cumulative[-1]).sum(), len(logits) - 1))


def png(picture: NDArray[np.uint8]) -> bytes:
    """The picture, uint8[h, w, 3], encoded by Pillow."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG")
    return out.getvalue()


class Fused:
    """The exported SavedModel, called in this process.

    Args:
        saved_model: Folder of a text_to_image.
    """

    def __init__(self, saved_model: Path) -> None:
        self.model = tf.saved_model.load(str(saved_model))
        self.signature = self.model.signatures["serving_default"]

    def __call__(self, prompt: str, seed: int) -> tuple[bytes, str]:
        """A PNG and the caption that it shows."""
        (image,), (caption,) = self.batch([prompt], [seed])
        return image, caption.decode()

    def batch(self, prompts: list[str], seeds: list[int]) -> tuple[NDArray[Any], NDArray[Any]]:
        """PNGs and captions, as bytes."""
        answer = self.signature(prompt=tf.constant(prompts), seed=tf.constant(seeds, tf.int64))
        return answer["image_bytes"].numpy(), answer["expanded_prompt"].numpy()

    def finer(self, prompts: Sequence[str], scale: int) -> None:
        """Draw each prompt separately, expanded and refined, at a multiple of the training resolution."""
        for seed, prompt in enumerate(prompts):
            self.model.signatures["scaled"](
                prompt=tf.constant([prompt]),
                seed=tf.constant([seed], tf.int64),
                temperature=tf.constant([TEMPERATURE.default]),
                expand=tf.constant([True]),
                refine=tf.constant([True]),
                candidates=tf.constant([1], tf.int64),
                scale=tf.constant([scale], tf.int64),
            )


def all_prompts(way: Callable[[str, int], Any]) -> Callable[[], object]:
    """Draw each of the prompts in one way, one call for each."""
    return lambda: [way(prompt, seed) for seed, prompt in enumerate(PROMPTS)]


def differences(first: Any, second: Any) -> Iterator[int]:
    """The maximum difference in grey levels between the pictures of two ways; 255 if the captions differ."""
    for seed, prompt in enumerate(PROMPTS):
        (one, caption), (other, same) = first(prompt, seed), second(prompt, seed)
        pixels = [np.asarray(Image.open(io.BytesIO(png)), np.int16) for png in (one, other)]
        yield int(np.abs(pixels[0] - pixels[1]).max()) if caption == same else 255
