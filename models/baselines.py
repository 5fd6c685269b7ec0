"""Baselines for a generator: the mean of the training pictures, and a linear regression from words to pixels."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.vocabulary import RESERVED

MOST_WORDS = 1024
"""Number of pieces to count, the most frequent ones."""
RIDGE = 3.0
"""Regularisation: a word that occurs alone in this many captions moves a prediction halfway from the mean to theirs."""
ROWS = 1024
"""Number of captions to count at once."""


class MeanPictures(tf.Module):
    """Predicts pictures as a linear function of word counts.

    Args:
        mean: The mean training picture in grey levels, float[s, s, 3].
        columns: The column of the count of each id of the vocabulary; `len(weights)` for ids that are not counted.
        weights: Change of each pixel per occurrence of a word, float32[w, s * s * 3].
        intercept: Pixels for a caption without words, float32[s * s * 3].
    """

    def __init__(
        self,
        mean: NDArray[np.floating],
        columns: NDArray[np.int32],
        weights: NDArray[np.float32],
        intercept: NDArray[np.float32],
    ) -> None:
        super().__init__(name="mean_pictures")
        self.mean = in_grey_levels(tf.constant(mean, tf.float32))
        self.columns = tf.constant(columns)
        self.weights = tf.Variable(weights, trainable=False)
        self.intercept = tf.constant(intercept)

    def of_all(self, captions: tf.Tensor) -> tf.Tensor:
        """The mean picture for each caption: int64[b, t] -> uint8[b, s, s, 3]."""
        return tf.repeat(self.mean[None], tf.shape(captions)[0], axis=0)

    def of_words(self, captions: tf.Tensor) -> tf.Tensor:
        """The picture predicted from the words of each caption: int64[b, t] -> uint8[b, s, s, 3]."""
        counted = counts(tf.gather(self.columns, captions), self.weights.shape[0])
        return in_grey_levels(tf.reshape(self.intercept + counted @ self.weights, [-1, *self.mean.shape]))


def in_grey_levels(pixels: tf.Tensor) -> tf.Tensor:
    """float32[...] -> uint8[...], rounded and clipped."""
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)


def counts(columns: tf.Tensor, size: int) -> tf.Tensor:
    """Occurrences of each column in a row, int32[b, t] -> float32[b, size]; `size` itself is not counted."""
    return tf.cast(tf.math.bincount(columns, minlength=size, maxlength=size, axis=-1), tf.float32)


def learn_mean_pictures(pictures: NDArray[np.uint8], captions: NDArray[np.int64], vocabulary_size: int) -> MeanPictures:
    """Predict pictures from the word counts of their captions by ridge regression (Hoerl and Kennard, 1970).

    Args:
        pictures: Training pictures, uint8[n, s, s, 3], with n at least 1.
        captions: Ids of the captions of each picture, int64[n, k, t]; each caption with words is a sample of its own.
        vocabulary_size: One more than the largest id.
    """
    mean = pictures.mean(axis=0, dtype=np.float64)
    has_words = (captions >= len(RESERVED)).any(axis=-1)
    owners, places = np.nonzero(has_words)
    columns, size = columns_of_words(captions, vocabulary_size)
    gram, products = np.zeros([size + 1, size + 1]), np.zeros([size + 1, mean.size])
    for start in range(0, len(owners), ROWS):
        batch = slice(start, start + ROWS)
        rows = captions[owners[batch], places[batch]]
        counted = np.pad(counts(columns[rows], size), [(0, 0), (0, 1)], constant_values=1)
        gram += counted.T @ counted
        products += counted.T @ (pictures[owners[batch]] - mean).reshape(-1, mean.size).astype(np.float32)
    # The intercept, in the last row, is not regularised; its tiny term only keeps the system solvable without captions.
    solved = np.linalg.solve(gram + np.diag([*[RIDGE] * size, 1e-6]), products).astype(np.float32)
    return MeanPictures(mean, columns, solved[:-1], mean.ravel().astype(np.float32) + solved[-1])


def columns_of_words(captions: NDArray[np.int64], vocabulary_size: int) -> tuple[NDArray[np.int32], int]:
    """The column of each id, int32[vocabulary_size], and the number of columns; only frequent words have one."""
    frequencies = np.bincount(captions.ravel(), minlength=vocabulary_size)
    frequencies[: len(RESERVED)] = 0
    words = np.argsort(-frequencies, kind="stable")[: min(MOST_WORDS, np.count_nonzero(frequencies))]
    columns = np.full(vocabulary_size, len(words), np.int32)
    columns[words] = np.arange(len(words))
    return columns, len(words)
