"""The component that stores a model's pictures for examples of the eval split."""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  # The saved graphs use its ops.
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, Model
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, component

from tfx_pipeline.components.artifacts import Pictures
from tfx_pipeline.components.exporting import model_path
from tfx_pipeline.judging.gallery import FILE, Exhibits, exhibits


@component
def Gallery(examples: InputArtifact[Examples], model: InputArtifact[Model], pictures: OutputArtifact[Pictures]) -> None:
    """Run a model's signature `exhibit` on up to 512 pictures of the eval split, and store the results."""
    folder = Path(artifact_utils.get_split_uri([examples], "eval"))
    judged = tf.saved_model.load(str(model_path(model))).signatures["exhibit"]
    Path(pictures.uri).mkdir(parents=True, exist_ok=True)
    if batches := list(exhibits(judged, sorted(map(str, folder.iterdir())))):
        columns = map(np.concatenate, zip(*batches, strict=True))
        np.savez_compressed(Path(pictures.uri) / FILE, **Exhibits(*columns)._asdict())
