"""The one reader of a data set on disk: which captioned pictures a folder holds, and why others are set aside.

Captions are read by `tfx_pipeline.datasets.captions`, pictures by `serving.images`. Nothing is dropped in silence:
whatever cannot be used becomes a `Quarantined` with its reason, and what was passed over is counted.
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
"""Called with what is being done, how much of it is done and how much there is (0 when nobody knows)."""

_BATCH = 256
_KINDS = {UnknownFormatError: Kind.FORMAT, TooLargeError: Kind.TOO_LARGE}


@dataclass(frozen=True)
class Reading:
    """What a folder holds.

    Attributes:
      root: the folder.
      entries: what can be trained on, in its order.
      quarantined: what was set aside.
      passed_over: how many files or cells were not read for what they are called, by that name, such as `@eaDir`.
    """

    root: Path
    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)

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
      path: a folder, laid out as `tfx_pipeline.datasets.captions` says.
      limits: what one picture and its captions may ask for; the defaults of `ReadLimits` when None.
      decode: False skips opening the pictures: they must exist, lie inside the folder and keep to `max_bytes`, no more.
        For a folder that `easel data import` has written and nobody has changed since.
      workers: threads that decode; by default one for each core, at most 8.
      progress: told about the pictures checked so far.

    Raises:
      DataSetError: the folder is missing, or holds no captions, or its table lacks the columns.
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
    """Name the links out of the folder whose contents no caption names; what lies within it is read where it lies."""
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

    # Pillow warns of odd but harmless tags, and the filters are the whole process's: set once here, not in a thread.
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
        return Quarantined(name, f"The file cannot be read: {plain(error)}.", Kind.UNREADABLE)
    return None
