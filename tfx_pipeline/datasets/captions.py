"""Reading captions from tables and from files beside pictures, in the encodings, columns and layouts that people use.

A table is a `metadata.jsonl`, `.csv` or `.tsv` in the folder or a subfolder, with file names relative to the table. A
picture has a caption for each row that names it, each item of a list in its cell, or each line of the file beside it.
Pictures in a folder such as `test` or `validation` beside a folder `train` are withheld, unless the table says
otherwise.
"""

from __future__ import annotations

import ast
import codecs
import csv
import io
import json
import os
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from serving.faults import is_of_the_machine
from tfx_pipeline.datasets.entries import (
    JSONL,
    QUARANTINE,
    README,
    DataSetError,
    Entry,
    Kind,
    Objects,
    Quarantined,
    ReadLimits,
    RefusedError,
    plain,
)
from tfx_pipeline.datasets.files import (
    Names,
    ending,
    escapes,
    folded,
    inside,
    looks_like_picture,
    stem,
    withheld_folders,
)

TABLES = (JSONL, "metadata.csv", "metadata.tsv")
BESIDE = (".txt", ".caption", ".text", ".prompt")
FILE_NAME = ("file_name", "filename", "file", "image", "image_file", "image_path", "filepath", "path", "img")
TEXT = ("text", "caption", "captions", "prompt", "description", "text_en", "caption_en")
CHINESE = ("text_zh", "caption_zh", "captions_zh", "prompt_zh", "zh")

Found = Entry | Quarantined

EMPTY = "The caption is empty; write one."

_OBJECTS = TypeAdapter(Objects)
_NOT_CAPTIONS = frozenset({"changelog", "copying", "licence", "license", "notice", "readme", "requirements"})
_LINE_END = re.compile(r"\r\n|\r|\n")
_STRING = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ARRAY = re.compile(rf"\[(?:{_STRING})(?:\s+(?:{_STRING}))+\]")
# UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Captions:
    """Reads the captions of a folder.

    Args:
      root: the folder.
      names: all files below it, by relative path.
      limits: limits on captions.

    Attributes:
      passed_over: counts of ignored files and columns by name.
    """

    def __init__(self, root: Path, names: Sequence[str], limits: ReadLimits) -> None:
        self.root = root
        self.limits = limits
        self.passed_over: Counter[str] = Counter()
        self._files = names
        self._names = Names(names)
        self._withheld = withheld_folders(names)

    def read(self) -> Iterator[Found]:
        """Entries, several for a picture with several rows, and the reasons why others cannot be used.

        Raises:
          DataSetError: there are no captions, or a table cannot be read.
        """
        tables = [name for name in self._files if is_table(name)]
        _check_tables(self.root, tables)
        named: set[str] = set()
        for table in tables:
            for item in self._table(table):
                named.add(item.file_name)
                yield item
        yield from self._files_beside(named, tables)
        self.passed_over.update(filter(None, map(_of_no_use, self._files)))

    # Tables

    def _table(self, table: str) -> Iterator[Found]:
        path = self.root / table
        try:
            text = decode_text(path.read_bytes())
        except (OSError, UnicodeError) as error:
            raise DataSetError(f"{path} cannot be read: {plain(error)}.") from error
        for row in _jsonl_rows(text, table) if ending(table) == ".jsonl" else _csv_rows(text, table, path):
            yield self._captioned(row, table)

    def _captioned(self, row: _Row, table: str) -> Found:
        name = row.file_name()
        if row.problem or not name:
            problem = row.problem or RefusedError(Kind.BROKEN_LINE, f"{row.where} has no file_name; write one.")
            return Quarantined(name or table, str(problem), problem.kind)
        try:
            name = self._found(name, table)
            texts, chinese = (self._texts(row.take(names), names[0]) for names in (TEXT, CHINESE))
            tags = [tag.strip() for text in self._texts(row.take(("tags",)), "tags") for tag in text.split(",")]
            entry = self._entry(name, texts, chinese, row.attributes(), row.withheld())
            entry = replace(entry, objects=row.objects(), tags=tuple(filter(None, tags)))
        except RefusedError as error:
            reason = row.without_caption() if error.kind == Kind.EMPTY_CAPTION else str(error)
            return Quarantined(name, f"{reason} ({row.where})", error.kind)
        self.passed_over.update(f"column {column}" for column in row.left())
        return entry

    def _found(self, asked: str, table: str) -> str:
        # In tables written on Windows.
        asked = asked.replace("\\", "/")
        if escapes(asked):
            reason = f"The path {asked!r} leads out of the folder; write it relative to the table."
            raise RefusedError(Kind.ESCAPES, reason)
        below = posixpath.join(posixpath.dirname(table), asked)
        return self._names.find(posixpath.normpath(below), posixpath.normpath(asked))

    # Files beside pictures

    def _files_beside(self, named: set[str], tables: Sequence[str]) -> Iterator[Found]:
        texts: dict[str, list[str]] = defaultdict(list)
        for name in self._files:
            if ending(name) in BESIDE:
                texts[folded(stem(name))].append(name)
        pictures, used = [name for name in self._files if looks_like_picture(name)], set[str]()
        for picture in pictures:
            if texts and picture not in named:
                files, chinese = beside(picture, texts), beside(picture, texts, ".zh")
                used.update(files, chinese)
                if files or chinese:
                    named.add(picture)
                    yield self._entry_beside(picture, files, chinese)
        if not named and not tables:
            raise DataSetError(_no_captions(self.root, len(pictures), self._files))
        yield from self._left_over(sorted(set().union(*texts.values()) - used), bool(tables))

    def _entry_beside(self, picture: str, files: Sequence[str], chinese: Sequence[str]) -> Found:
        try:
            lines, chinese_lines = (
                [line for name in names for line in self._lines(name)] for names in (files, chinese)
            )
            return self._entry(picture, lines, chinese_lines, {}, None)
        except RefusedError as error:
            return Quarantined(picture, str(error), error.kind)

    def _lines(self, name: str) -> list[str]:
        # Twice the limit leaves room for UTF-16, but large files with a wrong ending are not read.
        most = 2 * self.limits.max_captions * self.limits.max_caption_bytes
        path = inside(os.path.realpath(self.root), name, most, Kind.LONG_CAPTION)
        try:
            text = decode_text(Path(path).read_bytes())
        except UnicodeError as error:
            raise RefusedError(Kind.ENCODING, f"{name} cannot be read: {plain(error)}.") from error
        except OSError as error:
            if is_of_the_machine(error):
                raise
            raise RefusedError(Kind.UNREADABLE, f"{name} cannot be read: {plain(error)}.") from error
        return self._texts([line.strip() for line in _LINE_END.split(text)], name)

    def _left_over(self, texts: Sequence[str], has_table: bool) -> Iterator[Quarantined]:
        """Report text files without a picture beside them; if there is a table, they are not captions."""
        for name in texts:
            alone = PurePosixPath(stem(name)).name
            if has_table:
                self.passed_over["text files beside a table"] += 1
            elif alone.lower() in _NOT_CAPTIONS:
                self.passed_over[PurePosixPath(name).name] += 1
            else:
                reason = f"There is no picture for this caption; add one, such as {alone}.png."
                yield Quarantined(name, reason, Kind.MISSING)

    # Captions

    def _texts(self, value: object, column: str) -> list[str]:
        """The captions in a cell, a single one or a list, without blank ones."""
        values = value if isinstance(value, list) else [value]
        texts = [text for text in values if isinstance(text, str)]
        if others := [item for item in values if item is not None and not isinstance(item, str)]:
            held = f"a list with {named(others[0])}" if isinstance(value, list) else named(value)
            reason = f"{column} holds {held}, and must hold a string or a list of strings."
            raise RefusedError(Kind.BROKEN_LINE, reason)
        for text in texts:
            if (size := _check_text(text, column)) > self.limits.max_caption_bytes:
                reason = f"{column} takes {size:,} bytes, and at most {self.limits.max_caption_bytes:,} are allowed."
                raise RefusedError(Kind.LONG_CAPTION, reason)
        return [text for text in texts if _visible(text)]

    def _entry(
        self, name: str, texts: list[str], chinese: list[str], attributes: dict[str, object], withheld: bool | None
    ) -> Entry:
        if (at := _not_utf8(name)) is not None:
            raise RefusedError(Kind.NAME, f"The file's name is not UTF-8 at its byte {at}; rename it.")
        if not texts and not chinese:
            raise RefusedError(Kind.EMPTY_CAPTION, EMPTY)
        if withheld is None:
            withheld = any(name.startswith(f"{folder}/") for folder in self._withheld)
        first, first_chinese = (*texts[:1], "")[0], (*chinese[:1], "")[0]
        return Entry(name, first, first_chinese, attributes, withheld, (*texts[1:], *chinese[1:]))


class _Row:
    """A row of a table, by the usual names of its columns.

    Args:
      where: the table and the line.
      cells: the values by column.
      is_text: whether every value is text, as in a CSV.
      problem: why the row cannot be used, if that is already known.
    """

    def __init__(
        self, where: str, cells: Mapping[str, object], *, is_text: bool = False, problem: RefusedError | None = None
    ) -> None:
        self.where = where
        self.problem = problem
        self._is_text = is_text
        self._cells = {column.strip().lower(): value for column, value in cells.items()}
        self._columns = frozenset(self._cells)

    def file_name(self) -> str:
        """The file name of the picture; empty if there is none."""
        value = self.take(FILE_NAME)
        return value if isinstance(value, str) and value.strip() else ""

    def take(self, columns: Sequence[str]) -> object:
        """The value in the first of these columns that has one; None if none has."""
        for column in columns:
            if self._cells.get(column):
                return self._parsed(self._cells.pop(column))
        return None

    def attributes(self) -> dict[str, object]:
        """Further attributes of the picture."""
        value = self.take(("attributes",))
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RefusedError(Kind.BROKEN_LINE, f"attributes holds {named(value)}, and must hold an object.")
        _check_text(json.dumps(value, ensure_ascii=False), "attributes")
        return value

    def objects(self) -> Objects | None:
        """The things in the picture; None if unknown."""
        value = self.take(("objects",))
        if value is None:
            return None
        try:
            return _OBJECTS.validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, ("objects", *problem["loc"])))
            reason = f"{where} is refused: {problem['msg'].removeprefix('Value error, ')}."
            raise RefusedError(Kind.BROKEN_LINE, reason) from error

    def withheld(self) -> bool | None:
        """Whether the picture is withheld from training; None if the row does not say."""
        value = self._cells.pop("withheld", None)
        flags = {"": None, "false": False, "0": False, "true": True, "1": True} if self._is_text else {}
        value = flags.get(value.strip().lower(), value) if isinstance(value, str) else value
        if value is not None and not isinstance(value, bool):
            held = f"'{value}'" if self._is_text else named(value)
            raise RefusedError(Kind.BROKEN_LINE, f"withheld holds {held}, and must hold true or false.")
        return value

    def without_caption(self) -> str:
        """Why there is no caption, in a sentence."""
        if not self._columns.isdisjoint((*TEXT, *CHINESE)):
            return EMPTY
        return f"No caption is among {', '.join(sorted(self._columns))}; call its column text, caption or prompt."

    def left(self) -> list[str]:
        """The columns that were not read."""
        return [column for column, value in self._cells.items() if value not in (None, "")]

    def _parsed(self, value: object) -> object:
        """Parse a cell of a CSV, in which lists and objects are written as JSON or as Python literals."""
        if self._is_text and isinstance(value, str) and value[:1] + value[-1:] in ("[]", "{}"):
            for parse in (json.loads, _array, ast.literal_eval):
                with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                    return parse(value)
        return value


def _array(text: str) -> list[str]:
    """Parse strings as NumPy prints an array of them, without commas: `['one' 'two']`.

    Raises:
      ValueError: it is something else.
    """
    if not _ARRAY.fullmatch(text):
        raise ValueError("it is not a printed array")
    return [ast.literal_eval(string) for string in re.findall(_STRING, text)]


def _jsonl_rows(text: str, table: str) -> Iterator[_Row]:
    # JSON writes no line end as it is but in its own layout; U+2028 and its like, strings may hold.
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip():
            where = f"{table} line {number}"
            try:
                yield _Row(where, _json_object(line, where))
            except RefusedError as error:
                yield _Row(where, {}, problem=error)


def _json_object(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line, parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise RefusedError(Kind.BROKEN_LINE, f"{where} is not JSON: {plain(error)}.") from error
    if not isinstance(row, dict):
        raise RefusedError(Kind.BROKEN_LINE, f"{where} holds {named(row)}, and must hold an object.")
    return row


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if name := _twice(name for name, _ in pairs):
        raise ValueError(f"it has {name} twice")
    return dict(pairs)


def _twice(names: Iterable[str]) -> str:
    """The first name that occurs twice; empty if none does."""
    return next((name for name, count in Counter(names).items() if name and count > 1), "")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _csv_rows(text: str, table: str, path: Path) -> Iterator[_Row]:
    delimiter = max(",;\t", key=_LINE_END.split(text, maxsplit=1)[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = _header(path, rows)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            reason = f"{table} line {rows.line_num} is broken: {error}."
            yield _Row("", {}, problem=RefusedError(Kind.BROKEN_LINE, reason))
            continue
        if row is None:
            return
        if row:
            yield _csv_row(header, row, f"{table} line {rows.line_num}")


def _csv_row(header: list[str], row: list[str], where: str) -> _Row:
    problem = None
    if len(row) != len(header):
        reason = f"{where} has {len(row)} columns and the header {len(header)}; put a caption with commas in quotes."
        problem = RefusedError(Kind.BROKEN_LINE, reason)
    return _Row(where, dict(zip(header, row, strict=False)), is_text=True, problem=problem)


def _header(path: Path, rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise DataSetError(f"The first line of {path} cannot be read ({error}): it must name the columns.") from error
    lower = [name.lower() for name in header]
    if set(lower).isdisjoint(FILE_NAME) or set(lower).isdisjoint((*TEXT, *CHINESE)):
        raise DataSetError(f"{path} {_columns(header)}")
    if name := _twice(lower):
        raise DataSetError(f"{path} has two columns called {name}: rename or remove one.")
    return header


# Text


def decode_text(data: bytes) -> str:
    """Decode text by its byte order mark, or as UTF-16 if most of its first characters are then ASCII, or as UTF-8.

    Bytes that are not UTF-8 become lone surrogates, so that captions are rejected one by one.

    Raises:
      UnicodeError: the text is truncated, or is not UTF-16 or UTF-32 in spite of its byte order mark.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "surrogateescape" if encoding == "utf-8-sig" else "strict")
    head = data[:64] if len(data) % 2 == 0 else b""
    for encoding, high_bytes in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if high_bytes.count(0) > len(high_bytes) / 2:
            return data.decode(encoding)
    return data.decode("utf-8", "surrogateescape")


def text_lines(path: str | Path) -> list[str]:
    """The non-blank lines of a text file, stripped.

    Raises:
      DataSetError: the file cannot be read, or a line has another encoding.
    """
    try:
        text = decode_text(Path(path).read_bytes())
    except (OSError, UnicodeError) as error:
        raise DataSetError(f"The text file {path} cannot be read: {plain(error)}.") from error
    lines = _LINE_END.split(text)
    for number, line in enumerate(lines, start=1):
        _check_text(line, f"{path} line {number}")
    return [line.strip() for line in lines if line.strip()]


def _check_text(text: str, column: str) -> int:
    """Return the size of a text in bytes of UTF-8, or raise an error if it cannot be encoded."""
    if "\0" in text:
        reason = f"{column} holds a NUL, like text in another encoding; save the file as UTF-8."
        raise RefusedError(Kind.ENCODING, reason)
    if (at := _not_utf8(text)) is not None:
        raise RefusedError(Kind.ENCODING, f"{column} is not UTF-8 at its byte {at}; save the file as UTF-8.")
    return len(text.encode())


def _not_utf8(text: str) -> int | None:
    """The index of the first byte that is not UTF-8, which decoding turned into a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return len(text[: error.start].encode())
    return None


def _visible(text: str) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in text)


# Which files


def is_table(name: str) -> bool:
    """Whether a file is a table of captions, whatever the case of its name."""
    return PurePosixPath(name).name.lower() in TABLES


def beside(picture: str, texts: Mapping[str, Sequence[str]], language: str = "") -> list[str]:
    """The caption files of a picture, `a.txt` or `a.png.txt`, preferably those with exactly its name.

    Args:
      picture: its path.
      texts: the caption files by the folded name of their picture.
      language: the part before their ending, such as `.zh`.
    """
    matches: list[str] = []
    for captioned in (stem(picture) + language, picture + language):
        alike = texts.get(folded(captioned), [])
        matches += [name for name in alike if stem(name) == captioned] or alike
    return matches


def _of_no_use(name: str) -> str:
    """The group in which a file is counted that is neither a picture nor a caption; empty for pictures and captions."""
    alone = posixpath.basename(name)
    if looks_like_picture(name) or ending(name) in BESIDE or is_table(name) or alone in (QUARANTINE, README):
        return ""
    return f"*{ending(name)}" if ending(name) else alone


def _check_tables(root: Path, tables: Sequence[str]) -> None:
    folders: dict[PurePosixPath, list[str]] = defaultdict(list)
    for table in map(PurePosixPath, tables):
        folders[table.parent].append(table.name)
    for folder, names in folders.items():
        if len(names) > 1:
            both = " and ".join(names)
            raise DataSetError(f"{root / folder} contains {both}: keep one of them and remove the other.")


# What is wrong, in words


def _no_captions(root: Path, pictures: int, files: Sequence[str]) -> str:
    others = [name for name in files if name.endswith((".json", ".jsonl", ".csv", ".tsv", ".parquet", ".xlsx"))]
    remark = f" ({others[0]} is not read)" if others else ""
    return (
        f"{root} has {pictures:,} pictures and no captions{remark}: add a {' or '.join(TABLES[:2])} to it, "
        "or a picture.txt beside each picture.png."
    )


def _columns(header: Sequence[str]) -> str:
    columns = ", ".join(header) or "none"
    if "\0" in columns:
        return "holds NULs, like text in another encoding; save it as UTF-8."
    return f"has the columns: {columns}; it needs file_name and text, separated by commas."


def named(value: object) -> str:
    """The JSON type of a value, for messages."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
