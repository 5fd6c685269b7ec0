"""The network of the language model: maps ids of captions to logits of the next pieces and to caption embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.exclusion import exclusive_pairs
from models.reader import CaptionReader
from models.tensors import Tensor
from models.vocabulary import END, PAD, START

COMMON = 1024
"""Number of pieces, the first of a vocabulary, that can exclude each other; see `models.exclusion`."""

States: TypeAlias = list[list[Tensor]]


@keras.saving.register_keras_serializable(package="easel")
class LanguageNetwork(keras.Model):
    """Predicts the next piece of a caption, and encodes a caption as its embedding.

    Args:
        vocabulary: The tokenizer's pieces, the reserved ones first.
        length: Maximum number of ids in a caption, START and END included.
        token_size: Width of the embedding of a piece.
        width: Units of each LSTM layer.
        depth: Number of LSTM layers.
        slots: Number of slots of the caption embedding; see `CaptionReader`.
        slot_size: Width of a slot.
        reading_depth: Number of self-attention blocks between the LSTM and the slots.
        reading_width: Channels of these blocks, a multiple of 4.
        exact: Whether case, spaces and line ends are kept; the vocabulary then consists of single characters.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        length: int = 32,
        token_size: int = 96,
        width: int = 128,
        depth: int = 1,
        slots: int = 3,
        slot_size: int = 128,
        reading_depth: int = 2,
        reading_width: int = 64,
        exact: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.length = length
        self.token_size = token_size
        self.width = width
        self.depth = depth
        self.slots = slots
        self.slot_size = slot_size
        self.reading_depth = reading_depth
        self.reading_width = reading_width
        self.exact = exact
        self.tokens = keras.layers.Embedding(
            len(self.vocabulary), token_size, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0)
        )
        self.lstms = [keras.layers.LSTM(width, return_sequences=True, return_state=True) for _ in range(depth)]
        self.next_piece = keras.layers.Dense(len(self.vocabulary), name="next_piece")
        self.reader = CaptionReader(
            slots=slots, slot_size=slot_size, width=reading_width, depth=reading_depth, length=length
        )
        self.unigram = self.add_weight(
            shape=(len(self.vocabulary),), initializer="zeros", trainable=False, name="unigram_log_probability"
        )
        self.common = min(len(self.vocabulary), COMMON)
        self.exclusive = self.add_weight(
            shape=(self.common, self.common), dtype="bool", initializer="zeros", trainable=False, name="exclusive"
        )
        self(ops.convert_to_tensor([[START, END]]))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("vocabulary", "length", "token_size", "width", "depth", "slots", "slot_size", "exact")
        reading = ("reading_depth", "reading_width")
        return {**super().get_config(), **{name: getattr(self, name) for name in (*names, *reading)}}

    @property
    def embedding_size(self) -> int:
        """Width of the caption embedding."""
        return self.slots * self.slot_size

    def call(self, ids_BxT: Tensor) -> tuple[Tensor, Tensor]:
        """Encode captions.

        Args:
            ids_BxT: Integer ids, padded with PAD on the right.

        Returns:
            Logits of the next piece after each piece, float32[b, t, vocabulary], and caption embeddings,
            float32[b, embedding_size].
        """
        x, _ = self.read(ids_BxT, self.no_states(ops.shape(ids_BxT)[0]))
        return self.next_piece(x), self.reader(ops.concatenate([self.tokens(ids_BxT), x], axis=-1), ids_BxT)

    def read(self, ids_BxT: Tensor, states: States) -> tuple[Tensor, States]:
        """Run the LSTM on further pieces.

        Args:
            ids_BxT: Integer ids.
            states: Last output and cell state of each layer, float32[b, width] each.

        Returns:
            Outputs of the last layer, float32[b, t, width], and the states after the last piece.
        """
        x, after = self.tokens(ids_BxT), []
        for lstm, state in zip(self.lstms, states, strict=True):
            x, *state = lstm(x, initial_state=state)
            after.append(state)
        return x, after

    def no_states(self, rows: Tensor | int) -> States:
        """The initial states."""
        return [[ops.zeros([rows, self.width])] * 2 for _ in self.lstms]

    def fit_unigram(self, ids: NDArray[np.int64]) -> None:
        """Fit the unigram baseline of the perplexity to the counts of pieces, int[n, t]; see `set_unigram`."""
        self.set_unigram(np.bincount(ids.ravel(), minlength=len(self.vocabulary)))

    def set_unigram(self, counts: NDArray[np.int64]) -> None:
        """Set the unigram baseline of the perplexity to the counts of the vocabulary's pieces, int[v].

        The counts are smoothed as by Witten and Bell (1991): one count for each distinct piece that occurs is shared
        among all pieces, so that a vocabulary with many unused pieces is not penalised.
        """
        smoothed = counts.astype(np.float32)
        smoothed[[PAD, START]] = 0
        smoothed += max(1, int(np.count_nonzero(smoothed))) / (len(smoothed) - 2)
        smoothed[[PAD, START]] = 1e-9
        self.unigram.assign(np.log(smoothed / smoothed.sum()))

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Load this model's own variables; a file without `exclusive`, of an earlier release, is read too."""
        if "1" in store:
            super().load_own_variables(store)
        else:
            self.unigram.assign(store["0"])

    def fit_exclusive(self, captions: NDArray[np.integer]) -> None:
        """Find which pieces exclude each other in captions, int[n, t]; see `models.exclusion`.

        An exact model, whose pieces are characters, has none.
        """
        if not self.exact:
            self.exclusive.assign(exclusive_pairs(captions, self.common))

    def blend_unigram(self, share: float) -> None:
        """Interpolate the predictions with the unigram baseline.

        The logits are interpolated (log-linear interpolation, Klakow, 1998), so only the weights of the last layer
        change: inference takes no longer, and caption embeddings stay the same.

        Args:
            share: Weight of the model's own logits: 1 leaves the model unchanged, 0 gives the baseline.
        """
        kernel, bias = self.next_piece.weights
        kernel.assign(share * kernel)
        bias.assign(share * bias + (1 - share) * self.unigram)

    def negative_log_likelihood(self, ids_BxT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Negative log-likelihood of captions given START, in nats.

        Returns:
            The nats under this model, float32[b]; under the unigram baseline, float32[b]; and the number of pieces, END
            included, float32[b].
        """
        x, _ = self.read(ids_BxT[:, :-1], self.no_states(ops.shape(ids_BxT)[0]))
        targets = ids_BxT[:, 1:]
        mask = ops.cast(ops.not_equal(targets, PAD), "float32")
        terms = (masked_nats(self.next_piece(x), targets), -ops.take(self.unigram, targets) * mask, mask)
        return tuple(ops.sum(term, axis=1) for term in terms)


def masked_nats(logits_BxTxV: Tensor, targets_BxT: Tensor) -> Tensor:
    """Cross-entropy of each target in nats, float32[b, t]; 0 for PAD."""
    nats = ops.sparse_categorical_crossentropy(targets_BxT, logits_BxTxV, from_logits=True)
    return nats * ops.cast(ops.not_equal(targets_BxT, PAD), "float32")
