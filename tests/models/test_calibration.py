import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tiny_models import PROMPTS, copy_of, moved, pictures, shake, tiny_language_model

from models.calibration import SHARES, SLACK, calibrate, nats_by_share
from models.language_model import LanguageModel
from models.language_training import GroundedLanguageModel

COLOURS, SHAPES = ("red", "blue"), ("circle", "square")
GRAMMAR = [
    f"a {first} {shape} on {second} {digit}"
    for first, shape, second, digit in itertools.product(COLOURS, SHAPES, COLOURS, range(10))
]


def names(count: int) -> list[str]:
    """Words of random letters, which have nothing in common."""
    letters = np.random.default_rng(0).integers(ord("a"), ord("z") + 1, (count, 6))
    return ["".join(map(chr, row)) for row in letters]


def ids_of(model: LanguageModel, texts: list[str]) -> NDArray[np.int64]:
    return model.tokenizer.tokenize(tf.constant(texts)).numpy()


def learned(texts: list[str], steps: int) -> LanguageModel:
    """A model that has read texts so many times."""
    training = GroundedLanguageModel(tiny_language_model(), picture_size=16)
    ids = tf.constant(ids_of(training.language_model, texts))
    training.language_model.fit_unigram(ids.numpy())
    count = len(texts)
    batch = {
        "ids": ids,
        "targets": ids,
        "all_ids": ids[:, None],
        "image": tf.constant(pictures(count)),
        "has_picture": tf.zeros(count),
    }
    training.compile(optimizer=keras.optimizers.Adam(0.03), jit_compile=False)
    training.fit(tf.data.Dataset.from_tensors(batch).repeat(steps), shuffle=False, verbose=0)
    return training.language_model


def per_piece(model: LanguageModel, ids: NDArray[np.int64]) -> tuple[float, float]:
    """Nats of a piece under the model and under the baseline."""
    nats, unigram, pieces = (float(tf.reduce_sum(x)) for x in model.negative_log_likelihood(tf.constant(ids)))
    return nats / pieces, unigram / pieces


def mixed(texts: list[str]) -> tuple[list[str], list[str]]:
    """Three quarters to learn from, and the rest."""
    order = np.random.default_rng(1).permutation(texts).tolist()
    return order[len(order) // 4 :], order[: len(order) // 4]


@pytest.fixture
def model() -> LanguageModel:
    """An untrained model whose guesses and word counts differ."""
    model = tiny_language_model()
    shake(model)
    model.fit_unigram(ids_of(model, ["a red circle", "a blue square"]))
    return model


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_last_layer_gives_the_blend_of_logits(model: LanguageModel, share: float) -> None:
    ids = tf.constant(ids_of(model, list(PROMPTS)))
    own, reading = model(ids)
    model.blend_unigram(share)
    blended, read_again = model(ids)
    np.testing.assert_allclose(blended, share * own + (1 - share) * model.unigram.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(read_again, reading)


def test_without_a_share_of_its_own_it_is_the_baseline(model: LanguageModel) -> None:
    model.blend_unigram(0.0)
    own, baseline = per_piece(model, ids_of(model, ["a red square", "b"]))
    assert own == pytest.approx(baseline, rel=1e-5)


def test_all_shares_cost_what_the_blended_model_does(model: LanguageModel) -> None:
    ids = ids_of(model, list(PROMPTS) * 20)
    costs = nats_by_share(model, ids)
    model.blend_unigram(float(SHARES[12]))
    assert per_piece(model, ids)[0] == pytest.approx(costs[12], rel=1e-4)


def test_a_model_that_knows_the_grammar_goes_on_as_it_did() -> None:
    train, withheld = mixed(GRAMMAR)
    model = learned(train, steps=60)
    prompts = ["a", "a red", "a blue circle on"]
    written = model.generate(prompts, temperature=0.0)
    assert calibrate(model, ids_of(model, withheld)) >= 0.9
    assert model.generate(prompts, temperature=0.0) == written


@pytest.mark.slow
def test_a_model_that_knows_names_by_heart_guesses_others_no_worse_than_counts_do() -> None:
    train, withheld = mixed(names(80))
    model = learned(train, steps=150)
    ids = ids_of(model, withheld)
    before, baseline = per_piece(model, ids)
    assert before > baseline + 1
    assert calibrate(model, ids) < 0.5
    assert per_piece(model, ids)[0] <= baseline + SLACK + 1e-4


def test_without_captions_nothing_is_changed(model: LanguageModel) -> None:
    before = copy_of(model.weights)
    assert calibrate(model, np.zeros([0, model.length], np.int64)) == 1.0
    assert not moved(before, model.weights)


def test_weights_that_are_no_numbers_are_left_to_the_evaluator(model: LanguageModel) -> None:
    model.next_piece.bias.assign(np.full(len(model.vocabulary), np.nan))
    assert calibrate(model, ids_of(model, ["a red square"])) == 1.0
