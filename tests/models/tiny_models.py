"""Models of some hundred weights, untrained but the same in every run, and the texts that they read."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.generator import Generator
from models.language_model import LanguageModel
from models.restorer import Restorer
from models.vocabulary import RESERVED

CHARACTERS = "▁abcdefghijklmnopqrstuvwxyz0123456789,.，红蓝色圆形方块一个"
WORDS = ("▁a", "▁red", "▁blue", "▁circle", "▁square", "▁on", "ing")
VOCABULARY = (*RESERVED, *CHARACTERS, *WORDS)
PROMPTS = ("a red circle", "a blue square", "一个红色圆形", "", "a", "红, a", "\U0001f600", "b" * 40)
TO_TRY = {"en": ["a red circle", "a square"], "zh": ["一个圆形"]}
SIZE = 16


def tiny_language_model(vocabulary: Sequence[str] = VOCABULARY, *, depth: int = 1, length: int = 16) -> LanguageModel:
    keras.utils.set_random_seed(1)
    sizes = {"token_size": 8, "width": 16, "depth": depth, "slots": 2, "slot_size": 4, "reading_depth": 1}
    return LanguageModel(vocabulary, length=length, **sizes)


def tiny_generator(language_model: LanguageModel, *, picture_size: int = SIZE, block: int = 2) -> Generator:
    keras.utils.set_random_seed(2)
    sizes = {"noise_size": 2, "style_size": 16, "frames": 4, "width": 8, "depth": 2}
    return Generator(language_model, picture_size=picture_size, block=block, **sizes)


def tiny_restorer(widths: tuple[int, int] = (4, 8)) -> Restorer:
    keras.utils.set_random_seed(3)
    return Restorer(widths=widths, depth=1)


def shake(model: keras.Model, deviation: float = 0.1) -> None:
    """Move every weight that is no flag, so that a model whose last layer begins at zero does something."""
    random = np.random.default_rng(4)
    weights = [np.asarray(weight) for weight in model.get_weights()]
    moves = [0 if weight.dtype == bool else random.normal(0, deviation, weight.shape) for weight in weights]
    model.set_weights([weight + move for weight, move in zip(weights, moves, strict=True)])


def pictures(count: int, size: int = SIZE, *, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth pictures, each a colour that fades into another."""
    ends = np.random.default_rng(seed).uniform(0, 255, (2, count, 1, 1, 3))
    x = np.linspace(0, 1, size)[None, None, :, None]
    return np.broadcast_to(np.round(ends[0] * x + ends[1] * (1 - x)), (count, size, size, 3)).astype(np.uint8)


def copy_of(weights: Sequence[Any]) -> list[NDArray[Any]]:
    return [keras.ops.convert_to_numpy(weight).copy() for weight in weights]


def moved(before: Sequence[NDArray[Any]], after: Sequence[Any]) -> bool:
    """Whether any weight differs."""
    return any(not np.array_equal(*pair) for pair in zip(before, copy_of(after), strict=True))
