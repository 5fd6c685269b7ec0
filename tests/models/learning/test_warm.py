from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models.generator import Generator
from models.language_model import LanguageModel
from models.learning.warm import differences, take_weights
from models.restorer import Restorer
from models.vocabulary import RESERVED

PIECES = ["a", "b", " red", " blue"]


def language_model(pieces: list[str], seed: int, width: int = 8) -> LanguageModel:
    keras.utils.set_random_seed(seed)
    sizes = {"token_size": 8, "width": width, "slots": 2, "slot_size": 8}
    return LanguageModel([*RESERVED, *pieces], length=8, **sizes)


def by_piece(model: LanguageModel) -> dict[str, NDArray[Any]]:
    """What the layers hold for each piece: its embedding, and the weights that score it."""
    (embeddings,), (kernel, bias) = model.tokens.get_weights(), model.next_piece.get_weights()
    rows = np.concatenate([embeddings, kernel.T, bias[:, None]], axis=1)
    return dict(zip(model.vocabulary, rows, strict=True))


def restorer(width: int, seed: int) -> Restorer:
    keras.utils.set_random_seed(seed)
    return Restorer(widths=(8, width), depth=1)


def test_weights_are_taken_over() -> None:
    new, old = restorer(16, 0), restorer(16, 1)
    assert take_weights(new, old)
    for ours, theirs in zip(new.get_weights(), old.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_network_of_another_shape_is_left_as_it_is() -> None:
    new, old = restorer(16, 0), restorer(8, 1)
    before = new.get_weights()
    assert not take_weights(new, old)
    for ours, kept in zip(new.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)


def test_the_sizes_that_differ_are_named() -> None:
    same, other = restorer(16, 0), restorer(8, 1)
    assert differences(same, restorer(16, 1)) == []
    assert differences(same, other) == ["widths is [8, 16] here and [8, 8] there"]
    loaded = Restorer.from_config({**same.get_config(), "widths": [8, 16]})
    assert differences(same, loaded) == []


def test_a_caption_length_is_named_as_its_setting_is() -> None:
    ours, theirs = LanguageModel(RESERVED, length=8), LanguageModel(RESERVED, length=12)
    assert differences(ours, theirs) == ["caption_length is 8 here and 12 there"]
    assert not take_weights(ours, theirs)


def test_a_generator_names_what_differs_in_its_language_model() -> None:
    sizes = {"picture_size": 16, "style_size": 8, "frames": 2, "width": 8, "depth": 1}
    ours = Generator(LanguageModel(RESERVED, slots=2, slot_size=8), **sizes)
    theirs = Generator(LanguageModel([*RESERVED, "a"], slots=3, slot_size=8), **sizes)
    assert differences(ours, theirs) == ["language.slots is 2 here and 3 there"]
    assert not take_weights(ours, theirs)


def test_networks_of_two_kinds_are_named() -> None:
    (told,) = differences(restorer(16, 0), language_model(PIECES, 0))
    assert told == "the network is a Restorer here and a LanguageModel there"


def test_pieces_are_found_again_where_the_vocabulary_has_changed() -> None:
    new, old = language_model([" blue", "c", "a"], 0), language_model(PIECES, 1)
    fresh = by_piece(new)
    assert take_weights(new, old)
    taken, known = by_piece(new), by_piece(old)
    for piece in (*RESERVED, " blue", "a"):
        np.testing.assert_array_equal(taken[piece], known[piece])
    np.testing.assert_array_equal(taken["c"], fresh["c"])
    np.testing.assert_array_equal(new.lstms[0].get_weights()[0], old.lstms[0].get_weights()[0])


def test_what_is_counted_is_not_taken_over() -> None:
    new, old = language_model(PIECES, 0), language_model(PIECES, 1)
    new.fit_unigram(np.array([[1, 2, 3]]))
    counted = new.unigram.numpy()
    assert take_weights(new, old)
    np.testing.assert_array_equal(new.unigram.numpy(), counted)


@pytest.mark.parametrize("width", [8, 12])
def test_a_generator_keeps_its_own_language_model(width: int) -> None:
    sizes = {"picture_size": 16, "style_size": 8, "frames": 2, "width": 8, "depth": 1}
    new = Generator(language_model(PIECES[:2], 0, width), **sizes)
    old = Generator(language_model(PIECES, 1), **sizes)
    own = new.language_model.get_weights()
    assert take_weights(new, old)
    for ours, kept in zip(new.language_model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(ours, kept)
    np.testing.assert_array_equal(new.style.get_weights()[0], old.style.get_weights()[0])
