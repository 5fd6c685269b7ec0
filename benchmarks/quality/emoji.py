"""Measures for pictures with nothing but a caption each, such as the emoji."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import Draw, Pictures
from benchmarks.quality.pictures import load_pictures
from tfx_pipeline.datasets.entries import Entry
from tfx_pipeline.datasets.folder import read_folder


@dataclass(frozen=True)
class Captioned:
    """Pictures, uint8[n, s, s, 3], each with its caption."""

    captions: tuple[str, ...]
    pictures: Pictures


def read_captioned(folder: str | Path, *, size: int = 32) -> tuple[Captioned, Captioned]:
    """A folder with its English captions, split into training and withheld pictures.

    Raises:
        DataSetError: The folder cannot be read.
    """
    entries = read_folder(folder).entries
    seen, withheld = ([entry for entry in entries if entry.withheld == is_withheld] for is_withheld in (False, True))
    return captioned(Path(folder), seen, size), captioned(Path(folder), withheld, size)


def captioned(folder: Path, entries: list[Entry], size: int) -> Captioned:
    """The pictures of some entries."""
    pictures = load_pictures([folder / entry.file_name for entry in entries], size)
    return Captioned(tuple(entry.text for entry in entries), pictures)


def held_out_psnr(draw: Draw, withheld: Captioned) -> float:
    """Mean PSNR in dB between pictures and drawings of their captions, one each with seed 0.

    Raises:
        ValueError: There is no picture.
    """
    if not withheld.captions:
        raise ValueError("No picture is withheld: name a dataset that marks some of its pictures as withheld.")
    drawn = draw(list(withheld.captions), [0] * len(withheld.captions)).astype(np.float64)
    errors = ((drawn - withheld.pictures) ** 2).mean((1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / np.maximum(errors, 1e-3))))


def retrieval(draw: Draw, seen: Captioned, *, count: int = 1000, seed: int = 0) -> float:
    """R@1: the share of drawings that are closest, by squared error, to the picture of their own caption, 0 to 1.

    Args:
        draw: The generator under test.
        seen: The training pictures.
        count: Number of pictures that are drawn and searched; all if there are fewer.
        seed: Seed of their choice.
    """
    chosen = np.random.default_rng(seed).permutation(len(seen.captions))[:count]
    captions = [seen.captions[number] for number in chosen]
    distances = squared_distances(draw(captions, [0] * len(captions)), seen.pictures[chosen])
    # Two captions may belong to the same picture.
    return float(np.mean(distances.diagonal() <= distances.min(axis=1)))


def squared_distances(ones: Pictures, others: Pictures) -> NDArray[np.float64]:
    """Distances from each of n pictures to each of m: float64[n, m]."""
    one, other = (pictures.reshape(len(pictures), -1).astype(np.float64) for pictures in (ones, others))
    return (one**2).sum(1)[:, None] - 2 * one @ other.T + (other**2).sum(1)
