"""An LSTM that continues a short prompt into a full caption, and reads a caption into its embedding."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_rows, as_strings, as_temperatures
from models.sampling import uniform_rows
from models.text import END, PAD, RESERVED, START, Tokenizer

# Freely enough to vary, and rarely off the language that was learned.
TEMPERATURE = 0.3

Texts: TypeAlias = str | Sequence[str] | tf.data.Dataset


@keras.saving.register_keras_serializable(package="easel")
class LanguageModel(keras.Model):
    """Predicts the next piece of a caption; its state at the end, projected, is the caption's embedding.

    Args:
        vocabulary: The tokenizer's pieces, the reserved ones first.
        length: Most ids in a caption, START and END included.
        token_size: Width of a piece's embedding.
        width: Units of each LSTM layer.
        depth: LSTM layers.
        embedding_size: Width of the caption embedding.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        length: int = 32,
        token_size: int = 96,
        width: int = 128,
        depth: int = 1,
        embedding_size: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.length = length
        self.token_size = token_size
        self.width = width
        self.depth = depth
        self.embedding_size = embedding_size
        self.tokenizer = Tokenizer(self.vocabulary, length)
        self.tokens = keras.layers.Embedding(len(self.vocabulary), token_size)
        self.lstms = [keras.layers.LSTM(width, return_sequences=True) for _ in range(depth)]
        self.next_piece = keras.layers.Dense(len(self.vocabulary))
        self.caption_head = keras.Sequential(
            [keras.Input((width,)), keras.layers.Dense(embedding_size), keras.layers.LayerNormalization()]
        )
        self.unigram = self.add_weight(
            shape=(len(self.vocabulary),), initializer="zeros", trainable=False, name="unigram_log_probability"
        )
        self(tf.constant([[START, END]], tf.int64))

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("vocabulary", "length", "token_size", "width", "depth", "embedding_size")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, ids_BxT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Read captions.

        Args:
            ids_BxT: Integer ids, padded with PAD on the right.

        Returns:
            Logits of the next piece after each piece, float32[b, t, vocabulary], and caption embeddings,
            float32[b, embedding_size].
        """
        x = self.tokens(ids_BxT)
        for lstm in self.lstms:
            x = lstm(x)
        last = tf.reduce_sum(tf.cast(tf.not_equal(ids_BxT, PAD), tf.int32), axis=1) - 1
        return self.next_piece(x), self.caption_head(tf.gather(x, last, axis=1, batch_dims=1))

    def fit_unigram(self, ids: NDArray[np.int64]) -> None:
        """Count pieces, int[n, t], for the unigram baseline that perplexity is held against (add-one smoothing)."""
        counts = np.bincount(ids.ravel(), minlength=len(self.vocabulary)).astype(np.float32) + 1
        counts[[PAD, START]] = 1e-9
        self.unigram.assign(np.log(counts / counts.sum()))

    def negative_log_likelihood(self, ids_BxT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Nats that captions cost, START given.

        Returns:
            Under this model, float32[b]; under the unigram baseline, float32[b]; and the number of pieces, END
            included, float32[b].
        """
        logits_BxTxV, _ = self(ids_BxT[:, :-1])
        targets = ids_BxT[:, 1:]
        mask = tf.cast(tf.not_equal(targets, PAD), tf.float32)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits_BxTxV)
        unigram_nats = -tf.gather(tf.convert_to_tensor(self.unigram), targets)
        return tuple(tf.reduce_sum(x, axis=1) for x in (nats * mask, unigram_nats * mask, mask))

    def embed_texts(self, captions: tf.Tensor) -> tf.Tensor:
        """In the graph: string[b] -> float32[b, embedding_size]."""
        return self(self.tokenizer.tokenize(captions))[1]

    def continue_texts(self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
        """In the graph: each prompt with its continuation.

        Args:
            prompts: string[b].
            seeds: int64[b]; a row's continuation depends on its own prompt, seed and temperature alone.
            temperatures: float32[b]; 0 takes the likeliest piece each time.

        Returns:
            string[b], each beginning with its prompt, spaces trimmed. An empty prompt becomes a whole caption.
        """
        prompts = tf.strings.strip(prompts)
        ids_BxT = self.tokenizer.tokenize(prompts)
        is_prompt_BxT = tf.not_equal(ids_BxT, PAD) & tf.not_equal(ids_BxT, END)
        draws_BxT = uniform_rows(seeds, self.length, stream=0)
        written_TxB = self._decode(ids_BxT, is_prompt_BxT, draws_BxT, temperatures)
        continuation = tf.where(is_prompt_BxT, tf.constant(PAD, tf.int64), tf.transpose(written_TxB))
        return tf.strings.join([prompts, self.tokenizer.detokenize(continuation)])

    def _decode(self, ids: tf.Tensor, is_prompt: tf.Tensor, draws: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
        """Step through all rows at once, reading the prompt where there is one and writing after it; int64[t, b]."""
        rows = tf.shape(ids)[0]
        never = tf.concat([tf.fill([len(RESERVED)], -1e9), tf.zeros([len(self.vocabulary) - len(RESERVED)])], 0)
        never = tf.tensor_scatter_nd_update(never, [[END]], [0.0])
        written = tf.TensorArray(tf.int64, size=self.length, element_shape=[None]).write(0, ids[:, 0])
        states = [[tf.zeros([rows, self.width])] * 2 for _ in self.lstms]

        def step(time: tf.Tensor, last: tf.Tensor, states: Any, written: tf.TensorArray) -> tuple[Any, ...]:
            logits, states = self._step(last, states)
            drawn = sample(logits + never, draws[:, time], temperatures)
            ended = tf.equal(last, END) | tf.equal(last, PAD)
            following = tf.where(is_prompt[:, time], ids[:, time], tf.where(ended, tf.constant(PAD, tf.int64), drawn))
            return time + 1, following, states, written.write(time, following)

        def unfinished(time: tf.Tensor, last: tf.Tensor, states: Any, written: tf.TensorArray) -> tf.Tensor:
            return time < self.length

        *_, written = tf.while_loop(unfinished, step, (tf.constant(1), ids[:, 0], states, written))
        return tf.ensure_shape(written.stack(), [self.length, None])

    def _step(self, last: tf.Tensor, states: list[list[tf.Tensor]]) -> tuple[tf.Tensor, list[list[tf.Tensor]]]:
        """One piece through every layer: logits float32[b, vocabulary] and the new states."""
        x, after = self.tokens(last), []
        for lstm, state in zip(self.lstms, states, strict=True):
            x, state = lstm.cell(x, state)
            after.append(list(state))
        return self.next_piece(x), after

    def generate(self, prompts: Texts, *, seed: int | Sequence[int] = 0, temperature: float = TEMPERATURE) -> Any:
        """Continue prompts into full captions.

        Args:
            prompts: A string, a list of strings, or a dataset of string batches.
            seed: One for all prompts, or one for each.
            temperature: 0 and up; 0 takes the likeliest piece each time.

        Returns:
            A string for a string, else a list of strings.

        Raises:
            ValueError: If the temperature is negative, or there are not as many seeds as prompts.
        """
        texts, single = as_strings(prompts)
        seeds = as_rows(seed, len(texts), "seed", np.int64)
        temperatures = as_temperatures(temperature, len(texts))
        written = [text.decode() for text in self._generate(tf.constant(texts), seeds, temperatures).numpy()]
        return written[0] if single else written

    @tf.function(reduce_retracing=True)
    def _generate(self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
        return self.continue_texts(prompts, seeds, temperatures)

    def embed(self, captions: Texts) -> NDArray[np.float32]:
        """Embed captions.

        Args:
            captions: A string, a list of strings, or a dataset of string batches.

        Returns:
            float32[embedding_size] for a string, else float32[n, embedding_size].
        """
        texts, single = as_strings(captions)
        embeddings = self._embed(tf.constant(texts)).numpy()
        return embeddings[0] if single else embeddings

    @tf.function(reduce_retracing=True)
    def _embed(self, captions: tf.Tensor) -> tf.Tensor:
        return self.embed_texts(captions)

    def score(self, texts: Texts) -> Any:
        """Nats per character of texts, END included; a float for a string, else float32[n]."""
        rows, single = as_strings(texts)
        nats, _, _ = self.negative_log_likelihood(self.tokenizer.tokenize(tf.constant(rows)))
        scores = nats.numpy() / np.maximum([len(row) for row in rows], 1)
        return float(scores[0]) if single else scores.astype(np.float32)


def sample(logits: tf.Tensor, draws: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
    """Pick one piece for each row by inverting the cumulative distribution.

    Args:
        logits: float32[b, v].
        draws: float32[b] in [0, 1).
        temperatures: float32[b]; at 0 the likeliest piece is taken whatever the draw.

    Returns:
        int64[b].
    """
    cold = tf.maximum(temperatures, 1e-4)[:, None]
    cumulative = tf.cumsum(tf.nn.softmax(logits / cold), axis=-1)
    # The last of the cumulative sum can round below a draw close to 1.
    below = tf.cast(cumulative <= draws[:, None] * cumulative[:, -1:], tf.int64)
    drawn = tf.minimum(tf.reduce_sum(below, axis=-1), logits.shape[-1] - 1)
    return tf.where(temperatures > 0, drawn, tf.argmax(logits, axis=-1))
