import keras
import numpy as np
import pytest
import tensorflow as tf

from models.blocks import block_of, read_block
from models.language_model import LanguageModel
from models.vocabulary import PAD


@pytest.fixture(scope="module")
def layer() -> keras.layers.LSTM:
    keras.utils.set_random_seed(0)
    made = keras.layers.LSTM(6, return_sequences=True, return_state=True, bias_initializer="random_normal")
    made.build((None, None, 5))
    return made


def test_a_block_reads_as_the_layer_does(layer: keras.layers.LSTM) -> None:
    x = tf.random.stateless_normal([3, 7, 5], [0, 1])
    state = [tf.random.stateless_normal([3, 6], [0, seed]) for seed in (2, 3)]
    expected, *after = layer(x, initial_state=state)
    given, memory = read_block(block_of(layer), tf.transpose(x, [1, 0, 2]), state, tf.constant(7, tf.int64))
    np.testing.assert_allclose(tf.transpose(given, [1, 0, 2]), expected, atol=1e-6)
    np.testing.assert_allclose([given[-1], memory[-1]], after, atol=1e-6)


def test_steps_that_do_not_matter_are_not_read(layer: keras.layers.LSTM) -> None:
    x, nothing = tf.random.stateless_normal([7, 2, 5], [0, 4]), [tf.zeros([2, 6])] * 2
    whole, part = (read_block(block_of(layer), x, nothing, tf.constant(n, tf.int64))[0] for n in (7, 4))
    np.testing.assert_array_equal(whole[:4], part[:4])
    assert not np.any(part[4:])


def test_captions_are_embedded_as_in_training(language_model: LanguageModel) -> None:
    ids = language_model.tokenizer.tokenize(tf.constant(["a red circle", "红色圆形", ""]))
    assert np.any(ids == PAD)
    np.testing.assert_allclose(language_model.embed_ids(ids), language_model(ids)[1], rtol=1e-5, atol=1e-5)
