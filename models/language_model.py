"""An LSTM that continues a short prompt into a full caption, and reads a caption into its embedding."""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_lengths, as_rows, as_strings, as_temperatures
from models.blocks import Block, block_of, read_block
from models.device import device_policy
from models.reader import CaptionReader
from models.sampling import uniform_rows
from models.text import END, PAD, RESERVED, START, Tokenizer, as_utf8

# Freely enough to vary, and rarely off the language that was learned.
TEMPERATURE = 0.3
# By then every piece is as likely as any other, and hotter ones would let pieces through that are never to be written.
HOTTEST = 1e4
READING_WIDTH = 64
# Pieces read at once when a text is scored, and texts side by side: bounds on memory, without effect on the result.
WINDOW, ROWS = 256, 256

Texts: TypeAlias = str | Sequence[str] | tf.data.Dataset
States: TypeAlias = list[list[tf.Tensor]]


@keras.saving.register_keras_serializable(package="easel")
class LanguageModel(keras.Model):
    """Predicts the next piece of a caption, and reads a caption into its embedding.

    Args:
        vocabulary: The tokenizer's pieces, the reserved ones first.
        length: Most ids in a caption, START and END included.
        token_size: Width of a piece's embedding.
        width: Units of each LSTM layer.
        depth: LSTM layers.
        slots: Parts that the caption embedding consists of; see `CaptionReader`.
        slot_size: Width of a part.
        reading_depth: Self-attention blocks between the LSTM and the slots.
        exact: Whether case, spaces and line ends are kept, with single characters for a vocabulary.
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
        self.exact = exact
        self.tokenizer = Tokenizer(self.vocabulary, length, exact=exact)
        self.tokens = keras.layers.Embedding(
            len(self.vocabulary), token_size, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0)
        )
        self.lstms = [keras.layers.LSTM(width, return_sequences=True, return_state=True) for _ in range(depth)]
        self.next_piece = keras.layers.Dense(len(self.vocabulary), name="next_piece")
        self.reader = CaptionReader(
            slots=slots, slot_size=slot_size, width=READING_WIDTH, depth=reading_depth, length=length
        )
        self.unigram = self.add_weight(
            shape=(len(self.vocabulary),), initializer="zeros", trainable=False, name="unigram_log_probability"
        )
        self(tf.constant([[START, END]], tf.int64))

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("vocabulary", "length", "token_size", "width", "depth", "slots", "slot_size", "reading_depth", "exact")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @property
    def embedding_size(self) -> int:
        """Width of the caption embedding."""
        return self.slots * self.slot_size

    def call(self, ids_BxT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Read captions.

        Args:
            ids_BxT: Integer ids, padded with PAD on the right.

        Returns:
            Logits of the next piece after each piece, float32[b, t, vocabulary], and caption embeddings,
            float32[b, embedding_size].
        """
        x, _ = self.read(ids_BxT, self.no_states(tf.shape(ids_BxT)[0]))
        return self.next_piece(x), self.reader(tf.concat([self.tokens(ids_BxT), x], axis=-1), ids_BxT)

    def read(self, ids_BxT: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
        """Go on reading.

        Args:
            ids_BxT: Integer ids.
            states: Of each layer, its output and its memory so far, float32[b, width] each.

        Returns:
            What the last layer gives after each piece, float32[b, t, width], and the states after the last piece.
        """
        x, after = self.tokens(ids_BxT), []
        for lstm, state in zip(self.lstms, states, strict=True):
            x, *state = lstm(x, initial_state=state)
            after.append(state)
        return x, after

    def no_states(self, rows: tf.Tensor | int) -> States:
        """The states before anything was read."""
        return [[tf.zeros([rows, self.width])] * 2 for _ in self.lstms]

    def fit_unigram(self, ids: NDArray[np.int64]) -> None:
        """Count pieces, int[n, t], for the unigram baseline that perplexity is held against (add-one smoothing)."""
        counts = np.bincount(ids.ravel(), minlength=len(self.vocabulary)).astype(np.float32) + 1
        counts[[PAD, START]] = 1e-9
        self.unigram.assign(np.log(counts / counts.sum()))

    def blend_unigram(self, share: float) -> None:
        """Let this model's own guesses count for a share, and the unigram baseline's for the rest.

        The blend is of logits (log-linear interpolation, Klakow, 1998), so the last layer takes it in: nothing costs
        more, and captions are read as before. A share of 0 leaves the baseline alone, 1 the model as it is.

        Args:
            share: 0 to 1.
        """
        kernel, bias = self.next_piece.weights
        kernel.assign(share * kernel)
        bias.assign(share * bias + (1 - share) * self.unigram)

    def negative_log_likelihood(self, ids_BxT: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Nats that captions cost, START given.

        Returns:
            Under this model, float32[b]; under the unigram baseline, float32[b]; and the number of pieces, END
            included, float32[b].
        """
        x, _ = self.read(ids_BxT[:, :-1], self.no_states(tf.shape(ids_BxT)[0]))
        logits_BxTxV = self.next_piece(x)
        targets = ids_BxT[:, 1:]
        mask = tf.cast(tf.not_equal(targets, PAD), tf.float32)
        unigram_nats = -tf.gather(tf.convert_to_tensor(self.unigram), targets)
        terms = (masked_nats(logits_BxTxV, targets), unigram_nats * mask, mask)
        return tuple(tf.reduce_sum(x, axis=1) for x in terms)

    def embed_texts(self, captions: tf.Tensor) -> tf.Tensor:
        """In the graph: string[b] -> float32[b, embedding_size]."""
        return self.embed_ids(self.tokenizer.tokenize(captions))

    def embed_ids(self, ids_BxT: tf.Tensor) -> tf.Tensor:
        """What `call` says of captions, for inference: int64[b, t] -> float32[b, embedding_size]."""
        tokens = self.tokens(ids_BxT)
        longest = tf.reduce_max(tf.math.count_nonzero(tf.not_equal(ids_BxT, PAD), axis=1))
        x = tf.transpose(tokens, [1, 0, 2])
        for lstm, state in zip(self.lstms, self.no_states(tf.shape(ids_BxT)[0]), strict=True):
            x, _ = read_block(block_of(lstm), x, state, longest)
        x = tf.transpose(x, [1, 0, 2])
        return self.reader(tf.concat([tokens, x], axis=-1), ids_BxT)

    def continue_texts(
        self,
        prompts: tf.Tensor,
        seeds: tf.Tensor,
        temperatures: tf.Tensor,
        lengths: tf.Tensor | None = None,
        *,
        compiled: bool = False,
    ) -> tf.Tensor:
        """In the graph: each prompt with its continuation.

        Args:
            prompts: string[b].
            seeds: int64[b]; a row's continuation depends on its own prompt, seed, temperature and length alone.
            temperatures: float32[b]; 0 takes the likeliest piece each time.
            lengths: int32[b], most pieces to add; without them, as many as a caption holds.
            compiled: Whether XLA compiles the loop, which a served graph must not ask for.

        Returns:
            string[b], valid UTF-8, each beginning with its prompt, spaces at its ends trimmed unless texts are exact.
            An empty prompt becomes a whole caption; a prompt that fills a caption stays as it is.
        """
        prompts = as_utf8(prompts) if self.exact else tf.strings.strip(as_utf8(prompts))
        ids_BxT = self.tokenizer.tokenize(prompts)
        is_prompt_BxT = tf.not_equal(ids_BxT, PAD) & tf.not_equal(ids_BxT, END)
        if lengths is None:
            lengths = tf.fill(tf.shape(seeds), self.length)
        draws_BxT = uniform_rows(seeds, self.length, stream=0)
        decode = self._decode_compiled if compiled else self._decode
        written_TxB = decode(ids_BxT, is_prompt_BxT, draws_BxT, temperatures, lengths)
        continuation = tf.where(is_prompt_BxT, tf.constant(PAD, tf.int64), tf.transpose(written_TxB))
        texts = tf.strings.join([prompts, self.tokenizer.detokenize(continuation)])
        # After an empty prompt the first word brings its space.
        return texts if self.exact else tf.strings.regex_replace(texts, "^ ", "")

    def _decode(
        self,
        ids: tf.Tensor,
        is_prompt: tf.Tensor,
        draws: tf.Tensor,
        temperatures: tf.Tensor,
        lengths: tf.Tensor,
        *,
        compiled: bool = False,
    ) -> tf.Tensor:
        """Step through all rows at once, reading the prompt where there is one and writing after it; int64[t, b].

        The loop ends with the last row's END.
        """
        one_step = self._step if compiled else partial(self._block_step, [block_of(lstm) for lstm in self.lstms])
        rows = tf.shape(ids)[0]
        never = tf.concat([tf.fill([len(RESERVED)], -1e9), tf.zeros([len(self.vocabulary) - len(RESERVED)])], 0)
        # Nothing at all is no caption: what an empty prompt becomes has a piece at least.
        never_first, never = never, tf.tensor_scatter_nd_update(never, [[END]], [0.0])
        ends = tf.reduce_sum(tf.cast(is_prompt, tf.int32), axis=1) + lengths
        nothing = tf.constant(PAD, tf.int64)
        written = tf.TensorArray(tf.int64, size=self.length).unstack(tf.fill([self.length, rows], nothing))

        def writing(time: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
            return tf.not_equal(last, END) & tf.not_equal(last, PAD) & (time < ends)

        def step(time: tf.Tensor, last: tf.Tensor, states: States, written: tf.TensorArray) -> tuple[Any, ...]:
            logits, states = one_step(last, states)
            logits += tf.where(time > 1, never, never_first)
            drawn = tf.where(writing(time, last), sample(logits, draws[:, time], temperatures), nothing)
            following = tf.where(is_prompt[:, time], ids[:, time], drawn)
            return time + 1, following, states, written.write(time, following)

        def unfinished(time: tf.Tensor, last: tf.Tensor, states: States, written: tf.TensorArray) -> tf.Tensor:
            return (time < self.length) & tf.reduce_any(writing(time, last))

        *_, written = tf.while_loop(unfinished, step, (tf.constant(1), ids[:, 0], self.no_states(rows), written))
        return tf.ensure_shape(written.stack(), [self.length, None])

    @tf.function(jit_compile=True, reduce_retracing=True)
    def _decode_compiled(self, *inputs: tf.Tensor) -> tf.Tensor:
        return self._decode(*inputs, compiled=True)

    def _step(self, last: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
        """One piece through every layer: logits float32[b, vocabulary] and the new states."""
        x, after = self.tokens(last), []
        for lstm, state in zip(self.lstms, states, strict=True):
            x, state = lstm.cell(x, state)
            after.append(list(state))
        return self.next_piece(x), after

    def _block_step(self, blocks: list[Block], last: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
        """The same outside of XLA, in fewer operations."""
        x, after = self.tokens(last)[None], []
        for block, state in zip(blocks, states, strict=True):
            x, state = read_block(block, x, state, tf.constant(1, tf.int64))
            after.append(state)
        return self.next_piece(x[0]), after

    def generate(
        self,
        prompts: Texts,
        *,
        seed: int | Sequence[int] = 0,
        temperature: float | Sequence[float] = TEMPERATURE,
        length: int | Sequence[int] | None = None,
    ) -> Any:
        """Continue prompts into full captions.

        Args:
            prompts: A string, a list of strings, or a dataset of string batches.
            seed: One for all prompts, or one for each.
            temperature: 0 and up, one for all or one for each; 0 takes the likeliest piece each time.
            length: Most pieces to add, one for all or one for each; without it, as many as a caption holds. Pieces
                are words and, of scripts without spaces, characters.

        Returns:
            A string for a string, else a list of strings. Each begins with its prompt, whatever that holds.

        Raises:
            ValueError: If there is no prompt, a temperature or a length is negative, or there are not as many seeds,
                temperatures or lengths as prompts.
        """
        texts, single = as_strings(prompts)
        count = len(texts)
        inputs = (
            np.array([text.encode() for text in texts], object),
            as_rows(seed, count, "seed", np.int64),
            as_temperatures(temperature, count),
            as_lengths(self.length if length is None else length, count),
        )
        written: list[str] = []
        for start in range(0, count, ROWS):
            written += self._continue_some(*(column[start : start + ROWS] for column in inputs))
        return written[0] if single else written

    def _continue_some(self, *columns: NDArray[Any]) -> list[str]:
        """Continue some rows (prompts, seeds, temperatures, lengths).

        XLA compiles for each number of rows: empty ones that end at once fill it up to a power of two.
        """
        count, compiled = len(columns[0]), device_policy().jit_dense
        missing = (1 << (count - 1).bit_length()) - count if compiled else 0
        prompts, *numbers = (np.concatenate([c, np.zeros(missing, c.dtype)]) for c in columns)
        prompts[count:] = b""
        texts = self._generate(tf.constant(prompts, tf.string), *numbers, compiled=compiled)
        return [text.decode() for text in texts[:count].numpy()]

    @tf.function(reduce_retracing=True)
    def _generate(
        self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor, lengths: tf.Tensor, *, compiled: bool
    ) -> tf.Tensor:
        return self.continue_texts(prompts, seeds, temperatures, lengths, compiled=compiled)

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
        """Nats per character of texts, END included; a float for a string, else float32[n].

        A text may be of any length. Its characters are those that the tokenizer reads, normalised unless exact; an
        empty text counts as one.
        """
        rows, single = as_strings(texts)
        strings = tf.constant(rows)
        characters = tf.strings.length(self.tokenizer.read(strings), "UTF8_CHAR").numpy()
        scores = self.nats(self.tokenizer.tokenize_whole(strings).numpy()) / np.maximum(characters, 1)
        return float(scores[0]) if single else scores.astype(np.float32)

    def nats(self, ids_BxT: NDArray[np.int64]) -> NDArray[np.float64]:
        """Nats that rows of ids cost, the first id given and PAD free: float64[b].

        Rows may be of any length: they are read in windows, each from the states that the last one left.
        """
        totals = np.zeros(len(ids_BxT))
        for first in range(0, len(ids_BxT), ROWS):
            rows = ids_BxT[first : first + ROWS]
            rows = rows[:, : (rows != PAD).sum(axis=1).max()]
            states = self.no_states(len(rows))
            for start in range(0, rows.shape[1] - 1, WINDOW):
                nats, states = self._window_nats(tf.constant(rows[:, start : start + WINDOW + 1]), states)
                totals[first : first + ROWS] += nats.numpy()
        return totals

    @tf.function(reduce_retracing=True)
    def _window_nats(self, ids_BxT: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
        x, after = self.read(ids_BxT[:, :-1], states)
        return tf.reduce_sum(masked_nats(self.next_piece(x), ids_BxT[:, 1:]), axis=1), after


def masked_nats(logits_BxTxV: tf.Tensor, targets_BxT: tf.Tensor) -> tf.Tensor:
    """What each target costs, float32[b, t]; PAD costs nothing."""
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets_BxT, logits=logits_BxTxV)
    return nats * tf.cast(tf.not_equal(targets_BxT, PAD), tf.float32)


def sample(logits: tf.Tensor, draws: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
    """Pick one piece for each row by inverting the cumulative distribution.

    Args:
        logits: float32[b, v].
        draws: float32[b] in [0, 1).
        temperatures: float32[b]; at 0 the likeliest piece is taken whatever the draw.

    Returns:
        int64[b].
    """
    cold = tf.clip_by_value(temperatures, 1e-4, HOTTEST)[:, None]
    cumulative = tf.cumsum(tf.nn.softmax(logits / cold), axis=-1)
    # The last of the cumulative sum can round below a draw close to 1.
    below = tf.cast(cumulative <= draws[:, None] * cumulative[:, -1:], tf.int64)
    drawn = tf.minimum(tf.reduce_sum(below, axis=-1), logits.shape[-1] - 1)
    return tf.where(temperatures > 0, drawn, tf.argmax(logits, axis=-1))
