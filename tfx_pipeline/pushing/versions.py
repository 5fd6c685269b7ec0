"""Versions of a model in the folder that servers watch."""

import filecmp
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from serving.folders import flush, flush_one
from serving.warmup import signatures_of
from tfx_pipeline.pushing.cards import CARD_FILES, ModelCard

LARGEST = 2**63 - 1
PARTS_FILE = "assets.extra/parts.sha256"


def write_parts(saved_model: Path, parts: Sequence[Path]) -> None:
    """Add the digests of the trained models and the signatures to a SavedModel."""
    digests = [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]
    (saved_model / PARTS_FILE).parent.mkdir(exist_ok=True)
    (saved_model / PARTS_FILE).write_text("\n".join([*digests, *sorted(signatures_of(saved_model))]), encoding="utf-8")


def push(saved_model: Path, base: Path, card: ModelCard, samples: Path | None = None) -> Path:
    """Create `base/<version>` atomically from a SavedModel, its card and a sheet of samples.

    Nothing happens if the newest version is the same model.

    For servers, the largest number is the newest version. If it is not below the card's, because the clock was once
    ahead, the new version is the next number above it.

    Returns:
        The folder of the served version.

    Raises:
        ValueError: There is no larger number.
    """
    base.mkdir(parents=True, exist_ok=True)
    numbered = {int(path.name): path for path in base.iterdir() if path.name.isascii() and path.name.isdecimal()}
    versions = {number: path for number, path in numbered.items() if number <= LARGEST}
    newest = max(versions, default=0)
    if versions and same_model(saved_model, versions[newest]):
        return versions[newest]
    if newest >= LARGEST:
        raise ValueError(f"{versions[newest].absolute()} has the largest number that a version can have: move it away.")
    card = card.model_copy(update={"version": max(card.version, newest + 1)})
    for left_over in base.glob(".*.partial"):
        shutil.rmtree(left_over)
    partial = base / f".{card.version}.partial"
    try:
        shutil.copytree(saved_model, partial)
        card.write(partial, samples)
        flush(partial)
        place = partial.rename(base / str(card.version))
        flush_one(base)
        return place
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def same_model(first: Path, second: Path) -> bool:
    """Whether two SavedModels have the same parts; the bytes of two exports always differ."""
    parts = [folder / PARTS_FILE for folder in (first, second)]
    if all(file.is_file() for file in parts):
        return parts[0].read_bytes() == parts[1].read_bytes()
    return same_tree(first, second)


def same_tree(first: Path, second: Path) -> bool:
    """Whether two folders contain the same files with the same bytes, except for the cards."""
    names = [{str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} for root in (first, second)]
    held, others = (files - set(CARD_FILES) for files in names)
    if held != others:
        return False
    _, different, unreadable = filecmp.cmpfiles(first, second, sorted(held), shallow=False)
    return not different and not unreadable
