"""The patterns of `models.text` for engines without Unicode character classes, such as Python's `re`."""

import re
from functools import cache

import numpy as np
import tensorflow as tf

from models import text

CLASS = re.compile(r"\[[^\]]*\]|\\p\{\w+\}")
LAST = 0x10FFFF
SURROGATES = slice(0xD800, 0xE000)


def patterns() -> dict[str, str]:
    """The patterns of the tokenizer by name, in the syntax of Python's `re`."""
    named = {
        "unseen": text.UNSEEN,
        "spaces": text.SPACES,
        "letter": text.LETTER,
        "piece": text.PIECE,
        "word": text.WORD,
        "latin_word": text.LATIN_WORD,
    }
    return {name: translated(pattern) for name, pattern in named.items()}


def translated(pattern: str) -> str:
    """A pattern of RE2 with each character class written out, as RE2 itself defines it."""
    return CLASS.sub(lambda found: spelled(found[0]), pattern)


@cache
def spelled(pattern: str) -> str:
    r"""The characters that a pattern matches, as ranges in one class: `[\U00000061-\U0000007a]`."""
    matched = np.concatenate([[False], tf.strings.regex_full_match(characters(), pattern).numpy(), [False]])
    matched[1:][SURROGATES] = False
    edges = np.flatnonzero(matched[1:] != matched[:-1])
    return "[" + "".join(f"\\U{start:08x}-\\U{end - 1:08x}" for start, end in edges.reshape(-1, 2)) + "]"


@cache
def characters() -> tf.Tensor:
    """Every code point as UTF-8, string[n]; surrogates are replaced by U+FFFD."""
    return tf.strings.unicode_encode(tf.range(LAST + 1)[:, None], "UTF-8")
