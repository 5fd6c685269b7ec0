"""Detection of copied training pictures: drawings are compared with all training pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfx_pipeline.ingesting.squares import from_bytes
from tfx_pipeline.training.records import records

NEIGHBOURS = 50
SUSPICIOUS = 0.5
KEPT = 12
FILE = "copies.npz"


class Suspects(NamedTuple):
    """The drawings that are most similar to a training picture, the most suspicious first.

    Attributes:
        captions: str[k].
        drawn: uint8[k, s, s, 3].
        nearest: uint8[k, s, s, 3], the nearest training picture of each.
        isolation: float32[k]; see `Neighbours`.
    """

    captions: NDArray[np.str_]
    drawn: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    isolation: NDArray[np.float32]


class Neighbours(NamedTuple):
    """The training pictures nearest to some pictures.

    Attributes:
        nearest: uint8[n, s, s, 3], the nearest one of each.
        isolation: float32[n], its distance divided by the mean distance of the 50 nearest: about 1 for a picture among
            many similar ones, 0 for an exact copy of a training picture that is far from the others.
    """

    nearest: NDArray[np.uint8]
    isolation: NDArray[np.float32]

    @property
    def copied(self) -> float:
        """The share of copies, 0..1, by the measure of Carlini et al. (2023): an isolation below a half."""
        return float((self.isolation < SUSPICIOUS).mean())


def training_pictures(folder: Path, side: int) -> Iterator[NDArray[np.uint8]]:
    """Batches of transformed pictures, uint8[b, side, side, 3]."""
    spec = {"image": tf.io.FixedLenFeature([], tf.string)}
    for batch in records(sorted(map(str, folder.iterdir())), spec):
        yield from_bytes(batch["image"], side).numpy()


def neighbours(pictures: NDArray[np.uint8], training: Iterable[NDArray[np.uint8]]) -> Neighbours:
    """Find the nearest training pictures of each picture, by the root mean squared difference of pixels.

    Args:
        pictures: uint8[n, s, s, 3].
        training: Batches of pictures of the same size, which are read one at a time.
    """
    nearest, distances = np.zeros_like(pictures), np.full([len(pictures), NEIGHBOURS], np.inf, np.float32)
    for batch in training:
        candidates = differences(pictures, batch)
        closer = candidates.min(axis=1) < distances[:, 0]
        nearest[closer] = batch[candidates.argmin(axis=1)[closer]]
        distances = np.sort(np.concatenate([distances, candidates], axis=1), axis=1)[:, :NEIGHBOURS]
    there = np.isfinite(distances)
    means = np.where(there, distances, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return Neighbours(nearest, distances[:, 0] / np.maximum(means, 1e-6))


def differences(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Root mean squared differences of all pairs, float32[n, m], in grey levels."""
    rows = [pictures.reshape(len(pictures), -1).astype(np.float32) for pictures in (first, second)]
    squares = [(row**2).sum(axis=1) for row in rows]
    sums = squares[0][:, None] + squares[1][None, :] - 2 * rows[0] @ rows[1].T
    return np.sqrt(np.maximum(sums, 0) / rows[0].shape[1])


def read_suspects(uri: str) -> Suspects | None:
    """The output of a CopyCheck; None if there was nothing to check."""
    if not (Path(uri) / FILE).is_file():
        return None
    with np.load(Path(uri) / FILE) as arrays:
        return Suspects(**arrays)
