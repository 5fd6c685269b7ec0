"""The tokenizer of `models.text` in Python, for one text at a time."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from models.vocabulary import END, PAD, RESERVED, SPACE, START, UNKNOWN

SHORTEST_SWAPPED, SHORTEST_EDITED = 3, 4
BLANKS = " \t\n\v\f\r"
"""The characters that TensorFlow strips from the ends of a text."""


class Tokenizer:
    """Maps texts to rows of ids and back, and corrects spelling errors.

    Args:
        facts: `vocabulary`, `length`, `letters`, `common` and `patterns`, as `serving.bundle.facts.Facts` has them.

    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.length: int = facts["length"]
        self.letters: str = facts["letters"]
        self.common = frozenset(facts["common"])
        self.ids = {piece: number for number, piece in enumerate(facts["vocabulary"])}
        self.written = ["" if n < len(RESERVED) else piece.replace(SPACE, " ") for piece, n in self.ids.items()]
        self._patterns = {name: re.compile(pattern) for name, pattern in facts["patterns"].items()}

    def normalise(self, text: str) -> str:
        """NFC, lower case, single spaces, none at the ends, without invisible marks."""
        seen = self._patterns["unseen"].sub("", text)
        spaced = self._patterns["spaces"].sub(" ", unicodedata.normalize("NFC", seen))
        return spaced.lower().strip(" ")

    def pieces(self, text: str) -> list[str]:
        """The words of a text with their space, and its single characters."""
        normal = self.normalise(text)
        spaced = f" {normal}" if self._patterns["letter"].match(normal) else normal
        return self._patterns["piece"].findall(spaced.replace(" ", SPACE))

    def tokenize(self, text: str) -> list[int]:
        """`length` ids: START, pieces, END, then PAD; longer texts are truncated, including END."""
        return self._ids(self.pieces(text))

    def tokenize_known(self, text: str) -> list[int]:
        """The same without unknown words and characters, unless all are unknown."""
        pieces = self.pieces(text)
        spaced = (piece if piece in self.ids else SPACE + piece for piece in pieces)
        return self._ids([piece for piece in spaced if piece in self.ids] or pieces)

    def _ids(self, pieces: list[str]) -> list[int]:
        ids = [START, *(number for piece in pieces for number in self._within(piece)), END]
        return [*ids, *[PAD] * (self.length - len(ids))][: self.length]

    def _within(self, piece: str) -> Iterator[int]:
        """Split a piece into the longest known pieces, from the left."""
        start = 0
        while start < len(piece):
            ends = range(len(piece), start, -1)
            end = next((end for end in ends if piece[start:end] in self.ids), start + 1)
            yield self.ids.get(piece[start:end], UNKNOWN)
            start = end

    def detokenize(self, ids: list[int]) -> str:
        """The text of ids; reserved ids are left out."""
        return "".join(self.written[number] for number in ids)

    def unknown(self, text: str) -> str:
        """The words missing from the vocabulary, separated by spaces."""
        kept = [piece if self._lacks(piece) else SPACE for piece in self.pieces(text)]
        return " ".join(filter(None, _joined(kept).split(" ")))

    def correct(self, text: str) -> str:
        """The text with one-letter spelling errors corrected; unchanged if it has none."""
        pieces = self.pieces(text)
        right = [self._corrected(piece) if at < self.length else piece for at, piece in enumerate(pieces)]
        return text if right == pieces else _joined(right)

    def _corrected(self, piece: str) -> str:
        """The only known word one edit away from an unknown word (Damerau, 1964), if there is one."""
        if not self._lacks(piece) or not self._patterns["latin_word"].fullmatch(piece):
            return piece
        bare = piece.removeprefix(SPACE)
        if bare in self.common:
            return piece
        swapped, edited = (
            {word for word in words if SPACE + word in self.ids} for words in (_swapped(bare), self._edited(bare))
        )
        found = swapped if len(swapped) == 1 else swapped | edited
        return piece.removesuffix(bare) + found.pop() if len(found) == 1 else piece

    def _edited(self, word: str) -> Iterator[str]:
        """All words that deleting, replacing or inserting one letter gives."""
        if len(word) >= SHORTEST_EDITED:
            for at in range(len(word) + 1):
                before, after = word[:at], word[at:]
                yield before + after[1:]
                yield from (before + letter + rest for letter in self.letters for rest in (after, after[1:]))

    def _lacks(self, piece: str) -> bool:
        known = piece in self.ids or SPACE + piece in self.ids
        return not known and self._patterns["word"].fullmatch(piece) is not None


def _swapped(word: str) -> Iterator[str]:
    """All words that swapping two neighbouring letters gives."""
    if len(word) >= SHORTEST_SWAPPED:
        yield from (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))


def _joined(pieces: list[str]) -> str:
    return "".join(pieces).replace(SPACE, " ").strip(BLANKS)
