"""How the language model learns: to write captions, and to read them for what a picture of them would show."""

from typing import Any

import keras
import tensorflow as tf

from models.language_model import LanguageModel, masked_nats
from models.layers import blend, numbered
from models.pictures import to_float
from models.text import PAD, RESERVED

PICTURE_SIDE = 16


class GroundedLanguageModel(keras.Model):
    """A language model with two heads that only training has, so that its embedding comes to mean the picture.

    From a caption's embedding, one head predicts the words of all captions of the same picture, in whatever language.
    The other predicts from each slot a small picture and where it counts; the blend of all is held against the
    caption's picture. Neither needs labels: captions and pictures are enough. Words tell a square from a circle, which
    are alike in small pictures; pictures tell which word belongs where, and cost next to nothing to draw so small.

    Args:
        language_model: The model to train.
        picture_size: Side of the training pictures.
        word_weight: Weight of the words' cross-entropy against the next-piece loss.
        picture_weight: Weight of the pictures' squared error against the next-piece loss.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        picture_size: int,
        word_weight: float = 0.03,
        picture_weight: float = 50.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.language_model = language_model
        self.side = max(side for side in range(1, PICTURE_SIDE + 1) if picture_size % side == 0)
        self.word_weight = word_weight
        self.picture_weight = picture_weight
        self.word_head = keras.Sequential(
            [keras.Input((language_model.embedding_size,)), keras.layers.Dense(len(language_model.vocabulary))]
        )
        self.picture_head = keras.Sequential(
            [
                keras.Input((language_model.slots, language_model.slot_size + language_model.slots)),
                keras.layers.Dense(256, activation="gelu"),
                keras.layers.Dense(256, activation="gelu"),
                keras.layers.Dense(4 * self.side**2, name="colours"),
            ]
        )
        self.built = True

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on a batch of captions.

        Args:
            batch: `ids` int64[b, t], the captions to read; `targets` int64[b, t], the same with PAD for pieces that
                are not to be learned; `all_ids` int64[b, k, t], every caption of their pictures; `image`
                uint8[b, side, side, 3]; `has_picture` float32[b], 0 for a text without one.

        Returns:
            The losses, scalars by name.
        """
        with tf.GradientTape() as tape:
            losses = self.losses_of(batch)
            total = (
                losses["nats_per_piece"]
                + self.word_weight * losses["word_loss"]
                + self.picture_weight * losses["picture_loss"]
            )
        gradients = tape.gradient(total, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return losses

    def losses_of(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The three losses of a batch, each a scalar."""
        targets, has_picture = batch["targets"][:, 1:], batch["has_picture"]
        logits, embedding = self.language_model(batch["ids"])
        nats = masked_nats(logits[:, :-1], targets)
        error = tf.reduce_mean((self.picture(embedding) - self.shrink(batch["image"])) ** 2, axis=[1, 2, 3])
        words = tf.nn.sigmoid_cross_entropy_with_logits(
            labels=self.words_of(batch["all_ids"]), logits=self.word_head(embedding)
        )
        pictures = tf.maximum(tf.reduce_sum(has_picture), 1.0)
        return {
            "nats_per_piece": tf.reduce_sum(nats) / tf.reduce_sum(tf.cast(tf.not_equal(targets, PAD), tf.float32)),
            "word_loss": tf.reduce_sum(tf.reduce_sum(words, axis=1) * has_picture) / pictures,
            "picture_loss": tf.reduce_sum(error * has_picture) / pictures,
        }

    def words_of(self, all_ids_BxKxT: tf.Tensor) -> tf.Tensor:
        """1 for each piece that occurs in any caption of a row's picture, float32[b, vocabulary]."""
        size = len(self.language_model.vocabulary)
        rows = tf.shape(all_ids_BxKxT)[0]
        ids = tf.reshape(all_ids_BxKxT, [rows, -1])
        where = tf.stack([tf.broadcast_to(tf.range(rows, dtype=tf.int64)[:, None], tf.shape(ids)), ids], axis=-1)
        present = tf.minimum(tf.scatter_nd(where, tf.ones_like(ids, tf.float32), [rows, size]), 1.0)
        meaningful = tf.concat([tf.zeros(len(RESERVED)), tf.ones(size - len(RESERVED))], axis=0)
        return present * meaningful

    def picture(self, embedding: tf.Tensor) -> tf.Tensor:
        """float32[b, embedding_size] -> float32[b, side, side, 3]."""
        slots = numbered(embedding, self.language_model.slots)
        return blend(tf.reshape(self.picture_head(slots), [-1, self.language_model.slots, self.side, self.side, 4]))

    def shrink(self, image: tf.Tensor) -> tf.Tensor:
        """uint8[b, s, s, 3] -> float32[b, side, side, 3] in -1..1."""
        factor = image.shape[1] // self.side
        return tf.nn.avg_pool2d(to_float(image), factor, factor, "VALID") if factor > 1 else to_float(image)


class TextTraining(keras.Model):
    """Teaches a language model to go on with one long text, without captions or pictures.

    The text is read at many places side by side, and each window from the states that the last one left, so that the
    model learns to use what lies further back than a window (truncated backpropagation through time, Williams and
    Peng, 1990).

    Args:
        language_model: The model to train; its reader, which a text teaches nothing, is left alone.
        streams: Places that are read side by side, the rows of every batch.
        dropout: Share of the last layer's outputs that a step leaves out, for models that would learn a text by heart.
    """

    def __init__(self, language_model: LanguageModel, *, streams: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.language_model = language_model
        self.dropout = dropout
        language_model.reader.trainable = False
        shape = (len(language_model.lstms), 2, streams, language_model.width)
        self.states = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="states")
        self.built = True

    def train_step(self, ids_BxT: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step on the next window of each stream, int64[streams, t]; the last id begins the window after it.

        Returns:
            The loss, a scalar by name.
        """
        model = self.language_model
        before = [tf.unstack(layer) for layer in tf.unstack(tf.convert_to_tensor(self.states))]
        with tf.GradientTape() as tape:
            x, after = model.read(ids_BxT[:, :-1], before)
            kept = tf.nn.dropout(x, self.dropout) if self.dropout else x
            loss = tf.reduce_mean(masked_nats(model.next_piece(kept), ids_BxT[:, 1:]))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        self.states.assign(tf.stack(after))
        return {"nats_per_piece": loss}
