"""The entries of a dataset and its quarantine, and their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator
from pydantic.dataclasses import dataclass as validated

JSONL, QUARANTINE, README = "metadata.jsonl", "quarantine.jsonl", "README.md"


class Kind(StrEnum):
    """Kinds of reasons for a quarantine, by which summaries count."""

    BROKEN_LINE = "broken line of metadata"
    DUPLICATE = "picture named twice"
    EMPTY_CAPTION = "empty caption"
    ENCODING = "caption of unknown encoding"
    LONG_CAPTION = "caption too long"
    MANY_CAPTIONS = "too many captions"
    NAME = "name that is not UTF-8"
    ESCAPES = "path out of the data set"
    LINK = "link to a folder"
    MISSING = "missing picture"
    FORMAT = "not a picture of a known format"
    TOO_LARGE = "picture too large"
    UNREADABLE = "picture that cannot be read"
    UNCAPTIONED = "picture without a caption"


class DataSetError(Exception):
    """A dataset cannot be used; the message is one sentence that says what is wrong and what to do."""


class RefusedError(DataSetError):
    """A picture or caption cannot be used; `kind` gives the reason in a few words, the message in a sentence."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class ReadLimits(BaseModel):
    """Limits on the size of a dataset. A value out of range raises `pydantic.ValidationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=64_000_000, ge=1, le=89_478_485)
    """Pixels of a picture, checked against its header before decoding; 1 to 89,478,485 (where Pillow warns)."""
    max_bytes: int = Field(default=64 * 2**20, ge=1, le=2**31 - 1)
    """Bytes of the file of a picture; 1 to 2,147,483,647."""
    max_caption_bytes: int = Field(default=2**16, ge=1, le=2**24)
    """Bytes of a caption in UTF-8; 1 to 16,777,216."""
    max_captions: int = Field(default=16, ge=1, le=64)
    """Captions of a picture in all languages; 1 to 64. In training, every picture takes as much memory for captions as
    the picture with the most captions."""
    max_total_bytes: int = Field(default=64 * 2**30, ge=1, le=2**50)
    """Total bytes of the unpacked members of an archive; 1 to 2**50."""
    max_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of the dataset that may be quarantined; 0 to 1."""


def listed(value: Any) -> Any:
    """Wrap a single value in a list."""
    return value if isinstance(value, list | tuple) else [value]


Side = Annotated[FiniteFloat, Field(gt=0)]
Names = Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], BeforeValidator(listed)]


@validated(frozen=True, config=ConfigDict(coerce_numbers_to_str=True, str_strip_whitespace=True))
class Objects:
    """Things in a picture, in the format of Hugging Face's ImageFolder, in the order in which captions name them.

    Invalid values raise `pydantic.ValidationError`; unknown keys are ignored.

    Attributes:
      bbox: left, top, width and height of each, in pixels of the upright picture; boxes may reach beyond its edges.
      categories: one or several categories of each; empty if unknown.
      nearness: nearness of each; of two things, the nearer occludes the other; empty if unknown.
    """

    bbox: tuple[tuple[FiniteFloat, FiniteFloat, Side, Side], ...]
    categories: tuple[Names, ...] = ()
    nearness: tuple[FiniteFloat, ...] = ()

    @model_validator(mode="after")
    def one_of_each(self) -> Self:
        """Check that the other lists are as long as the list of boxes."""
        for name, values in (("categories", self.categories), ("nearness", self.nearness)):
            if values and len(values) != len(self.bbox):
                raise ValueError(f"there are {len(self.bbox)} in bbox and {len(values)} in {name}")
        return self


@dataclass(frozen=True)
class Entry:
    """A captioned picture.

    Attributes:
      file_name: path relative to the folder, with `/`.
      text: its caption in any language but Chinese; empty if there is only a Chinese one.
      text_zh: its Chinese caption; empty if there is none.
      attributes: further attributes of the picture.
      withheld: whether it is withheld from training.
      more: further captions in any language; training samples all captions equally.
      objects: the things in it; None if unknown.
      tags: tags of the whole picture, such as `street` and `night`.
    """

    file_name: str
    text: str
    text_zh: str = ""
    attributes: dict[str, object] = field(default_factory=dict)
    withheld: bool = False
    more: tuple[str, ...] = ()
    objects: Objects | None = None
    tags: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """All non-empty captions, beginning with `text` and `text_zh`."""
        return tuple(caption for caption in (self.text, self.text_zh, *self.more) if caption)


@dataclass(frozen=True)
class Quarantined:
    """A quarantined file, with the reason as a sentence and the kind by which summaries count."""

    file_name: str
    reason: str
    kind: Kind


def write_quarantine(path: Path, quarantined: Iterable[Quarantined]) -> None:
    """Write one JSON object per line with `file_name` and `reason`."""
    write_jsonl(path, ({"file_name": item.file_name, "reason": item.reason} for item in quarantined))


def write_metadata(path: Path, entries: Iterable[Entry]) -> None:
    """Write the entries as a `metadata.jsonl`; empty fields are left out."""
    write_jsonl(path, map(_row, entries))


def _row(entry: Entry) -> dict[str, object]:
    row = {key: value for key, value in asdict(entry).items() if value}
    if more := row.pop("more", ()):
        first = "text" if entry.text else "text_zh"
        row[first] = [row[first], *more]
    return row


def write_jsonl(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write one JSON object per line, in UTF-8, with line feeds."""
    # A file name that is not UTF-8 reaches Python as lone surrogates; backslashreplace turns each into its JSON escape.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def fingerprint(path: str | Path, entries: Iterable[Entry]) -> str:
    """The fingerprint of a dataset: SHA-256 over captions and picture bytes in their order, 64 hex digits.

    Names of files are not included, so an import has the same fingerprint as its source.

    Raises:
      OSError: a picture is missing.
    """
    root, entries = Path(path), list(entries)
    return combined(entries, (hashlib.sha256((root / entry.file_name).read_bytes()).digest() for entry in entries))


def combined(entries: Iterable[Entry], digests: Iterable[bytes]) -> str:
    """The fingerprint of entries whose pictures have these SHA-256 digests."""
    total = hashlib.sha256()
    for entry, digest in zip(entries, digests, strict=True):
        content: list[object] = [entry.text, entry.text_zh, entry.attributes, entry.withheld, *entry.more]
        if entry.objects or entry.tags:
            content.append({"objects": entry.objects and asdict(entry.objects), "tags": entry.tags})
        total.update(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest())
        total.update(digest)
    return total.hexdigest()


def counted(counts: Mapping[str, int]) -> str:
    """Counts in one line: `@eaDir (5), column width (40)`."""
    return ", ".join(f"{name} ({times:,})" for name, times in counts.items())


def plain(error: BaseException) -> str:
    """The message of an error, in one line without a full stop."""
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(message.split()).rstrip(".") or type(error).__name__
