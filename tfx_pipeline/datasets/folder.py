"""Reading a dataset from a folder, with a quarantine for unusable pictures.

Captions are read by `tfx_pipeline.datasets.captions`, pictures by `serving.images`. Nothing is dropped silently: every
unusable picture becomes a `Quarantined` with its reason, and ignored files are counted.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL.Image import Image

from serving.faults import is_of_the_machine
from serving.images import PictureError, TooLargeError, UnknownFormatError, on_white, read_picture
from tfx_pipeline.datasets.captions import Captions, Found
from tfx_pipeline.datasets.entries import DataSetError, Entry, Kind, Quarantined, ReadLimits, RefusedError, plain
from tfx_pipeline.datasets.files import (
    FOREIGN,
    Files,
    ending,
    files_below,
    inside,
    leads_out,
    looks_like_picture,
    without_links,
)

Progress = Callable[[str, int, int], None]
"""Called with the kind of work, the amount done and the total (0 if unknown)."""

_BATCH = 256
_KINDS = {UnknownFormatError: Kind.FORMAT, TooLargeError: Kind.TOO_LARGE}


@dataclass(frozen=True)
class Reading:
    """The contents of a dataset folder.

    Attributes:
      root: the folder.
      entries: the usable entries, in order.
      quarantined: the unusable files.
      passed_over: number of ignored files and cells by name, such as `@eaDir`.
    """

    root: Path
    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Share of everything found that was quarantined, 0 to 1; 0 if nothing was found."""
        return len(self.quarantined) / max(1, len(self.entries) + len(self.quarantined))

    @property
    def kinds(self) -> dict[str, int]:
        """Number of quarantined files for each kind of reason, the most common first."""
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
      path: a folder, laid out as `tfx_pipeline.datasets.captions` says.
      limits: limits on pictures and captions; None for the defaults of `ReadLimits`.
      decode: whether to decode the pictures. Without it, only their existence, location and size are checked, which is
        enough for an unchanged folder written by `easel data import`.
      workers: threads that decode; by default one for each core, at most 8.
      progress: called with the number of pictures checked so far.

    Raises:
      DataSetError: the folder is missing, it has no captions, or its table lacks the columns.
      OSError: the disk fails, or the process may open no more files; neither is a reason to quarantine a picture.
    """
    root = _existing(Path(path))
    limits = limits or ReadLimits()
    files = files_below(root)
    captions = Captions(root, files.names, limits)
    entries, refused = _merged(captions.read(), limits)
    problems = _check_all(root, entries, limits, decode=decode, workers=workers, progress=progress)
    named = {entry.file_name for entry in entries} | {item.file_name for item in refused}
    return Reading(
        root,
        tuple(entry for entry, problem in zip(entries, problems, strict=True) if problem is None),
        (
            *refused,
            *(problem for problem in problems if problem),
            *_uncaptioned(files.names, named),
            *_links(root, files, named),
            *files.unreadable,
        ),
        files.passed_over + captions.passed_over,
    )


def check_quarantine(
    reading: Reading,
    max_share: float = 0.05,
    *,
    listed: Path | None = None,
    allow: str = "--max-quarantine {share:.2f}",
) -> None:
    """Reject a dataset if too much of it was quarantined.

    Args:
      reading: the result of `read_folder`.
      max_share: the share that may be quarantined, 0 to 1.
      listed: the file to which the caller has written the list; without it, the message quotes the first item.
      allow: how the user can raise the limit, with `share` as the required value.

    Raises:
      DataSetError: more than `max_share` was quarantined, or no picture is left.
    """
    if not reading.entries and not reading.quarantined:
        raise DataSetError(f"There are no pictures in {reading.root}: add some, each with a caption.")
    if reading.entries and reading.share <= max_share:
        return
    first = reading.quarantined[0]
    where = f"the list is in {listed}" if listed else f"the first is {first.file_name}: {first.reason}"
    raise DataSetError(f"{_too_many(reading, max_share)}; {where}. {_remedy(reading, allow)}")


def _too_many(reading: Reading, max_share: float) -> str:
    count, total = len(reading.quarantined), len(reading.quarantined) + len(reading.entries)
    kind, times = next(iter(reading.kinds.items()))
    return (
        f"{count:,} of {total:,} pictures ({reading.share:.1%}) were quarantined, and at most {max_share:.1%} may be; "
        f"the most common reason is '{kind}' ({times:,})"
    )


def _remedy(reading: Reading, allow: str) -> str:
    if not reading.entries:
        return "No picture is left: fix them and try again."
    enough = math.ceil(round(100 * reading.share, 6)) / 100
    return f"Fix them, or raise the limit with {allow.format(share=enough)}."


def open_picture(data: bytes, *, limits: ReadLimits | None = None) -> Image:
    """Decode a picture: upright, in sRGB, composited on white, mode RGB.

    Raises:
      RefusedError: the bytes are not a picture of a known format, or it is too large or damaged.
    """
    with refusing():
        return on_white(read_picture(data, max_pixels=(limits or ReadLimits()).max_pixels))


@contextmanager
def refusing() -> Iterator[None]:
    """Convert errors of `serving.images` to a `RefusedError` with its kind."""
    try:
        yield
    except PictureError as error:
        raise RefusedError(_KINDS.get(type(error), Kind.UNREADABLE), str(error)) from error


def _existing(root: Path) -> Path:
    if not root.exists():
        raise DataSetError(f"There is no folder {root}: give a folder of captioned pictures.")
    if not root.is_dir():
        raise DataSetError(f"{root} is not a folder: give a folder, or import an archive with `easel data import`.")
    return root


def _merged(items: Iterable[Found], limits: ReadLimits) -> tuple[list[Entry], list[Quarantined]]:
    """Join the entries of each picture into one, with all their captions."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    refused: list[Quarantined] = []
    for item in items:
        if isinstance(item, Quarantined):
            refused.append(item)
        else:
            entries[item.file_name].append(item)
    return [_joined(same, limits, refused) for same in entries.values()], refused


def _joined(same: Sequence[Entry], limits: ReadLimits, refused: list[Quarantined]) -> Entry:
    first = same[0]
    if len(same) == 1 and len(first.captions) <= limits.max_captions:
        return first
    alike = [entry for entry in same if _but_captions(entry) == _but_captions(first)]
    if len(alike) < len(same):
        reason = (
            "The picture is named twice, with other attributes, objects or tags; what the first said was kept, make "
            "them the same."
        )
        refused.append(Quarantined(first.file_name, reason, Kind.DUPLICATE))
    text, chinese = (next(filter(None, texts), "") for texts in zip(*((e.text, e.text_zh) for e in alike), strict=True))
    captions = dict.fromkeys((text, chinese, *(caption for entry in alike for caption in entry.captions)))
    if (count := len(captions.keys() - {""})) > limits.max_captions:
        reason = (
            f"The picture has {count:,} captions, and at most {limits.max_captions} are allowed; the first were kept."
        )
        refused.append(Quarantined(first.file_name, reason, Kind.MANY_CAPTIONS))
    more = [caption for caption in captions if caption not in (text, chinese, "")]
    room = limits.max_captions - sum(map(bool, (text, chinese)))
    return replace(first, text=text, text_zh=chinese, more=tuple(more[:room]))


def _but_captions(entry: Entry) -> tuple[object, ...]:
    return entry.attributes, entry.withheld, entry.objects, entry.tags


def _uncaptioned(files: Iterable[str], named: set[str]) -> Iterator[Quarantined]:
    for name in files:
        if looks_like_picture(name) and name not in named:
            convert = " and convert it to PNG" if ending(name) in FOREIGN else ""
            reason = f"No caption names this picture; write one{convert}, or remove the picture."
            yield Quarantined(name, reason, Kind.UNCAPTIONED)


def _links(root: Path, files: Files, named: set[str]) -> Iterator[Quarantined]:
    """Report links to folders outside with pictures that no caption names; folders inside are read where they are."""
    top = os.path.realpath(root)
    for name in files.links:
        if leads_out(top, name) and not any(other.startswith(f"{name}/") for other in named):
            reason = f"It is a link to a folder outside, which is not followed; {without_links(root)}."
            yield Quarantined(name, reason, Kind.LINK)


def _check_all(
    root: Path,
    entries: Sequence[Entry],
    limits: ReadLimits,
    *,
    decode: bool,
    workers: int | None,
    progress: Progress | None,
) -> list[Quarantined | None]:
    top = os.path.realpath(root)
    batches = [entries[at : at + _BATCH] for at in range(0, len(entries), _BATCH)]
    problems: list[Quarantined | None] = []

    def check(batch: Sequence[Entry]) -> list[Quarantined | None]:
        parents: dict[str, str] = {}
        return [_problem(top, entry.file_name, limits, parents, decode=decode) for entry in batch]

    # Pillow warns about unusual but harmless tags. Warning filters are global, so they are not set in the threads.
    with warnings.catch_warnings(), ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        for checked in pool.map(check, batches):
            problems += checked
            if progress:
                progress("checking pictures", len(problems), len(entries))
    return problems


def _problem(root: str, name: str, limits: ReadLimits, parents: dict[str, str], *, decode: bool) -> Quarantined | None:
    try:
        path = inside(root, name, limits.max_bytes, Kind.TOO_LARGE, parents)
        if decode:
            open_picture(Path(path).read_bytes(), limits=limits)
    except RefusedError as error:
        return Quarantined(name, str(error), error.kind)
    except OSError as error:
        if is_of_the_machine(error):
            raise
        return Quarantined(name, f"The file cannot be read: {plain(error)}.", Kind.UNREADABLE)
    return None
