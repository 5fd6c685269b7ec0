"""Some pictures of the eval split, as a model draws or restores them, kept where a report finds them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # The saved graphs use its ops.
from numpy.typing import NDArray
from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, component

from models.evaluation import PICTURES_OUTPUT, RAW
from tfx_pipeline.training.records import serialized

MOST = 512
BATCH = 64
FILE = "pictures.npz"


class Pictures(Artifact):
    """A file `pictures.npz` with the arrays of `Exhibits`."""

    TYPE_NAME = "tfx_pipeline.Pictures"


class Exhibits(NamedTuple):
    """Pictures that a model made, beside what they are judged by.

    Attributes:
        captions: str[n], the English ones, or the Chinese ones where there is no other.
        candidate: uint8[n, s, s, 3], drawn or restored.
        baseline: uint8[n, s, s, 3], drawn from another picture's caption, or damaged.
        truth: uint8[n, s, s, 3], the real pictures.
    """

    captions: NDArray[np.str_]
    candidate: NDArray[np.uint8]
    baseline: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@component
def Gallery(examples: InputArtifact[Examples], model: InputArtifact[Model], pictures: OutputArtifact[Pictures]) -> None:
    """Let a model's signature `exhibit` work on up to 512 pictures of the eval split, and keep them."""
    folder = Path(artifact_utils.get_split_uri([examples], "eval"))
    judged = tf.saved_model.load(path_utils.serving_model_path(model.uri)).signatures["exhibit"]
    Path(pictures.uri).mkdir(parents=True, exist_ok=True)
    if batches := list(exhibits(judged, sorted(map(str, folder.iterdir())))):
        columns = map(np.concatenate, zip(*batches, strict=True))
        np.savez_compressed(Path(pictures.uri) / FILE, **Exhibits(*columns)._asdict())


def exhibits(judged: tf.types.experimental.ConcreteFunction, files: list[str]) -> Iterator[Exhibits]:
    """What the signature makes of the first examples in the files, batch by batch."""
    examples = serialized(files).take(MOST).batch(BATCH)
    for batch in examples:
        made = judged(examples=batch)[PICTURES_OUTPUT].numpy()
        raw = tf.io.parse_example(batch, {name: RAW[name] for name in ("text", "text_zh")})
        captions = tf.where(tf.strings.length(raw["text"]) > 0, raw["text"], raw["text_zh"])
        yield Exhibits(np.array([text.decode() for text in captions.numpy()]), *np.moveaxis(made, 1, 0))


def read_exhibits(uri: str) -> Exhibits | None:
    """What a Gallery kept; None where the eval split was empty."""
    if not (Path(uri) / FILE).is_file():
        return None
    with np.load(Path(uri) / FILE) as arrays:
        return Exhibits(**arrays)
