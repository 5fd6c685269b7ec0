"""Transform's preprocessing of pictures to uint8 squares, and of captions to ids of a learned vocabulary."""

from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from models.text import characters, pieces, token_ids
from models.vocabulary import RESERVED
from tfx_pipeline.ingesting.squares import raw_squares

VOCABULARY = "pieces"


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Transform a batch.

    Args:
        inputs: `image`, `text` and `text_zh` as encoded pictures and captions, string[b] or string[b, 1]; `more`,
            further captions, string[b, k], and `annotations`, string[b] or string[b, 1], if the data have any.
        custom_config: `picture_size`, `caption_length`, `vocabulary_size`, and `known_pieces`, which come first in the
            vocabulary whether or not they occur, beside the most frequent ones.

    Returns:
        `image`: string[b, 1], size * size * 3 bytes of uint8 RGB each, because Transform has no uint8 tensors and
        float32 would take four times the disk; `text` and `text_zh`: int64[b, caption_length]; `more`: the rows of
        further captions one after the other, int64[b, k * caption_length], sparse; `annotations` as they are,
        string[b, 1], empty where a picture has none.
    """
    image, text, text_zh = (flat(inputs[name]) for name in ("image", "text", "text_zh"))
    more = {name: sparse(inputs[name]) for name in ("more",) if name in inputs}
    captions = tf.concat([text, text_zh, *(texts.values for texts in more.values())], axis=0)
    vocabulary = tft.vocabulary(
        # Every character too, so that words the vocabulary lacks can be spelled.
        tf.concat([pieces(captions), characters(captions)], axis=1).to_sparse(),
        vocab_filename=VOCABULARY,
        top_k=custom_config["vocabulary_size"] - len(RESERVED),
        reserved_tokens=[*RESERVED, *custom_config["known_pieces"]],
    )
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ),
        num_oov_buckets=1,
    )
    length = custom_config["caption_length"]
    return {
        "image": raw_squares(image, custom_config["picture_size"]),
        "text": tf.ensure_shape(token_ids(text, table, length), [None, length]),
        "text_zh": tf.ensure_shape(token_ids(text_zh, table, length), [None, length]),
        **{name: laid_out(texts, token_ids(texts.values, table, length), length) for name, texts in more.items()},
        **{name: flat(inputs[name])[:, None] for name in ("annotations",) if name in inputs},
    }


def flat(feature: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """A feature with one value per example as string[b]; missing values are empty."""
    if isinstance(feature, tf.SparseTensor):
        feature = tft.sparse_tensor_to_dense_with_shape(feature, [None, 1], default_value="")
    return tf.reshape(feature, [-1])


def sparse(feature: tf.Tensor | tf.SparseTensor) -> tf.SparseTensor:
    """A feature with any number of texts; Transform makes it dense if all examples have equally many."""
    return feature if isinstance(feature, tf.SparseTensor) else tf.sparse.from_dense(feature)


def laid_out(captions: tf.SparseTensor, ids_MxT: tf.Tensor, length: int) -> tf.SparseTensor:
    """Concatenate the ids of all captions of an example in its row."""
    rows, places = tf.unstack(captions.indices, axis=1)
    columns = tf.reshape(places[:, None] * length + tf.range(length, dtype=tf.int64), [-1])
    shape = captions.dense_shape * tf.constant([1, length], tf.int64)
    return tf.SparseTensor(tf.stack([tf.repeat(rows, length), columns], axis=1), tf.reshape(ids_MxT, [-1]), shape)
