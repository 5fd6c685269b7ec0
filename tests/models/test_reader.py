import numpy as np
import pytest
import tensorflow as tf

from models.reader import CaptionReader
from models.vocabulary import PAD

LENGTH = 6


@pytest.fixture
def reader() -> CaptionReader:
    reader = CaptionReader(slots=3, slot_size=8, width=8, depth=2, heads=2, length=LENGTH)
    reader(tf.zeros([1, LENGTH, 5]), tf.ones([1, LENGTH], tf.int64))
    return reader


def pieces(rows: int) -> tf.Tensor:
    return tf.random.stateless_normal([rows, LENGTH, 5], (0, 1))


def test_slots_lie_one_after_another(reader: CaptionReader) -> None:
    assert reader(pieces(2), tf.ones([2, LENGTH], tf.int64)).shape == (2, 3 * 8)


def test_what_is_padded_is_not_read(reader: CaptionReader) -> None:
    ids = tf.constant([[2, 5, 6, 3, PAD, PAD]], tf.int64)
    known, other = pieces(1).numpy(), pieces(1).numpy()
    other[:, 4:] = 99
    np.testing.assert_allclose(reader(tf.constant(known), ids), reader(tf.constant(other), ids), atol=1e-5)
    shorter = reader(tf.constant(known[:, :4]), ids[:, :4])
    np.testing.assert_allclose(reader(tf.constant(known), ids), shorter, atol=1e-5)


def test_attention_is_shared_out_over_what_is_read(reader: CaptionReader) -> None:
    ids = tf.constant([[2, 5, 3, PAD, PAD, PAD]], tf.int64)
    attention, _ = reader.attend(pieces(1), ids)
    assert attention.shape == (2, 1, 3, LENGTH)
    np.testing.assert_allclose(tf.reduce_sum(attention, axis=-1), np.ones((2, 1, 3)), atol=1e-5)
    assert float(tf.reduce_max(attention[..., 3:])) == 0


def test_order_matters(reader: CaptionReader) -> None:
    ids, forward = tf.fill([1, LENGTH], tf.constant(5, tf.int64)), pieces(1)
    assert float(tf.reduce_max(abs(reader(forward, ids) - reader(forward[:, ::-1], ids)))) > 0.01


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="width 10 and slot_size 8 must be multiples of heads, 4"):
        CaptionReader(slots=1, slot_size=8, width=10, depth=1, length=4)
