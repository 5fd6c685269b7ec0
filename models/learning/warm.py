"""Warm start: training that starts from the weights of another model."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.drawing import DrawingModel
from models.language_model import LanguageModel


def take_weights(model: keras.Model, source: keras.Model) -> bool:
    """Copy the weights of another model of the same class and shape.

    If the vocabularies of language models differ, the weights of the pieces they share are copied. A generator keeps
    its own language model, which is trained before it.

    Returns:
        Whether the weights were copied; False, with the model unchanged, if the networks differ in shape.
    """
    ours, theirs = own_weights(model), own_weights(source)
    by_piece = piece_axes(model)
    known = shared_pieces(model, source) if by_piece else np.zeros([2, 0], np.int64)
    shapes = [
        [without(weight.shape, by_piece.get(number)) for number, weight in enumerate(weights)]
        for weights in (ours, theirs)
    ]
    if shapes[0] != shapes[1]:
        return False
    for number, (new, old) in enumerate(zip(ours, theirs, strict=True)):
        axis = by_piece.get(number)
        new.assign(old if axis is None else replaced(new, old, axis, known))
    return True


def differences(model: keras.Model, source: keras.Model) -> list[str]:
    """The settings whose difference prevents a warm start, as clauses of a sentence."""
    if type(model) is not type(source):
        return [f"the network is a {type(model).__name__} here and a {type(source).__name__} there"]
    ours, theirs = sizes(model), sizes(source)
    return [f"{name} is {ours[name]} here and {theirs[name]} there" for name in ours if ours[name] != theirs[name]]


def sizes(model: keras.Model) -> dict[str, Any]:
    """The sizes of a network by the name of their setting, including those of a generator's language model."""
    numbers = {name: plain(value) for name, value in model.get_config().items() if is_size(value)}
    if "length" in numbers:
        numbers["caption_length"] = numbers.pop("length")
    if isinstance(model, DrawingModel):
        numbers |= {f"language.{name}": value for name, value in sizes(model.language_model).items()}
    return numbers


def is_size(value: Any) -> bool:
    """Whether an argument of a network is an integer or a sequence of integers."""
    return isinstance(value, int) or (
        isinstance(value, list | tuple) and all(isinstance(number, int) for number in value)
    )


def plain(size: Any) -> int | list[int]:
    """A size as in JSON, and so as in a loaded model."""
    return size if isinstance(size, int) else list(size)


def own_weights(model: keras.Model) -> list[keras.Variable]:
    """The weights that a training of this model changes."""
    if isinstance(model, DrawingModel):
        apart = {id(weight) for weight in model.language_model.weights}
    else:
        apart = {id(model.unigram), id(model.exclusive)} if isinstance(model, LanguageModel) else set()
    return [weight for weight in model.weights if id(weight) not in apart]


def piece_axes(model: keras.Model) -> dict[int, int]:
    """The axes along which weights have an entry for each piece of the vocabulary, by index of the weight."""
    if not isinstance(model, LanguageModel):
        return {}
    axes = {id(model.tokens.embeddings): 0, id(model.next_piece.kernel): 1, id(model.next_piece.bias): 0}
    return {number: axes[id(weight)] for number, weight in enumerate(own_weights(model)) if id(weight) in axes}


def shared_pieces(model: LanguageModel, source: LanguageModel) -> NDArray[np.int64]:
    """Ids of the pieces in both vocabularies, in the first and in the second, int64[2, n]."""
    places = {piece: place for place, piece in enumerate(source.vocabulary)}
    pairs = [(place, places[piece]) for place, piece in enumerate(model.vocabulary) if piece in places]
    return np.array(pairs, np.int64).reshape(-1, 2).T


def without(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """A shape without one axis."""
    return tuple(side for number, side in enumerate(shape) if number != axis)


def replaced(new: keras.Variable, old: keras.Variable, axis: int, known: NDArray[np.int64]) -> NDArray[Any]:
    """The new weights, with the old ones for the shared pieces."""
    out, rows = (np.moveaxis(keras.ops.convert_to_numpy(weights), axis, 0).copy() for weights in (new, old))
    out[known[0]] = rows[known[1]]
    return np.moveaxis(out, 0, axis)
