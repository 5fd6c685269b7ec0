"""Training of the language model: to continue captions, and to encode what a picture of a caption would show."""

from typing import Any

import keras
from keras import ops

from models import sampling
from models.language_network import LanguageNetwork, masked_nats
from models.layers import blend, numbered
from models.tensors import Tensor, to_float
from models.training import Losses, Training, Update
from models.vocabulary import PAD, RESERVED

PICTURE_SIDE = 16


class GroundedLanguageModel(Training):
    """Trains a language model with auxiliary heads, so that its embedding represents the picture of a caption.

    From the embedding, one head predicts the words of all captions of the same picture, in every language. Another
    predicts a small picture with a mask from each slot; their blend is compared with the caption's picture. Neither
    needs labels. Words distinguish a square from a circle, which look alike in small pictures; pictures show which word
    belongs to which part, and are cheap to draw at that size.

    If the parts of pictures have tags, a third head predicts those of each part from its slot, with the same weights
    for all slots.

    Args:
        language_model: The model to train.
        picture_size: Side of the training pictures.
        word_weight: Weight of the words' cross-entropy relative to the next-piece loss.
        picture_weight: Weight of the pictures' squared error relative to the next-piece loss.
        tag_weight: Weight of the tags' cross-entropy, in nats per picture, relative to the next-piece loss.
        tags: Number of tags that the parts of pictures can have; none by default.
    """

    def __init__(
        self,
        language_model: LanguageNetwork,
        *,
        picture_size: int,
        word_weight: float = 0.03,
        picture_weight: float = 50.0,
        tag_weight: float = 0.1,
        tags: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.language_model = language_model
        self.side = max(side for side in range(1, PICTURE_SIDE + 1) if picture_size % side == 0)
        self.word_weight = word_weight
        self.picture_weight = picture_weight
        self.tag_weight = tag_weight
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

        self.tag_heads = [tag_head(tags, language_model.slot_size)] if tags else []

    def updates(self) -> list[Update]:
        """One update of everything."""
        return [Update(self.loss_of, self.trainable_variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The weighted sum of the losses, and the losses."""
        losses = self.losses_of(batch)
        weighted = self.word_weight * losses["word_loss"] + self.picture_weight * losses["picture_loss"]
        weighted += self.tag_weight * losses.get("tag_loss", 0.0)
        return losses["nats_per_piece"] + weighted, losses

    def losses_of(self, batch: dict[str, Tensor]) -> Losses:
        """The losses of a batch of captions.

        Args:
            batch: `ids` int64[b, t], the captions to read; `targets` int64[b, t], the same with PAD for pieces to
                ignore; `all_ids` int64[b, k, t], all captions of their pictures; `image` uint8[b, side, side, 3];
                `has_picture` float32[b], 0 for a text without a picture; with tags, `tags` bool[b, slots, tags].

        Returns:
            Scalars by name.
        """
        targets, has_picture = batch["targets"][:, 1:], batch["has_picture"]
        logits, embedding = self.language_model(batch["ids"])
        nats = masked_nats(logits[:, :-1], targets)
        error = ops.mean((self.picture(embedding) - self.shrink(batch["image"])) ** 2, axis=[1, 2, 3])
        words = ops.binary_crossentropy(self.words_of(batch["all_ids"]), self.word_head(embedding), from_logits=True)
        pictures = ops.maximum(ops.sum(has_picture), 1.0)
        losses = {
            "nats_per_piece": ops.sum(nats) / ops.sum(ops.cast(ops.not_equal(targets, PAD), "float32")),
            "word_loss": ops.sum(ops.sum(words, axis=1) * has_picture) / pictures,
            "picture_loss": ops.sum(error * has_picture) / pictures,
        }
        for head in self.tag_heads:
            slots = ops.reshape(embedding, [-1, self.language_model.slots, self.language_model.slot_size])
            untold = ops.binary_crossentropy(ops.cast(batch["tags"], "float32"), head(slots), from_logits=True)
            losses["tag_loss"] = ops.sum(ops.sum(untold, axis=[1, 2]) * has_picture) / pictures
        return losses

    def words_of(self, all_ids_BxKxT: Tensor) -> Tensor:
        """Multi-hot targets, float32[b, vocabulary]: 1 for each piece in any caption of the row's picture."""
        size = len(self.language_model.vocabulary)
        rows = ops.shape(all_ids_BxKxT)[0]
        ids = ops.reshape(all_ids_BxKxT, [rows, -1])
        numbers = ops.broadcast_to(ops.arange(rows, dtype=ids.dtype)[:, None], ops.shape(ids))
        counts = ops.scatter(ops.stack([numbers, ids], axis=-1), ops.ones_like(ids, "float32"), [rows, size])
        return ops.minimum(counts, 1.0) * ops.cast(ops.arange(size) >= len(RESERVED), "float32")

    def picture(self, embedding: Tensor) -> Tensor:
        """Predict small pictures: float32[b, embedding_size] -> float32[b, side, side, 3]."""
        slots = numbered(embedding, self.language_model.slots)
        return blend(ops.reshape(self.picture_head(slots), [-1, self.language_model.slots, self.side, self.side, 4]))

    def shrink(self, image: Tensor) -> Tensor:
        """Downscale pictures: uint8[b, s, s, 3] -> float32[b, side, side, 3] in -1..1."""
        factor = image.shape[1] // self.side
        return ops.average_pool(to_float(image), factor, factor) if factor > 1 else to_float(image)


def tag_head(tags: int, slot_size: int) -> keras.layers.Dense:
    """A layer that predicts the tags of a slot; its bias is initialized for rare tags."""
    head = keras.layers.Dense(tags, bias_initializer=keras.initializers.Constant(-4.0), name="tags")
    head.build([None, slot_size])
    return head


class TextTraining(Training):
    """Trains a language model on one long text, without captions or pictures.

    The text is read in several streams in parallel, and each window starts from the final states of the previous one,
    so that the model learns to use context beyond a window (truncated backpropagation through time, Williams and Peng,
    1990).

    Args:
        language_model: The model to train; its caption reader is not trained.
        streams: Number of parallel streams, the rows of every batch.
        dropout: Dropout rate of the last layer's outputs, for models that would memorise the text.
    """

    def __init__(self, language_model: LanguageNetwork, *, streams: int, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.language_model = language_model
        self.dropout = dropout
        language_model.reader.trainable = False
        shape = (len(language_model.lstms), 2, streams, language_model.width)
        self.states = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="states")

    def updates(self) -> list[Update]:
        """One update of all weights but the reader's."""
        return [Update(self.loss_of, self.trainable_variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The loss of `ids` int64[streams, t], the next window of each stream; the last id is only a target."""
        model, ids_BxT = self.language_model, batch["ids"]
        before = [ops.unstack(layer) for layer in ops.unstack(ops.convert_to_tensor(self.states))]
        x, after = model.read(ids_BxT[:, :-1], before)
        loss = ops.mean(masked_nats(model.next_piece(self.thinned(x)), ids_BxT[:, 1:]))
        self.states.assign(ops.stack([ops.stack(layer) for layer in after]))
        return loss, {"nats_per_piece": loss}

    def thinned(self, x: Tensor) -> Tensor:
        """Apply dropout (Srivastava et al., 2014)."""
        if not self.dropout:
            return x
        kept = sampling.uniform(ops.shape(x), self.seed_of("dropout")) >= self.dropout
        return x * ops.cast(kept, x.dtype) / (1 - self.dropout)
