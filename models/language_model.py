"""An LSTM that expands a short prompt to a full caption, and encodes a caption as its embedding."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.batches import as_lengths, as_rows, as_strings, as_temperatures
from models.blocks import Block, block_of, read_block
from models.language_network import LanguageNetwork, States, masked_nats
from models.options import TEMPERATURE
from models.sampling import uniform_rows
from models.text import Tokenizer, as_utf8
from models.vocabulary import END, PAD, RESERVED

# Here all pieces are practically equally likely; above it, pieces that must never be written could be sampled.
HOTTEST = 1e4
# Pieces and texts per step when texts are scored; they bound the memory and do not affect the result.
WINDOW, ROWS = 256, 256
PENALTY = 4.0
"""Added to the nats of a piece that an earlier one of the same caption excludes; see `models.exclusion`."""
TRIES = 8
"""Number of continuations per caption; the likeliest one is kept."""

Texts: TypeAlias = str | Sequence[str] | tf.data.Dataset
Decode: TypeAlias = Callable[..., tf.Tensor]


@keras.saving.register_keras_serializable(package="easel")
class LanguageModel(LanguageNetwork):
    """The network with its tokenizer, for texts, in TensorFlow's graph and from Python.

    Args:
        vocabulary: The tokenizer's pieces, beginning with the reserved ones.
        kwargs: As for `LanguageNetwork`.

    Raises:
        ValueError: The vocabulary does not begin with the reserved pieces, or `length` is below 4.
    """

    def __init__(self, vocabulary: Sequence[str], **kwargs: Any) -> None:
        super().__init__(vocabulary, **kwargs)
        self.tokenizer = Tokenizer(self.vocabulary, self.length, exact=self.exact)

    def embed_texts(self, captions: tf.Tensor) -> tf.Tensor:
        """In the graph: string[b] -> float32[b, embedding_size]; unknown words are left out."""
        ids_BxT = self.tokenizer.tokenize_known(captions)
        # What is padded is not read, but would cost as much.
        return self.embed_ids(ids_BxT[:, : longest_of(ids_BxT)])

    def embed_ids(self, ids_BxT: tf.Tensor) -> tf.Tensor:
        """The result of `call` for captions, optimized for inference: int64[b, t] -> float32[b, embedding_size]."""
        longest, tokens = longest_of(ids_BxT), self.tokens(ids_BxT)
        x = tf.gather(tf.convert_to_tensor(self.tokens.embeddings), tf.transpose(ids_BxT))
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
        decode: Decode | None = None,
    ) -> tf.Tensor:
        """In the graph: each prompt with its continuation.

        A caption is continued `TRIES` times, and the likeliest continuation is kept. Broken sentences are unlikely, and
        so are additions to a prompt that is already a complete caption. Pieces that share hardly any training caption,
        although chance would bring them together, are `PENALTY` nats less likely to be written together.

        Args:
            prompts: string[b].
            seeds: int64[b]; a row's continuation depends only on its own prompt, seed, temperature and length.
            temperatures: float32[b]; 0 always takes the likeliest piece.
            lengths: int32[b], maximum number of pieces to add; None for as many as fit into a caption.
            decode: `decode` (the default), or `decode_by_xla`, which must not be used in a served graph.

        Returns:
            string[b], valid UTF-8. Each text begins with its prompt; spaces at its ends are removed unless texts are
            exact. An empty prompt becomes a whole caption; a prompt of full length stays unchanged. Unknown words are
            kept in the text, but not read.
        """
        prompts = as_utf8(prompts) if self.exact else tf.strings.strip(as_utf8(prompts))
        ids_BxT = self.tokenizer.tokenize_known(prompts)
        is_prompt_BxT = tf.not_equal(ids_BxT, PAD) & tf.not_equal(ids_BxT, END)
        if lengths is None:
            lengths = tf.fill(tf.shape(seeds), self.length)
        tries = 1 if self.exact else TRIES
        # Far from neighbouring seeds, which users choose for consecutive prompts.
        seeds_BxK = seeds[:, None] + tf.range(tries, dtype=tf.int64) * 2**32
        draws_BxKxT = tf.reshape(
            uniform_rows(tf.reshape(seeds_BxK, [-1]), self.length, stream=0), [-1, tries, self.length]
        )
        written_TxB = (decode or self.decode)(ids_BxT, is_prompt_BxT, draws_BxKxT, temperatures, lengths)
        continuation = tf.where(is_prompt_BxT, tf.constant(PAD, tf.int64), tf.transpose(written_TxB))
        texts = tf.strings.join([prompts, self.tokenizer.detokenize(continuation)])
        # After an empty prompt, the first piece begins with a space.
        return texts if self.exact else tf.strings.regex_replace(texts, "^ ", "")

    def decode(
        self, ids: tf.Tensor, is_prompt: tf.Tensor, draws: tf.Tensor, temperatures: tf.Tensor, lengths: tf.Tensor
    ) -> tf.Tensor:
        """In the graph: decode all rows in parallel; each first reads its prompt and then samples pieces.

        Args:
            ids: int64[b, t], the prompts.
            is_prompt: bool[b, t], whether an id belongs to the prompt.
            draws: float32[b, k, t] in [0, 1), the random numbers for sampling the pieces of `k` continuations.
            temperatures: float32[b].
            lengths: int32[b], maximum number of pieces to add.

        Returns:
            The likeliest continuation of each row, int64[t, b]. The loop ends when no row can still win.
        """
        blocks = [block_of(lstm) for lstm in self.lstms]
        start, states = self._prefill(blocks, ids, is_prompt)
        return self._decode(ids, is_prompt, draws, temperatures, lengths, start=start, states=states)

    def _prefill(self, blocks: list[Block], ids: tf.Tensor, is_prompt: tf.Tensor) -> tuple[tf.Tensor, States]:
        """Read the common part of all prompts: its length, int32[], at least 1, and the states before its last id."""
        least = tf.reduce_min(tf.reduce_sum(tf.cast(is_prompt, tf.int32), axis=1))
        start = tf.clip_by_value(least, 1, self.length)
        x, after = tf.gather(tf.convert_to_tensor(self.tokens.embeddings), tf.transpose(ids)), []
        for block, state in zip(blocks, self.no_states(tf.shape(ids)[0]), strict=True):
            x, memory = read_block(block, x, state, tf.cast(start - 1, tf.int64))
            seen = zip(state, (x, memory), strict=True)
            after.append([tf.concat([nothing[None], steps], axis=0)[start - 1] for nothing, steps in seen])
        return start, after

    @tf.function(jit_compile=True, reduce_retracing=True)
    def decode_by_xla(self, *inputs: tf.Tensor) -> tf.Tensor:
        """The same as `decode`, compiled for each number of rows."""
        return self._decode(*inputs)

    def _decode(
        self,
        ids: tf.Tensor,
        is_prompt: tf.Tensor,
        draws: tf.Tensor,
        temperatures: tf.Tensor,
        lengths: tf.Tensor,
        *,
        start: tf.Tensor | int = 1,
        states: States | None = None,
    ) -> tf.Tensor:
        tries = draws.shape[1]
        given = tf.where(is_prompt, ids, PAD)
        # Not `reduce_any`, which takes a millisecond.
        excluded = tf.reduce_max(tf.cast(self.excluded_by(given), tf.float32), axis=1) > 0
        given, is_prompt, temperatures, lengths, excluded = (
            tf.repeat(column, tries, axis=0) for column in (given, is_prompt, temperatures, lengths, excluded)
        )
        draws = tf.reshape(draws, [-1, draws.shape[2]])
        rows = tf.shape(given)[0]
        never = tf.concat([tf.fill([len(RESERVED)], -1e9), tf.zeros([len(self.vocabulary) - len(RESERVED)])], 0)
        # A caption is never empty: the continuation of an empty prompt has at least one piece.
        never_first, never = never, tf.tensor_scatter_nd_update(never, [[END]], [0.0])
        # Finished continuations are compared and the winner is cut, so that a longer length only ever adds pieces.
        cuts = tf.reduce_sum(tf.cast(is_prompt, tf.int32), axis=1) + lengths
        ends = cuts if tries == 1 else tf.where(lengths > 0, self.length, 0)
        nothing = tf.constant(PAD, tf.int64)
        written = tf.TensorArray(tf.int64, size=self.length).unstack(tf.fill([self.length, rows], nothing))

        def writing(time: tf.Tensor, last: tf.Tensor, nats: tf.Tensor) -> tf.Tensor:
            unfinished = tf.not_equal(last, END) & tf.not_equal(last, PAD) & (time < ends)
            # Nats only grow, so a continuation that costs more than a finished one can no longer win.
            best = tf.reduce_min(tf.reshape(tf.where(unfinished, np.inf, nats), [-1, tries]), axis=1)
            return unfinished & (nats <= tf.repeat(best, tries))

        def step(
            time: tf.Tensor,
            last: tf.Tensor,
            nats: tf.Tensor,
            writes: tf.Tensor,
            states: States,
            excluded: tf.Tensor,
            written: tf.TensorArray,
        ) -> tuple[Any, ...]:
            logits, states = self.step(last, states)
            logits += tf.where(time > 1, never, never_first)
            # Not normalised again: the penalty also counts when continuations are compared.
            log_probabilities = tf.nn.log_softmax(logits) - PENALTY * tf.cast(excluded, tf.float32)
            drawn = sample(log_probabilities, draws[:, time], temperatures)
            cost = -tf.gather(log_probabilities, drawn, batch_dims=1)
            here = given[:, time]
            written_here = writes & tf.equal(here, PAD)
            following = tf.where(written_here, drawn, here)
            nats += tf.where(written_here, cost, 0.0)
            excluded |= self.excluded_by(following)
            written = written.write(time, following)
            return time + 1, following, nats, writing(time + 1, following, nats), states, excluded, written

        def unfinished(time: tf.Tensor, last: tf.Tensor, nats: tf.Tensor, writes: tf.Tensor, *_: Any) -> tf.Tensor:
            return (time < self.length) & tf.reduce_any(writes)

        before = states or self.no_states(rows // tries)
        before = [[tf.repeat(part, tries, axis=0) for part in layer] for layer in before]
        time, last, nats = tf.convert_to_tensor(start), given[:, start - 1], tf.zeros([rows])
        begin = (time, last, nats, writing(time, last, nats), before, excluded, written)
        _, _, nats, *_, written = tf.while_loop(unfinished, step, begin)
        likeliest = tf.argmin(tf.reshape(nats, [-1, tries]), axis=1) + tries * tf.range(rows // tries, dtype=tf.int64)
        within = tf.range(self.length)[:, None] < tf.gather(cuts, likeliest)
        best = tf.where(within, tf.gather(written.stack(), likeliest, axis=1), nothing)
        return tf.ensure_shape(best, [self.length, None])

    def excluded_by(self, ids: tf.Tensor) -> tf.Tensor:
        """The pieces that each piece excludes: int64[...] -> bool[..., vocabulary]."""
        exclusive, rare = tf.convert_to_tensor(self.exclusive), len(self.vocabulary) - self.common
        if not rare:
            return tf.gather(exclusive, ids)
        pairs = tf.gather(exclusive, tf.where(ids < self.common, ids, PAD))
        return tf.pad(pairs, [[0, 0]] * (pairs.shape.rank - 1) + [[0, rare]])

    def step(self, last: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
        """Read one piece: returns logits, float32[b, vocabulary], and the new states."""
        x, after = self.tokens(last), []
        for lstm, state in zip(self.lstms, states, strict=True):
            x, state = lstm.cell(x, state)
            after.append(list(state))
        return self.next_piece(x), after

    def generate(
        self,
        prompts: Texts,
        *,
        seed: int | Sequence[int] = 0,
        temperature: float | Sequence[float] = TEMPERATURE.default,
        length: int | Sequence[int] | None = None,
    ) -> Any:
        """Continue prompts into full captions.

        Args:
            prompts: A string, a list of strings, or a dataset of string batches.
            seed: One for all prompts, or one for each.
            temperature: 0 or more, one for all or one for each; 0 always takes the likeliest piece.
            length: Maximum number of pieces to add, one for all or one for each; by default, as many as fit into a
                caption. Pieces are words or, in scripts without spaces, characters.

        Returns:
            A string for a string, else a list of strings. Each begins with its prompt.

        Raises:
            ValueError: There is no prompt, a temperature or a length is negative, or the number of seeds, temperatures
                or lengths differs from that of the prompts.
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
        """Continue a batch of rows (prompts, seeds, temperatures, lengths).

        XLA compiles for each number of rows, so empty rows, which end at once, pad it to a power of two.
        """
        count = len(columns[0])
        missing = (1 << (count - 1).bit_length()) - count
        prompts, *numbers = (np.concatenate([c, np.zeros(missing, c.dtype)]) for c in columns)
        prompts[count:] = b""
        texts = self._generate(tf.constant(prompts, tf.string), *numbers)
        return [text.decode() for text in texts[:count].numpy()]

    @tf.function(reduce_retracing=True)
    def _generate(self, prompts: tf.Tensor, seeds: tf.Tensor, temperatures: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        return self.continue_texts(prompts, seeds, temperatures, lengths, decode=self.decode_by_xla)

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
        """Negative log-likelihood in nats per character, END included; a float for a string, else float32[n].

        Texts may have any length. Characters are counted after normalisation, unless the model is exact; an empty text
        counts as one character.
        """
        rows, single = as_strings(texts)
        strings = tf.constant(rows)
        characters = tf.strings.length(self.tokenizer.read(strings), "UTF8_CHAR").numpy()
        scores = self.nats(self.tokenizer.tokenize_whole(strings).numpy()) / np.maximum(characters, 1)
        return float(scores[0]) if single else scores.astype(np.float32)

    def nats(self, ids_BxT: NDArray[np.int64]) -> NDArray[np.float64]:
        """Negative log-likelihood of rows of ids given their first id, in nats, without PAD: float64[b].

        Rows may have any length: they are read in windows, each from the final states of the previous one.
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


def longest_of(ids_BxT: tf.Tensor) -> tf.Tensor:
    """The number of ids of the longest row without PAD, int64[]."""
    return tf.reduce_max(tf.math.count_nonzero(tf.not_equal(ids_BxT, PAD), axis=1))


def sample(logits: tf.Tensor, draws: tf.Tensor, temperatures: tf.Tensor) -> tf.Tensor:
    """Pick one piece for each row by inverting the cumulative distribution.

    Args:
        logits: float32[b, v].
        draws: float32[b] in [0, 1).
        temperatures: float32[b]; at 0 the likeliest piece is taken, whatever the random number.

    Returns:
        int64[b].
    """
    cold = tf.clip_by_value(temperatures, 1e-4, HOTTEST)[:, None]
    # Need not add up to 1; oneDNN's softmax takes several times as long on few rows.
    cumulative = tf.cumsum(tf.exp((logits - tf.reduce_max(logits, axis=-1, keepdims=True)) / cold), axis=-1)
    # The last of the cumulative sum can round below a draw close to 1.
    below = tf.cast(cumulative <= draws[:, None] * cumulative[:, -1:], tf.int64)
    drawn = tf.minimum(tf.reduce_sum(below, axis=-1), logits.shape[-1] - 1)
    return tf.where(temperatures > 0, drawn, tf.argmax(logits, axis=-1))
