"""Drawings or restorations of some pictures of the eval split."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.evaluation import PICTURES_OUTPUT, RAW
from tfx_pipeline.training.records import serialized

MOST = 512
SHOWN = 8
"""Number of columns of a contact sheet."""
BATCH = 64
FILE = "pictures.npz"


class Exhibits(NamedTuple):
    """Pictures made by a model, with the pictures they are compared with.

    Attributes:
        captions: str[n], in English, or in Chinese if there is no English caption.
        candidate: uint8[n, s, s, 3], drawn or restored.
        baseline: uint8[n, s, s, 3], drawn from another picture's caption, or damaged.
        truth: uint8[n, s, s, 3], the real pictures.
    """

    captions: NDArray[np.str_]
    candidate: NDArray[np.uint8]
    baseline: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def exhibits(judged: tf.types.experimental.ConcreteFunction, files: list[str]) -> Iterator[Exhibits]:
    """The outputs of the signature for the first examples in the files, batch by batch."""
    examples = serialized(files).take(MOST).batch(BATCH)
    for batch in examples:
        made = judged(examples=batch)[PICTURES_OUTPUT].numpy()
        raw = tf.io.parse_example(batch, {name: RAW[name] for name in ("text", "text_zh")})
        captions = tf.where(tf.strings.length(raw["text"]) > 0, raw["text"], raw["text_zh"])
        yield Exhibits(np.array([text.decode() for text in captions.numpy()]), *np.moveaxis(made, 1, 0))


def contact_sheet(exhibits: Exhibits, least_side: int = 96) -> NDArray[np.uint8]:
    """The first pictures in three rows: real, made by the model, and by the baseline.

    Args:
        exhibits: The output of a Gallery.
        least_side: Smaller pictures are upscaled to at least this many pixels.

    Returns:
        uint8[3 * side, up to SHOWN * side, 3].
    """
    rows = [np.hstack(list(pictures[:SHOWN])) for pictures in (exhibits.truth, exhibits.candidate, exhibits.baseline)]
    times = -(-least_side // exhibits.truth.shape[1])
    return np.vstack(rows).repeat(times, axis=0).repeat(times, axis=1)


def read_exhibits(uri: str) -> Exhibits | None:
    """The output of a Gallery; None if the eval split is empty."""
    if not (Path(uri) / FILE).is_file():
        return None
    with np.load(Path(uri) / FILE) as arrays:
        return Exhibits(**arrays)
