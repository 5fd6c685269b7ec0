"""Slices of the data for the evaluation: languages, picture sizes and attributes."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from serving.images import PictureError, size_of
from tfx_pipeline.datasets.entries import Entry

EVAL_SHARE = 10
LANGUAGE, SIZE, ATTRIBUTE = "language", "size", "attribute."
# Valid names of TensorFlow features.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
MOST_VALUES = 16

Slice = tuple[str, str]
"""A feature of the examples and one of its values."""


def eval_slices(folder: Path, entries: Sequence[Entry], smallest: int) -> tuple[Slice, ...]:
    """The slices with at least `smallest` held-out pictures, for features with two or more of them.

    Args:
        folder: The folder to which the names of entries are relative.
        entries: The dataset.
        smallest: Minimum number of pictures for a meaningful mean.
    """
    _, kept = by_split(entries)
    counts = Counter(named for entry in kept for named in (*slices_of(entry), *size_slice(folder / entry.file_name)))
    large = sorted(named for named, count in counts.items() if count >= smallest)
    values = Counter(feature for feature, _ in large)
    return tuple((feature, value) for feature, value in large if 2 <= values[feature] <= MOST_VALUES)


def attributes_to_slice_by(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The attributes for which `eval_slices` could return slices, for some minimum size."""
    _, kept = by_split(entries)
    counts: dict[str, Counter[str]] = {}
    for feature, value in (pair for entry in kept for pair in slices_of(entry)):
        counts.setdefault(feature, Counter())[value] += 1
    sliced = (feature for feature, values in counts.items() if any_slices(sorted(values.values(), reverse=True)))
    return tuple(sorted(name.removeprefix(ATTRIBUTE) for name in sliced if name.startswith(ATTRIBUTE)))


def any_slices(counts: Sequence[int]) -> bool:
    """Whether from 2 to `MOST_VALUES` of the counts, the largest first, reach some size."""
    smaller = [*counts[1:], 0]
    return any(smaller[most - 1] < counts[most - 1] for most in range(2, 1 + min(MOST_VALUES, len(counts))))


def slices_of(entry: Entry) -> Iterator[Slice]:
    """The slices of an entry that do not depend on its picture."""
    yield LANGUAGE, language(entry)
    for name, value in entry.attributes.items():
        if PLAIN_NAME.fullmatch(name) and isinstance(value, str | bool | int):
            yield f"{ATTRIBUTE}{name}", str(value)


def language(entry: Entry) -> str:
    """The language in which an entry is evaluated, `en` or `zh`; with both captions, its name decides."""
    if entry.text and entry.text_zh:
        return ("en", "zh")[digest(entry.file_name) % 2]
    return "en" if entry.text else "zh"


def size_slice(picture: Path) -> Iterator[Slice]:
    """The size of a picture, if its header can be read."""
    try:
        yield SIZE, size_class(*size_of(picture.read_bytes()))
    except (OSError, PictureError):
        return


def size_class(width: int, height: int) -> str:
    """The longer side between powers of two: `up to 32`, `33 to 64`, `65 to 128` and so on."""
    side = max(width, height)
    power = max(32, 1 << (side - 1).bit_length())
    return "up to 32" if power == 32 else f"{power // 2 + 1} to {power}"


def by_split(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Training entries and held-out entries; see `marked`."""
    known = marked(entries)
    train, kept = ([entry for entry in known if entry.withheld == held_out] for held_out in (False, True))
    return train, kept


def marked(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Mark entries as withheld if none is: a tenth, chosen by the hash of file names, and at least one."""
    if not entries or any(entry.withheld for entry in entries):
        return entries
    names = {entry.file_name for entry in entries if in_tenth(entry.file_name)}
    names = names or {min((entry.file_name for entry in entries), key=digest)}
    return [replace(entry, withheld=True) if entry.file_name in names else entry for entry in entries]


def in_tenth(key: str) -> bool:
    """True for a tenth of all keys, the same ones on every machine."""
    return digest(key) % EVAL_SHARE == 0


def digest(key: str) -> int:
    """A 64-bit hash of a text."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
