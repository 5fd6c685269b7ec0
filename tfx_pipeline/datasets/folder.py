"""The one reader of a data set on disk: what counts as a captioned picture, and why one is set aside.

Two layouts are taken. The first is the Hugging Face ImageFolder: a `metadata.jsonl` or a `metadata.csv` at the top of
the folder, with `file_name`, `text` and, where there are any, `text_zh`, `attributes` (an object) and `withheld` (true
or false). The second needs no table: `picture.png` with its caption in `picture.txt`, and perhaps a Chinese one in
`picture.zh.txt`, anywhere under the folder. Files and folders whose names begin with a dot belong to the system, not to
the data set, and are passed over.

Nothing is dropped in silence: whatever cannot be used becomes a `Quarantined` with its reason.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath

from PIL.Image import Image
from pydantic import BaseModel, ConfigDict, Field

from serving.images import PictureError, TooLargeError, UnknownFormatError, on_white, read_picture

JSONL, CSV = "metadata.jsonl", "metadata.csv"
EXTENSIONS = frozenset(
    {
        *(".png", ".apng", ".gif", ".webp", ".avif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
        *(".jp2", ".j2k", ".jpf", ".jpx", ".pnm", ".pbm", ".pgm", ".ppm"),
    }
)

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is (0 when nobody knows)."""

# Pictures to a person, though not to this reader: they are listed with their reason, not passed over.
_FOREIGN = frozenset(
    {".arw", ".cr2", ".dng", ".eps", ".heic", ".heif", ".hif", ".ico", ".jxl", ".nef", ".psd", ".svg", ".tga"}
)
_NOT_CAPTIONS = frozenset({"changelog", "copying", "licence", "license", "notice", "readme", "requirements"})
_BATCH = 256


class Kind(StrEnum):
    """Why a picture was set aside, in the words the summaries count by."""

    BROKEN_LINE = "broken line of metadata"
    DUPLICATE = "picture named twice"
    EMPTY_CAPTION = "empty caption"
    ENCODING = "caption that is not UTF-8"
    LONG_CAPTION = "caption too long"
    ESCAPES = "path out of the data set"
    MISSING = "missing picture"
    FORMAT = "not a picture of a known format"
    TOO_LARGE = "picture too large"
    UNREADABLE = "picture that cannot be read"
    UNCAPTIONED = "picture without a caption"


_KINDS = {UnknownFormatError: Kind.FORMAT, TooLargeError: Kind.TOO_LARGE}


class DataSetError(Exception):
    """What a user can put right: every message is a sentence that says what is wrong and what to do."""


class RefusedError(DataSetError):
    """One picture or caption that cannot be used; `kind` says why in a few words, the message in a sentence."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class ReadLimits(BaseModel):
    """What a data set may ask of the machine. A value out of its range raises `pydantic.ValidationError`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pixels: int = Field(default=64_000_000, ge=1, le=89_478_485)
    """Pixels of one picture, judged from its header before decoding; 1 to 89,478,485 (where Pillow warns)."""
    max_bytes: int = Field(default=64 * 2**20, ge=1, le=2**31 - 1)
    """Bytes of one picture's file; 1 to 2,147,483,647."""
    max_caption_bytes: int = Field(default=2**16, ge=1, le=2**24)
    """Bytes of one caption in UTF-8; 1 to 16,777,216."""
    max_total_bytes: int = Field(default=64 * 2**30, ge=1, le=2**50)
    """Bytes that an archive may unpack to, all members together; 1 to 2**50."""
    max_share: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of the data set that may be set aside before it is refused; 0 (nothing may) to 1 (anything may)."""


@dataclass(frozen=True)
class Entry:
    """A captioned picture: its path relative to the folder (with `/`), its captions and what else is known of it."""

    file_name: str
    text: str
    text_zh: str = ""
    attributes: dict[str, object] = field(default_factory=dict)
    withheld: bool = False


@dataclass(frozen=True)
class Quarantined:
    """Something that was set aside: which file, why in a sentence, and the kind that summaries count."""

    file_name: str
    reason: str
    kind: Kind


@dataclass(frozen=True)
class Reading:
    """What a folder holds: `entries` that can be trained on, in their order, and what was set aside."""

    root: Path
    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]

    @property
    def share(self) -> float:
        """Share of everything found that was set aside, 0 to 1; 0 when nothing was found."""
        return len(self.quarantined) / max(1, len(self.entries) + len(self.quarantined))

    @property
    def kinds(self) -> dict[str, int]:
        """How many were set aside for each kind of reason, the commonest first."""
        return {str(kind): count for kind, count in Counter(item.kind for item in self.quarantined).most_common()}


def read_folder(
    path: str | Path,
    *,
    limits: ReadLimits | None = None,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Read the captions of a folder and check every picture they name.

    Args:
      path: a folder of either layout.
      limits: what one picture and one caption may ask for; the defaults of `ReadLimits` when None.
      decode: False skips opening the pictures: they must exist, lie inside the folder and keep to `max_bytes`, no more.
        For a folder that `easel data import` has written and nobody has changed since.
      workers: threads that decode; by default one for each core, at most 8.
      progress: told about the pictures checked so far.

    Raises:
      DataSetError: the folder is missing, or holds no captions, or its table lacks the columns.
    """
    root = _existing(Path(path))
    limits = limits or ReadLimits()
    files = _walk(root)
    found, refused = _unique(_captions(root, files, limits))
    problems = _check_all(root, found, limits, decode=decode, workers=workers, progress=progress)
    named = {_normal(name) for name in (*(entry.file_name for entry in found), *(item.file_name for item in refused))}
    return Reading(
        root,
        tuple(entry for entry, problem in zip(found, problems, strict=True) if problem is None),
        (*refused, *(problem for problem in problems if problem), *_uncaptioned(files, named)),
    )


def check_quarantine(
    reading: Reading,
    max_share: float = 0.05,
    *,
    listed: Path | None = None,
    allow: str = "--max-quarantine {share:.2f}",
) -> None:
    """Refuse a data set of which too much was set aside, or all of it.

    Args:
      reading: what `read_folder` returned.
      max_share: the share that may be set aside, 0 to 1.
      listed: where the caller has written the list; without it the sentence quotes the first of the list.
      allow: how the caller's user can allow more, with `share` as the share that would do.

    Raises:
      DataSetError: more than `max_share` was set aside, or no picture is left.
    """
    if not reading.entries and not reading.quarantined:
        raise DataSetError(f"{reading.root} holds no pictures; put some in, each with a caption.")
    if reading.entries and reading.share <= max_share:
        return
    first = reading.quarantined[0]
    where = f"the list is in {listed}" if listed else f"the first is {first.file_name}: {first.reason}"
    raise DataSetError(f"{_too_many(reading, max_share)}; {where}. {_remedy(reading, allow)}")


def _too_many(reading: Reading, max_share: float) -> str:
    count, total = len(reading.quarantined), len(reading.quarantined) + len(reading.entries)
    kind, times = next(iter(reading.kinds.items()))
    return (
        f"{count:,} of {total:,} pictures ({reading.share:.1%}) were set aside, and {max_share:.1%} may be; "
        f"the commonest reason is '{kind}' ({times:,})"
    )


def _remedy(reading: Reading, allow: str) -> str:
    if not reading.entries:
        return "No picture is left: repair them and try again."
    enough = math.ceil(round(100 * reading.share, 6)) / 100
    return f"Repair them, or allow more with {allow.format(share=enough)}."


def write_quarantine(path: Path, quarantined: Iterable[Quarantined]) -> None:
    """Write one JSON object a line with `file_name` and `reason`."""
    write_jsonl(path, ({"file_name": item.file_name, "reason": item.reason} for item in quarantined))


def write_metadata(path: Path, entries: Iterable[Entry]) -> None:
    """Write the entries as a `metadata.jsonl`; what an entry does not have is left out of its line."""
    write_jsonl(path, ({key: value for key, value in asdict(entry).items() if value} for entry in entries))


def write_jsonl(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write one JSON object a line, in UTF-8, ended by a bare line feed."""
    # A file name that is not UTF-8 reaches Python as lone surrogates; backslashreplace turns each into its JSON escape.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def fingerprint(path: str | Path, entries: Iterable[Entry]) -> str:
    """Name a data set by its content: SHA-256 over captions and picture bytes in their order, 64 hex digits.

    Names and places of files do not count, so an import has the fingerprint of what it was made from.

    Raises:
      OSError: a picture is gone.
    """
    root, entries = Path(path), list(entries)
    return combined(entries, (hashlib.sha256((root / entry.file_name).read_bytes()).digest() for entry in entries))


def combined(entries: Iterable[Entry], digests: Iterable[bytes]) -> str:
    """The fingerprint of entries whose pictures have these SHA-256 digests."""
    total = hashlib.sha256()
    for entry, digest in zip(entries, digests, strict=True):
        told = json.dumps([entry.text, entry.text_zh, entry.attributes, entry.withheld], sort_keys=True)
        total.update(hashlib.sha256(told.encode()).digest())
        total.update(digest)
    return total.hexdigest()


def open_picture(data: bytes, *, limits: ReadLimits | None = None) -> Image:
    """Decode a picture: upright, in sRGB, laid on white, mode RGB.

    Raises:
      RefusedError: the bytes are no picture of a known format, or too large a one, or damaged.
    """
    with refusing():
        return on_white(read_picture(data, max_pixels=(limits or ReadLimits()).max_pixels))


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the reader of pictures refuses into a `RefusedError` with its kind."""
    try:
        yield
    except PictureError as error:
        raise RefusedError(_KINDS.get(type(error), Kind.UNREADABLE), str(error)) from error


def escapes(name: str) -> bool:
    """Tell whether a path is no plain relative one: absolute, empty, or with `..`, a backslash or a NUL in it."""
    path = PurePosixPath(name)
    return not path.name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


# Captions


def _existing(root: Path) -> Path:
    if not root.exists():
        raise DataSetError(f"There is no folder {root}; name one that holds pictures and captions.")
    if not root.is_dir():
        raise DataSetError(f"{root} is not a folder; name one, or turn an archive into one with `easel data import`.")
    return root


def _captions(root: Path, files: Sequence[str], limits: ReadLimits) -> Iterator[Entry | Quarantined]:
    tables = [name for name in (JSONL, CSV) if name in files]
    if len(tables) == 2:
        raise DataSetError(f"{root} holds both {JSONL} and {CSV}, and only one can be right; remove the other.")
    if tables == [JSONL]:
        return _read_jsonl(root / JSONL, limits)
    if tables == [CSV]:
        return _read_csv(root / CSV, limits)
    return _read_sidecars(root, files, limits)


def _read_jsonl(path: Path, limits: ReadLimits) -> Iterator[Entry | Quarantined]:
    # Split on the byte: str.splitlines would also cut at U+2028 and its like, which JSON strings may hold as they are.
    for number, line in enumerate(_table(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield _entry_or_reason(line, f"{JSONL} line {number}", limits)


def _table(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path} cannot be read: {_plain(error)}.") from error


def _entry_or_reason(line: bytes, where: str, limits: ReadLimits) -> Entry | Quarantined:
    try:
        row = _json_object(line.decode("utf-8", "surrogateescape"), where)
    except RefusedError as error:
        return Quarantined(JSONL, str(error), error.kind)
    return _entry(row, where, limits)


def _json_object(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(Kind.BROKEN_LINE, f"{where} is not JSON: {_plain(error)}.") from error
    if not isinstance(row, dict):
        raise RefusedError(Kind.BROKEN_LINE, f"{where} holds {_named(row)}, and must hold an object.")
    return row


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _read_csv(path: Path, limits: ReadLimits) -> Iterator[Entry | Quarantined]:
    text = _table(path).decode("utf-8-sig", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = _header(path, rows)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Quarantined(CSV, f"{CSV} line {rows.line_num} is broken: {error}.", Kind.BROKEN_LINE)
            continue
        if row is None:
            return
        if row:
            yield _csv_entry(header, row, f"{CSV} line {rows.line_num}", limits)


def _header(path: Path, rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise DataSetError(f"The first line of {path} is broken ({error}); write its columns there.") from error
    if not {"file_name", "text"} <= set(header):
        columns = ", ".join(header) or "none"
        raise DataSetError(f"{path} has the columns: {columns}; it needs file_name and text, with commas between.")
    return header


def _csv_entry(header: list[str], row: list[str], where: str, limits: ReadLimits) -> Entry | Quarantined:
    if len(row) != len(header):
        reason = f"{where} has {len(row)} columns and the header {len(header)}; put a caption with commas in quotes."
        return Quarantined(_first_name(header, row), reason, Kind.BROKEN_LINE)
    values: dict[str, object] = dict(zip(header, row, strict=True))
    try:
        values["attributes"] = _json_object(row[header.index("attributes")], where) if values.get("attributes") else {}
        values["withheld"] = _csv_flag(str(values.get("withheld", "")), where)
    except RefusedError as error:
        return Quarantined(_first_name(header, row), str(error), error.kind)
    return _entry(values, where, limits)


def _first_name(header: list[str], row: list[str]) -> str:
    at = header.index("file_name")
    return row[at] if at < len(row) and row[at] else CSV


def _csv_flag(value: str, where: str) -> bool:
    flags = {"": False, "false": False, "0": False, "true": True, "1": True}
    try:
        return flags[value.strip().lower()]
    except KeyError:
        raise RefusedError(Kind.BROKEN_LINE, f"{where} has withheld '{value}', and must have true or false.") from None


def _entry(row: dict[str, object], where: str, limits: ReadLimits) -> Entry | Quarantined:
    name = row.get("file_name")
    if not isinstance(name, str) or not name.strip():
        table = where.split(" ", 1)[0]
        return Quarantined(table, f"{where} has no file_name; write one.", Kind.BROKEN_LINE)
    try:
        _check_utf8(name, "file_name")
        _check_inside(name)
        return Entry(
            _normal(name),
            _caption(row.get("text"), "text", limits, required=True),
            _caption(row.get("text_zh"), "text_zh", limits),
            _attributes(row.get("attributes")),
            _flag(row.get("withheld")),
        )
    except RefusedError as error:
        return Quarantined(name, f"{error} ({where})", error.kind)


def _check_inside(name: str) -> None:
    if escapes(name):
        raise RefusedError(Kind.ESCAPES, f"The path '{name}' is not a plain path below the folder, with / between.")


def _caption(value: object, column: str, limits: ReadLimits, *, required: bool = False) -> str:
    text = "" if value is None else value
    if not isinstance(text, str):
        raise RefusedError(Kind.BROKEN_LINE, f"{column} holds {_named(text)}, and must hold a string.")
    size = _check_utf8(text, column)
    if size > limits.max_caption_bytes:
        told = f"{column} takes {size:,} bytes, and at most {limits.max_caption_bytes:,} are taken."
        raise RefusedError(Kind.LONG_CAPTION, told)
    if _visible(text):
        return text
    if required:
        raise RefusedError(Kind.EMPTY_CAPTION, "The caption is empty; write one.")
    return ""


def _visible(text: str) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in text)


def _check_utf8(text: str, column: str) -> int:
    """Return the size in bytes; bytes that were no UTF-8, and lone surrogates, show themselves as surrogates here."""
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        at = len(text[: error.start].encode())
        raise RefusedError(Kind.ENCODING, f"{column} is not UTF-8 at its byte {at}; save the file as UTF-8.") from error


def _attributes(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RefusedError(Kind.BROKEN_LINE, f"attributes holds {_named(value)}, and must hold an object.")
    _check_utf8(json.dumps(value, ensure_ascii=False), "attributes")
    return value


def _flag(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise RefusedError(Kind.BROKEN_LINE, f"withheld holds {_named(value)}, and must hold true or false.")
    return bool(value)


def _read_sidecars(root: Path, files: Sequence[str], limits: ReadLimits) -> Iterator[Entry | Quarantined]:
    texts = {_stem(name): name for name in files if name.lower().endswith(".txt")}
    pictures = [name for name in files if _looks_like_picture(name)]
    captioned = [name for name in pictures if _stem(name) in texts]
    if not captioned:
        raise DataSetError(
            f"{root} holds {len(pictures):,} pictures and no captions; add a {JSONL} or {CSV} at its top, "
            "or a picture.txt beside each picture.png."
        )
    top = Path(os.path.realpath(root))
    for name in captioned:
        yield _sidecar_entry(top, name, texts, limits)
    stems = {_stem(name) for name in pictures}
    for stem, name in texts.items():
        if not _belongs(stem, stems):
            reason = f"No picture lies beside this caption; add one, named {Path(stem).name}.png or the like."
            yield Quarantined(name, reason, Kind.MISSING)


def _stem(name: str) -> str:
    return name[: -len(PurePosixPath(name).suffix)] if PurePosixPath(name).suffix else name


def _belongs(stem: str, pictures: set[str]) -> bool:
    return stem in pictures or stem.removesuffix(".zh") in pictures or Path(stem).name.lower() in _NOT_CAPTIONS


def _sidecar_entry(root: Path, name: str, texts: dict[str, str], limits: ReadLimits) -> Entry | Quarantined:
    try:
        zh = texts.get(_stem(name) + ".zh")
        row: dict[str, object] = {
            "file_name": name,
            "text": _sidecar_text(root, texts[_stem(name)], limits),
            "text_zh": _sidecar_text(root, zh, limits) if zh else "",
        }
    except RefusedError as error:
        return Quarantined(name, str(error), error.kind)
    return _entry(row, texts[_stem(name)], limits)


def _sidecar_text(root: Path, name: str, limits: ReadLimits) -> str:
    # Twice the limit leaves room for blanks around the caption and still never reads a film that was named .txt.
    path = _inside(root, name, 2 * limits.max_caption_bytes, Kind.LONG_CAPTION)
    try:
        return Path(path).read_bytes().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        told = f"{name} is not UTF-8 at its byte {error.start}; save the file as UTF-8."
        raise RefusedError(Kind.ENCODING, told) from error
    except OSError as error:
        raise RefusedError(Kind.UNREADABLE, f"{name} cannot be read: {_plain(error)}.") from error


# Files


def _walk(root: Path) -> list[str]:
    """Every file below the folder by its relative path, sorted; links to folders are among them, never followed."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if _ours(name)]
        found += [Path(folder, name).relative_to(root).as_posix() for name in (*files, *links) if _ours(name)]
    return sorted(found)


def _ours(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _looks_like_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in EXTENSIONS | _FOREIGN


def _normal(name: str) -> str:
    return PurePosixPath(name).as_posix()


def _unique(found: Iterable[Entry | Quarantined]) -> tuple[list[Entry], list[Quarantined]]:
    entries: dict[str, Entry] = {}
    refused: list[Quarantined] = []
    for item in found:
        if isinstance(item, Quarantined):
            refused.append(item)
        elif item.file_name in entries:
            reason = "The picture is named twice; its first caption was kept, remove one of the two."
            refused.append(Quarantined(item.file_name, reason, Kind.DUPLICATE))
        else:
            entries[item.file_name] = item
    return list(entries.values()), refused


def _uncaptioned(files: Iterable[str], named: set[str]) -> Iterator[Quarantined]:
    for name in files:
        if _looks_like_picture(name) and name not in named:
            foreign = PurePosixPath(name).suffix.lower() in _FOREIGN
            convert = " and convert it to PNG" if foreign else ""
            reason = f"No caption names this picture; write one{convert}, or remove the picture."
            yield Quarantined(name, reason, Kind.UNCAPTIONED)


def _check_all(
    root: Path,
    entries: Sequence[Entry],
    limits: ReadLimits,
    *,
    decode: bool,
    workers: int | None,
    progress: Progress | None,
) -> list[Quarantined | None]:
    top = Path(os.path.realpath(root))
    batches = [entries[at : at + _BATCH] for at in range(0, len(entries), _BATCH)]
    problems: list[Quarantined | None] = []

    def check(batch: Sequence[Entry]) -> list[Quarantined | None]:
        parents: dict[str, str] = {}
        return [_problem(top, entry.file_name, limits, parents, decode=decode) for entry in batch]

    # Pillow warns of odd but harmless tags, and the filters are the whole process's: set once here, not in a thread.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        for checked in pool.map(check, batches):
            problems += checked
            if progress:
                progress("checking pictures", len(problems), len(entries))
    return problems


def _problem(root: Path, name: str, limits: ReadLimits, parents: dict[str, str], *, decode: bool) -> Quarantined | None:
    try:
        path = _inside(root, name, limits.max_bytes, Kind.TOO_LARGE, parents)
        if decode:
            open_picture(Path(path).read_bytes(), limits=limits)
    except RefusedError as error:
        return Quarantined(name, str(error), error.kind)
    except OSError as error:
        return Quarantined(name, f"The file cannot be read: {_plain(error)}.", Kind.UNREADABLE)
    return None


def _inside(root: Path, name: str, max_bytes: int, kind: Kind, parents: dict[str, str] | None = None) -> str:
    """Return the real path of a plain file below the folder (itself a real path), or raise what is wrong with it.

    `parents` remembers where the folders of names really are, for a row of names that mostly share them.
    """
    real = _real(f"{root}/{name}", {} if parents is None else parents)
    if not real.startswith(f"{root}/"):
        raise RefusedError(Kind.ESCAPES, "The file is a link that leads out of the folder; put the file itself there.")
    try:
        status = os.stat(real)  # noqa: PTH116
    except OSError as error:
        raise RefusedError(Kind.MISSING, f"The file {name} is not in the folder.") from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(Kind.FORMAT, f"{name} is a folder or a device, not a file.")
    if status.st_size > max_bytes:
        told = f"The file takes {status.st_size:,} bytes, and at most {max_bytes:,} are taken."
        raise RefusedError(kind, told)
    return real


def _real(path: str, parents: dict[str, str]) -> str:
    """What `os.path.realpath` gives; with known parents it asks the disk once."""
    parent, _, name = path.rpartition("/")
    if parent not in parents:
        parents[parent] = os.path.realpath(parent)
    plain = f"{parents[parent]}/{name}"
    return os.path.realpath(plain) if os.path.islink(plain) else plain  # noqa: PTH114 - runs once a picture


def _plain(error: BaseException) -> str:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(told.split()).rstrip(".") or type(error).__name__


def _named(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
