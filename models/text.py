"""Text in the graph: normalisation and a tokenizer whose pieces concatenate back to the text.

A piece is a word with the space before it, or a single character of any other script, so English and Chinese share
one vocabulary. A text's first word gets a space too, so that a word is the same piece everywhere. A word that is not in
the vocabulary is split into the longest known pieces, at worst into characters. Spaces are written as
`▁` in the vocabulary, after SentencePiece (Kudo and Richardson, 2018).
"""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from models.spelling import latin_letters, one_edit_away
from models.vocabulary import END, PAD, RESERVED, SPACE, START, UNKNOWN

# Scripts that separate words by spaces; every other character is a piece by itself. Longer words are several pieces,
# because the look-up of a word fails beyond a number of bytes.
SCRIPTS = r"\p{Latin}\p{Greek}\p{Cyrillic}\p{Hangul}\p{Arabic}\p{Hebrew}\p{Devanagari}"
LETTER = f"[{SCRIPTS}]"
# They join letters of Persian and Hindi, and emoji into one symbol: part of the text, not spaces.
JOINERS = r"\x{200C}\x{200D}"
PIECE = rf"{SPACE}?{LETTER}[{SCRIPTS}{JOINERS}]{{0,39}}|(?s:.)"
# Invisible marks of line breaking, of direction and of byte order.
UNSEEN = (
    r"[\x{AD}\x{61C}\x{180E}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{2066}-\x{206F}"
    r"\x{FEFF}\x{FFF9}-\x{FFFB}]"
)
SPACES = rf"[\s\pZ\p{{Cc}}\p{{Co}}\x{{200B}}{SPACE}]+"
WORD = rf"{SPACE}?[\pL\pM\pN\p{{So}}{JOINERS}]+"
LATIN_WORD = rf"{SPACE}?\p{{Latin}}{{3,}}"


def as_utf8(texts: tf.Tensor) -> tf.Tensor:
    """string[b] -> string[b]: bytes that are not UTF-8 become U+FFFD."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def normalise(texts: tf.Tensor) -> tf.Tensor:
    """Normalise texts: NFC, lower case, single spaces, none at the ends; bytes that are not UTF-8 become U+FFFD.

    Control characters and `SPACE` count as spaces; invisible marks are removed, except for the joiners.

    Args:
        texts: string[b].

    Returns:
        string[b].
    """
    seen = tf.strings.regex_replace(as_utf8(texts), UNSEEN, "")
    spaced = tf.strings.regex_replace(tf_text.normalize_utf8(seen, "NFC"), SPACES, " ")
    # Not case_fold_utf8, which would also turn the Chinese comma into an ASCII one. Not before the line above, because
    # a text would end at its first NUL.
    return tf.strings.strip(tf.strings.lower(spaced, encoding="utf-8"))


def pieces(texts: tf.Tensor) -> tf.RaggedTensor:
    """Split texts into words with their space and single characters.

    Args:
        texts: string[b], normalised or not.

    Returns:
        Ragged string[b, (pieces)].
    """
    spaced = tf.strings.regex_replace(normalise(texts), rf"^{LETTER}", r" \0")
    marked = tf.strings.regex_replace(spaced, " ", SPACE)
    # No space is left in the text. tf_text.regex_split would need fifty times as many operations.
    return tf.strings.split(tf.strings.regex_replace(marked, PIECE, r"\0 "))


def joined(split: tf.RaggedTensor) -> tf.Tensor:
    """Join pieces, ragged string[b, (pieces)], to texts, string[b]."""
    texts = tf.strings.reduce_join(split.to_tensor(""), axis=-1)
    return tf.strings.strip(tf.strings.regex_replace(texts, SPACE, " "))


def characters(texts: tf.Tensor) -> tf.RaggedTensor:
    """The single characters of texts, which the vocabulary contains to spell unknown words."""
    marked = tf.strings.regex_replace(normalise(texts), " ", SPACE)
    return tf.strings.unicode_split(marked, "UTF-8")


def token_ids(
    texts: tf.Tensor, table: tf.lookup.StaticVocabularyTable, length: int | None, *, exact: bool = False
) -> tf.Tensor:
    """Look up texts as padded rows of ids.

    Args:
        texts: string[b].
        table: From pieces to ids, the reserved ones first.
        length: Ids in a row; longer texts are truncated, including END. None for the length of the longest text.
        exact: Whether every character is a piece, without normalisation.

    Returns:
        int64[b, length]: START, pieces, END, then PAD. An empty text is START, END.
    """
    split = tf.strings.unicode_split(as_utf8(texts), "UTF-8") if exact else pieces(texts)
    return piece_ids(split, table, length)


def piece_ids(split: tf.RaggedTensor, table: tf.lookup.StaticVocabularyTable, length: int | None) -> tf.Tensor:
    """The same for texts that are already split, ragged string[b, (pieces)]."""
    wordpiece = tf_text.WordpieceTokenizer(
        table,
        suffix_indicator="",
        token_out_type=tf.int64,
        unknown_token=RESERVED[UNKNOWN],
        split_unknown_characters=True,
        max_bytes_per_word=400,
    )
    within_pieces = wordpiece.tokenize(split.flat_values)
    ends = tf.gather(within_pieces.row_splits, split.row_splits)
    ids = tf.RaggedTensor.from_row_splits(within_pieces.flat_values, ends, validate=False)
    padded = ids.to_tensor(PAD, shape=[None, None if length is None else length - 1])
    framed = tf.pad(padded, [[0, 0], [1, int(length is None)]], constant_values=START)
    places, end = tf.range(tf.shape(framed, tf.int64)[1]), ids.row_lengths()[:, None] + 1
    return tf.where(places < end, framed, tf.cast(tf.where(places == end, END, PAD), tf.int64))


class Tokenizer(tf.Module):
    """Maps texts to rows of ids and back.

    Args:
        vocabulary: Pieces in the order of their ids; the first four are `RESERVED`.
        length: Ids in a row, START and END included.
        exact: Whether to keep case, spaces and line ends: the vocabulary then holds single characters as they are.

    Raises:
        ValueError: The vocabulary does not begin with the reserved pieces, or `length` is below 4.
    """

    def __init__(self, vocabulary: Sequence[str], length: int, *, exact: bool = False) -> None:
        super().__init__(name="tokenizer")
        if tuple(vocabulary[:4]) != RESERVED:
            raise ValueError(f"The vocabulary begins with {list(vocabulary[:4])}; it must begin with {list(RESERVED)}.")
        if length < 4:
            raise ValueError(f"A row of {length} ids holds no text: length must be at least 4.")
        self.length = length
        self.exact = exact
        self.size = tf.constant(len(vocabulary), tf.int64)
        self.letters = tf.constant(latin_letters(vocabulary[4:]), tf.string)
        self.words = tf.constant([piece if exact else piece.replace(SPACE, " ") for piece in vocabulary[4:]])
        ids = tf.range(len(vocabulary), dtype=tf.int64)
        self.table = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(list(vocabulary)), ids), num_oov_buckets=1
        )

    def read(self, texts: tf.Tensor) -> tf.Tensor:
        """string[b] -> string[b], the text that ids represent: normalised, unless the tokenizer is exact."""
        return as_utf8(texts) if self.exact else normalise(texts)

    def tokenize(self, texts: tf.Tensor) -> tf.Tensor:
        """string[b] -> int64[b, length]; see `token_ids`."""
        ids = token_ids(texts, self.table, self.length, exact=self.exact)
        return tf.ensure_shape(ids, [None, self.length])

    def tokenize_known(self, texts: tf.Tensor) -> tf.Tensor:
        """The same as `tokenize`, without unknown words and characters, whose embeddings are untrained.

        A text that consists only of unknown words is tokenized as it is.
        """
        if self.exact:
            return self.tokenize(texts)
        split = pieces(texts)
        # A word after punctuation has no space of its own.
        spaced = tf.where(self.table.lookup(split.flat_values) < self.size, "", SPACE) + split.flat_values
        known = split.with_flat_values(self.table.lookup(spaced) < self.size)
        some = tf.gather(tf.reduce_any(known, axis=1), split.value_rowids())
        kept = split.with_flat_values(tf.where(some, spaced, split.flat_values))
        kept = tf.ragged.boolean_mask(kept, known.with_flat_values(known.flat_values | ~some))
        return tf.ensure_shape(piece_ids(kept, self.table, self.length), [None, self.length])

    def tokenize_whole(self, texts: tf.Tensor) -> tf.Tensor:
        """string[b] -> int64[b, t], with the length of the longest text."""
        return token_ids(texts, self.table, None, exact=self.exact)

    def lacks(self, words: tf.Tensor) -> tf.Tensor:
        """Whether each of `pieces`, string[n] -> bool[n], is an unknown word; punctuation is not."""
        # A word after punctuation has no space of its own.
        ids = tf.minimum(self.table.lookup(words), self.table.lookup(SPACE + words))
        return (ids >= self.size) & tf.strings.regex_full_match(words, WORD)

    def unknown(self, texts: tf.Tensor) -> tf.Tensor:
        """The words missing from the vocabulary.

        Args:
            texts: string[b].

        Returns:
            string[b], the unknown words of each text in order, separated by spaces; lower case unless exact.
            Adjacent unknown characters of a script without spaces make one word.
        """
        split = tf.strings.unicode_split(as_utf8(texts), "UTF-8") if self.exact else pieces(texts)
        words = split.flat_values
        kept = split.with_flat_values(tf.where(self.lacks(words), words, SPACE))
        return tf.strings.regex_replace(joined(kept), " +", " ")

    def correct(self, texts: tf.Tensor) -> tf.Tensor:
        """Correct one-letter spelling errors in unknown words of Latin letters.

        Such a word is replaced by the word one edit away, if the vocabulary contains exactly one; see
        `models.spelling`. Other words, and those past the first `length` pieces, which no model reads, are unchanged.

        Args:
            texts: string[b].

        Returns:
            string[b]. A corrected text is normalised; a text without corrections is returned as it was written.
        """
        if self.exact:
            return texts
        split = pieces(texts)
        words = split.flat_values
        places = tf.range(tf.size(words, tf.int64)) - tf.gather(split.row_starts(), split.value_rowids())
        doubtful = tf.where(self.lacks(words) & tf.strings.regex_full_match(words, LATIN_WORD) & (places < self.length))

        def corrected() -> tf.Tensor:
            right = tf.tensor_scatter_nd_update(words, doubtful, self._nearest(tf.gather_nd(words, doubtful)))
            before, after = joined(split), joined(split.with_flat_values(right))
            return tf.where(before == after, texts, after)

        return tf.cond(tf.size(doubtful) > 0, corrected, lambda: texts)

    def _nearest(self, words: tf.Tensor) -> tf.Tensor:
        """Each word, string[n], replaced by the only known word that is one edit away, if there is one."""
        space, bare = (tf.strings.regex_replace(words, other, "") for other in (LETTER, SPACE))
        ids = one_edit_away(bare, self.letters, self.table)
        nearest = tf.strings.strip(tf.gather(self.words, tf.maximum(ids - len(RESERVED), 0)))
        return tf.where(ids < 0, words, space + nearest)

    def detokenize(self, ids: tf.Tensor) -> tf.Tensor:
        """int64[b, n] -> string[b]; reserved ids and the space of a text's first word are left out."""
        reserved = tf.fill([len(RESERVED)], "")
        texts = tf.strings.reduce_join(tf.gather(tf.concat([reserved, self.words], 0), ids), axis=-1)
        begins = tf.equal(ids[:, 0], START) & (not self.exact)
        return tf.where(begins, tf.strings.regex_replace(texts, "^ ", ""), texts)
