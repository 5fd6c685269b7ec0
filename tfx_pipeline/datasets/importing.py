"""Importing a dataset in the canonical layout from a folder of either layout, or from a tar archive of one.

The result is `OUT/images/...`, `OUT/metadata.jsonl`, `OUT/quarantine.jsonl` and a card, `OUT/README.md`. It is built in
a hidden folder beside OUT and renamed at the end, so that OUT is either complete or missing.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from serving.faults import explained
from serving.folders import fresh_folder
from tfx_pipeline.datasets.captions import is_table
from tfx_pipeline.datasets.cards import NOT_STATED, DataCard
from tfx_pipeline.datasets.entries import (
    JSONL,
    QUARANTINE,
    DataSetError,
    Entry,
    Kind,
    Quarantined,
    ReadLimits,
    fingerprint,
    write_metadata,
    write_quarantine,
)
from tfx_pipeline.datasets.files import EXTENSIONS, ending, escapes, of_a_system
from tfx_pipeline.datasets.folder import Progress, Reading, check_quarantine, read_folder

IMAGES = "images"
_STEP = 256
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)
# The first bytes of gzip, bzip2 and xz.
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")


@dataclass(frozen=True)
class ImportSummary:
    """The result of an import.

    Attributes:
      out: the folder of the dataset.
      count: number of pictures.
      withheld: number of withheld pictures.
      quarantined: number of quarantined pictures.
      kinds: number of quarantined pictures by kind of reason.
      fingerprint: fingerprint of the dataset.
      passed_over: number of ignored files and columns by name.
    """

    out: Path
    count: int
    withheld: int
    quarantined: int
    kinds: dict[str, int]
    fingerprint: str
    passed_over: dict[str, int] = field(default_factory=dict)


def import_data(
    src: str | Path,
    out: str | Path,
    *,
    limits: ReadLimits | None = None,
    licence: str = NOT_STATED,
    progress: Progress | None = None,
) -> ImportSummary:
    """Copy captioned pictures to the canonical layout, without changing the bytes of any picture.

    Args:
      src: a folder of either layout, or a tar archive of one (plain or compressed), possibly below a top folder.
      out: the folder to create; it must be empty or not exist.
      limits: limits on pictures, captions and archives, and on the share that may be quarantined.
      licence: licence of the pictures and captions, for the card.
      progress: called with the progress of unpacking, checking and copying.

    Raises:
      DataSetError: `src` is neither, or is damaged; too much was quarantined (the list is then in
        `OUT.quarantine.jsonl` beside `out`); or a file cannot be read or written.
      FolderError: `out` is not empty, or cannot be created.
    """
    src, out, limits = Path(src), Path(out), limits or ReadLimits()
    if not src.exists():
        raise DataSetError(f"{src} does not exist: give a folder of captioned pictures, or a tar archive of one.")
    try:
        with fresh_folder(out) as made:
            return _import(src, out, made, limits, licence, progress)
    except OSError as error:
        raise DataSetError(f"Cannot import {src} into {out}: {explained(error, out)}.") from error


def _import(
    src: Path, out: Path, made: Path, limits: ReadLimits, licence: str, progress: Progress | None
) -> ImportSummary:
    unpacked = made / "unpacked"
    root, refused = (src, []) if src.is_dir() else _unpack(src, unpacked, limits, progress)
    reading = _with_refused(read_folder(root, limits=limits, progress=progress), refused)
    _check(reading, src, out, limits)
    entries = _canonical(reading.entries)
    pairs = list(zip(reading.entries, entries, strict=True))
    _place(root, made, pairs, _move if root != src else _copy, progress)
    shutil.rmtree(unpacked, ignore_errors=True)
    write_metadata(made / JSONL, entries)
    write_quarantine(made / QUARANTINE, reading.quarantined)
    summary = ImportSummary(
        out=out,
        count=len(entries),
        withheld=sum(entry.withheld for entry in entries),
        quarantined=len(reading.quarantined),
        kinds=reading.kinds,
        fingerprint=fingerprint(made, entries),
        passed_over=dict(reading.passed_over),
    )
    origin = f"Imported from `{src.name}` with `easel data import`."
    told = (summary.fingerprint, summary.kinds, summary.passed_over)
    DataCard(out.name, origin, licence, entries, *told).write(made)
    return summary


def _check(reading: Reading, src: Path, out: Path, limits: ReadLimits) -> None:
    listed = out.with_name(out.name + "." + QUARANTINE)
    try:
        check_quarantine(replace(reading, root=src), limits.max_share, listed=listed)
    except DataSetError:
        write_quarantine(listed, reading.quarantined)
        raise
    listed.unlink(missing_ok=True)


def _with_refused(reading: Reading, refused: Sequence[Quarantined]) -> Reading:
    """Add the members that were not unpacked; captions of such pictures are not counted again."""
    names = {item.file_name for item in refused}
    kept = tuple(item for item in reading.quarantined if item.file_name not in names)
    return replace(reading, quarantined=(*refused, *kept))


# Placing


def _canonical(entries: Sequence[Entry]) -> list[Entry]:
    if all(entry.file_name.startswith(IMAGES + "/") for entry in entries):
        return list(entries)
    # All of them or none: if only files outside of images/ were moved, images/a.png and a.png could collide.
    return [replace(entry, file_name=f"{IMAGES}/{entry.file_name}") for entry in entries]


def _place(
    root: Path,
    made: Path,
    pairs: Sequence[tuple[Entry, Entry]],
    put: Callable[[Path, Path], object],
    progress: Progress | None,
) -> None:
    for folder in {(made / new.file_name).parent for _, new in pairs}:
        folder.mkdir(parents=True, exist_ok=True)
    for number, (old, new) in enumerate(pairs, start=1):
        put(root / old.file_name, made / new.file_name)
        if progress and (number % _STEP == 0 or number == len(pairs)):
            progress("placing pictures", number, len(pairs))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _move(source: Path, target: Path) -> None:
    source.rename(target)


# Archives


def _unpack(src: Path, into: Path, limits: ReadLimits, progress: Progress | None) -> tuple[Path, list[Quarantined]]:
    into.mkdir()
    with src.open("rb") as raw:
        try:
            with tarfile.open(fileobj=raw) as tar:
                tracked = _tracked(tar, lambda: raw.tell(), src.stat().st_size, progress)
                refused = _extract_all(tracked, tar, into, src, limits)
                _check_end(tar)
        except _DAMAGED as error:
            raise DataSetError(_not_an_archive(src, error)) from error
        except OSError as error:
            # gzip and bzip2 report damage as an OSError without an errno.
            if error.errno is not None:
                raise
            raise DataSetError(_not_an_archive(src, error)) from error
    root = _top(into)
    prefix = root.relative_to(into).as_posix() + "/"
    return root, [item if escapes(item.file_name) else _below(item, prefix) for item in refused]


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise an error for a truncated archive or a damaged header, at which tarfile stops silently.

    The archive is read to its end, where compressed data have their checksum.
    """
    file = tar.fileobj
    assert file
    file.seek(tar.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it ends before its last member")
    if any(block):
        raise tarfile.ReadError(f"no member begins at its byte {tar.offset:,}")
    while file.read(2**20):
        pass


def _below(item: Quarantined, prefix: str) -> Quarantined:
    return replace(item, file_name=item.file_name.removeprefix(prefix))


def _not_an_archive(src: Path, error: BaseException) -> str:
    problem = str(error)
    if isinstance(error, tarfile.ReadError) and "could not be opened" in problem:
        with src.open("rb") as raw:
            head = raw.read(tarfile.BLOCKSIZE)
        if not head.startswith(_COMPRESSED) and b"ustar" not in head:
            return f"{src} is neither a folder nor a tar archive: give one of the two."
        problem = "its beginning cannot be read"
    return f"{src} is damaged ({problem}): download or create it again."


def _tracked(
    tar: tarfile.TarFile, at: Callable[[], int], size: int, progress: Progress | None
) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar):
        if progress and number % _STEP == 0:
            progress("unpacking bytes", at(), size)
        yield member
    if progress:
        progress("unpacking bytes", size, size)


def _extract_all(
    members: Iterator[tarfile.TarInfo], tar: tarfile.TarFile, into: Path, src: Path, limits: ReadLimits
) -> list[Quarantined]:
    total, refused = 0, []
    for member in members:
        total += member.size
        if total > limits.max_total_bytes:
            raise DataSetError(
                f"{src} unpacks to more than the limit of {limits.max_total_bytes:,} bytes: "
                "if you trust it, unpack it yourself and import the folder."
            )
        problem = _extract(tar, member, into, limits)
        if problem:
            refused.append(problem)
    return refused


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path, limits: ReadLimits) -> Quarantined | None:
    if member.isdir():
        return None
    name = PurePosixPath(member.name).as_posix()
    if problem := _member_problem(member, name, limits):
        return problem
    twice = (into / name).exists()
    try:
        tar.extract(member, into, filter="data")
    except tarfile.FilterError as error:
        return Quarantined(name, f"The archive may not unpack it here: {error}.", Kind.ESCAPES)
    return Quarantined(name, "The archive holds it twice; the last was kept.", Kind.DUPLICATE) if twice else None


def _member_problem(member: tarfile.TarInfo, name: str, limits: ReadLimits) -> Quarantined | None:
    if escapes(name):
        reason = f"The archive would unpack it outside its folder, at '{name}'; pack it by a plain path."
        return Quarantined(name, reason, Kind.ESCAPES)
    if not member.isfile():
        reason = "It is a link or a device in the archive, not a file; pack the picture itself."
        return Quarantined(name, reason, Kind.ESCAPES)
    if member.size > limits.max_bytes and ending(name) in EXTENSIONS:
        reason = f"The file takes {member.size:,} bytes, and at most {limits.max_bytes:,} are allowed."
        return Quarantined(name, reason, Kind.TOO_LARGE)
    return None


def _top(into: Path) -> Path:
    """Skip folders that contain only a single folder, such as the top folder `cifar10/` of an archive."""
    while not any(is_table(path.name) for path in into.iterdir()):
        inside = [path for path in into.iterdir() if not of_a_system(path.name)]
        if len(inside) != 1 or not inside[0].is_dir():
            break
        into = inside[0]
    return into
