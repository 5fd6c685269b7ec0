"""Components that export trained Keras models to SavedModels for evaluation and for serving, and the fused model."""

import time
from pathlib import Path

from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing
from tfx.utils import path_utils
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from models.export import export_judged, export_text_to_image
from models.proposals import proposals
from models.saving import load_model
from models.text_to_image import TextToImage
from serving.warmup import example_requests, write_warmup
from tfx_pipeline.components.signatures import component_with
from tfx_pipeline.kinds import FUSED, FUSED_FROM, KINDS, Judging, keras_file
from tfx_pipeline.pushing.versions import write_parts

BATCHES = (1, 4, 16)
"""Batch sizes of the warm-up requests of the fused model."""


@component
def Exporter(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    name: Parameter[str],
    picture_size: Parameter[int],
    judged: OutputArtifact[Model],
    serving: OutputArtifact[Model],
) -> None:
    """Write a trained model twice: with the signatures for evaluation, and with those for serving.

    `examples` are transformed examples; `serving` includes warm-up requests for each of its signatures.
    """
    kind, file = KINDS[name], keras_file(model_path(model), name)
    trained = load_model(file)
    train = sorted(map(str, Path(artifact_utils.get_split_uri([examples], "train")).iterdir()))
    judging = Judging(picture_size, train, kind.measures)
    export_judged(trained, kind.judge(trained, judging), model_path(judged))
    kind.export(trained, model_path(serving))
    finish(serving, name, [file], batches=(1,))


@component_with(dict.fromkeys(FUSED_FROM, Model) | {f"{name}_blessing": ModelBlessing for name in KINDS})
def Assembler(
    copies_blessing: InputArtifact[ModelBlessing],
    model: OutputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
    **inputs: Artifact,
) -> None:
    """Compose the fused model if all models and the CopyCheck are blessed; otherwise do nothing.

    The generator contains the language model with which it was trained, so only the blessing of that model is an input.
    """
    blessings = [copies_blessing, *(inputs[f"{name}_blessing"] for name in KINDS)]
    blessed = all(item.get_int_custom_property("blessed") == 1 for item in blessings)
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_int_custom_property("version", int(time.time()))
    if not blessed:
        return
    files = [keras_file(model_path(inputs[name]), name) for name in FUSED_FROM]
    fused = TextToImage(*map(load_model, files))
    export_text_to_image(fused, model_path(model), prompts=proposals(fused.generator.language_model))
    finish(model, FUSED, files, batches=BATCHES)


def finish(model: Artifact, name: str, parts: list[Path], *, batches: tuple[int, ...]) -> None:
    """Add the digests of its parts and warm-up requests to a SavedModel."""
    write_parts(model_path(model), parts)
    write_warmup(model_path(model), name, example_requests(model_path(model), batches))


def model_path(model: Artifact) -> Path:
    """The folder of the model in a Model artifact."""
    return Path(path_utils.serving_model_path(model.uri))
