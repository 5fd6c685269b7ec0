import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models import baselines
from models.baselines import RIDGE, learn_mean_pictures
from models.vocabulary import END, PAD, START

RED, BLUE, NEW = 4, 5, 6
SIZE, LENGTH, VOCABULARY = 2, 5, 7


def caption(*words: int) -> list[int]:
    return [START, *words, END, *[PAD] * (LENGTH - 2 - len(words))]


def flat(*levels: int) -> NDArray[np.uint8]:
    """Pictures of one grey each."""
    return np.repeat(np.array(levels, np.uint8), SIZE * SIZE * 3).reshape(-1, SIZE, SIZE, 3)


def levels(pictures: tf.Tensor) -> list[int]:
    assert pictures.dtype == tf.uint8 and pictures.shape[1:] == (SIZE, SIZE, 3)
    return [int(picture.max()) for picture in pictures.numpy() if picture.min() == picture.max()]


def captions(*rows: list[list[int]]) -> NDArray[np.int64]:
    return np.array(rows, np.int64)


def test_the_mean_picture_is_the_mean_whatever_the_caption() -> None:
    rows = captions(*[[caption(RED), caption()]] * 3)
    means = learn_mean_pictures(flat(10, 20, 60), rows, VOCABULARY)
    assert levels(means.of_all(tf.constant([caption(RED), caption(BLUE, BLUE)]))) == [30, 30]


def test_words_call_for_the_mean_of_their_pictures_if_there_are_many() -> None:
    many = 1000
    rows = captions(*[[caption(RED), caption()], [caption(BLUE), caption()]] * many)
    means = learn_mean_pictures(flat(*[50, 150] * many), rows, VOCABULARY)
    drawn = means.of_words(tf.constant([caption(RED), caption(BLUE), caption(NEW)]))
    assert levels(drawn) == [50, 150, 100]


def test_weights_are_those_that_minimise_the_ridge_loss() -> None:
    """Against ordinary least squares with one more row for each penalised weight."""
    random = np.random.default_rng(0)
    words = random.integers(RED, NEW + 1, (30, 3))
    pictures = random.integers(0, 256, (30, SIZE, SIZE, 3)).astype(np.uint8)
    means = learn_mean_pictures(pictures, captions(*[[caption(*row)] for row in words]), VOCABULARY)
    counted = np.stack([(words == word).sum(axis=1) for word in (RED, BLUE, NEW)], axis=1)
    rows = np.concatenate([np.pad(counted, [(0, 0), (0, 1)], constant_values=1), np.sqrt(RIDGE) * np.eye(3, 4)])
    solved, *_ = np.linalg.lstsq(rows, np.pad(pictures.reshape(30, -1) / 1.0, [(0, 3), (0, 0)]), rcond=None)
    expected = np.rint(np.clip([2, 0, 1, 1] @ solved, 0, 255)).reshape(1, SIZE, SIZE, 3)
    drawn = means.of_words(tf.constant([caption(RED, NEW, RED)])).numpy()
    assert np.abs(drawn - expected).max() <= 1
    assert len(np.unique(drawn)) > 3


def test_every_caption_of_a_picture_counts_and_a_missing_one_does_not() -> None:
    once, twice = (
        learn_mean_pictures(flat(0, 90), captions([caption(RED), second], [caption(BLUE), caption()]), VOCABULARY)
        for second in (caption(), caption(RED))
    )
    unknown = tf.constant([caption(NEW)])
    assert levels(once.of_words(unknown)) == [45] > levels(twice.of_words(unknown))
    assert levels(twice.of_all(unknown)) == [45]


def test_without_captions_all_that_is_left_is_the_mean() -> None:
    means = learn_mean_pictures(flat(10, 30), captions([caption()], [caption()]), VOCABULARY)
    assert levels(means.of_words(tf.constant([caption(RED), caption()]))) == [20, 20]


def test_no_more_words_are_counted_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_WORDS", 1)
    rows = captions([caption(RED)], [caption(RED)], [caption(BLUE)])
    means = learn_mean_pictures(flat(0, 0, 90), rows, VOCABULARY)
    red, blue, new = levels(means.of_words(tf.constant([caption(RED), caption(BLUE), caption(NEW)])))
    assert red < blue == new
