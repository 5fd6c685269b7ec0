"""Data that arrive in spans: `data/span-0001`, `data/span-0002`, each a dataset in any supported layout.

A span is used as soon as its name exists, so it should appear in one step: `easel data import` renames it into place. A
copy can have a name that begins with a dot until it is complete.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tfx_pipeline.datasets.entries import DataSetError, Entry, Quarantined
from tfx_pipeline.datasets.folder import Reading, read_folder

SPAN = re.compile(r"span-(\d+)")
Item = TypeVar("Item", Entry, Quarantined)


def newest_spans(folder: Path, window: int) -> tuple[str, ...]:
    """The names of the newest spans of a folder, from old to new; empty if it is a dataset itself.

    Args:
        folder: A folder of spans, or a dataset.
        window: Maximum number of spans.

    Raises:
        DataSetError: Two spans have the same number.
    """
    if not folder.is_dir():
        return ()
    spans: dict[int, str] = {}
    for path in sorted(folder.iterdir()):
        match = SPAN.fullmatch(path.name)
        if match and path.is_dir():
            number = int(match[1])
            if number in spans:
                raise DataSetError(f"{path} and {spans[number]} are both span {number}: rename one of them.")
            spans[number] = path.name
    return tuple(spans[number] for number in sorted(spans)[-window:])


def read_spans(folder: Path, spans: Sequence[str], **options: Any) -> Reading:
    """Read spans as one dataset, with file names that begin with the span's; without spans, read the folder itself.

    Raises:
        DataSetError: As for `read_folder`.
    """
    if not spans:
        return read_folder(folder, **options)
    readings = {span: read_folder(folder / span, **options) for span in spans}
    return Reading(
        folder,
        tuple(item for span, reading in readings.items() for item in placed(span, reading.entries)),
        tuple(item for span, reading in readings.items() for item in placed(span, reading.quarantined)),
        sum((Counter(reading.passed_over) for reading in readings.values()), Counter()),
    )


def placed(span: str, items: Iterable[Item]) -> list[Item]:
    """Entries or quarantined files of a span, with paths relative to the parent folder."""
    return [replace(item, file_name=f"{span}/{item.file_name}") for item in items]
