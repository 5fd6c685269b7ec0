"""Typing errors of one letter, in the graph.

All that one edit makes of a word (Damerau, 1964) is looked up in the vocabulary, so no index has to be built or saved.
"""

import unicodedata
from collections.abc import Iterable

import tensorflow as tf

from models.vocabulary import SPACE

# Shorter words are one edit away from too many others.
SHORTEST_SWAPPED, SHORTEST_EDITED = 3, 4


def latin_letters(words: Iterable[str]) -> list[str]:
    """The letters of Latin script that words are written with, sorted."""
    return sorted({letter for word in words for letter in word if unicodedata.name(letter, "").startswith("LATIN")})


def one_edit_away(words: tf.Tensor, letters: tf.Tensor, table: tf.lookup.StaticVocabularyTable) -> tf.Tensor:
    """The only word of a vocabulary that is one edit away from each word.

    An edit inserts, deletes or replaces a letter, or swaps two neighbours. Words of fewer than `SHORTEST_EDITED`
    letters are only swapped, and those of fewer than `SHORTEST_SWAPPED` are not edited at all.

    Args:
        words: string[b], each without its space.
        letters: string[l], what may be inserted.
        table: From pieces to ids, with one id for all others.

    Returns:
        int64[b], ids of pieces; -1 where the vocabulary has no such word, or more than one.
    """
    lengths = tf.strings.length(words, "UTF8_CHAR")[:, None]
    # Two positions past the longest word, so that each has two after it; past its end a word has only its end.
    places = tf.minimum(tf.range(tf.reduce_max(lengths) + 3), lengths)
    ends = tf.broadcast_to(lengths, tf.shape(places))
    before = SPACE + tf.strings.substr(words[:, None], tf.zeros_like(places), places, "UTF8_CHAR")[:, :-2]
    after = tf.strings.substr(words[:, None], places, ends, "UTF8_CHAR")
    letter = tf.strings.substr(after, 0, 1, "UTF8_CHAR")
    swapped = table.lookup(before + letter[:, 1:-1] + letter[:, :-2] + after[:, 2:])
    begun = before[:, :, None] + letters
    longer = [table.lookup(begun + rest[:, :, None]) for rest in (after[:, :-2], after[:, 1:-1])]
    edited = [table.lookup(before + after[:, 1:-1]), *(tf.reshape(ids, [tf.size(words), -1]) for ids in longer)]
    tried = [(swapped, SHORTEST_SWAPPED), (tf.concat(edited, axis=1), SHORTEST_EDITED)]
    none, unknown = tf.constant(-1, tf.int64), table.size() - 1
    matches = tf.concat([tf.where((ids < unknown) & (lengths >= least), ids, none) for ids, least in tried], axis=1)
    last = tf.reduce_max(matches, axis=1)
    first = tf.reduce_min(tf.where(matches < 0, last[:, None], matches), axis=1)
    return tf.where(first == last, last, none)
