"""From trained Keras models to SavedModels: what is judged, what is served, and what is fused of them."""

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
"""Of the requests with which the fused model is warmed up."""


@component
def Exporter(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    name: Parameter[str],
    picture_size: Parameter[int],
    judged: OutputArtifact[Model],
    serving: OutputArtifact[Model],
) -> None:
    """Write a trained model twice: with the signatures that the judges call, and with those that are served.

    `examples` are transformed ones; `serving` carries warm-up requests for each of its signatures.
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
    """Compose the fused model, if all models are blessed and the CopyCheck blesses too; else assemble nothing.

    The generator carries the language model that it was trained with, so that model is asked for its blessing alone.
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
    """Lay beside a SavedModel what it was made of and the requests that warm it up."""
    write_parts(model_path(model), parts)
    write_warmup(model_path(model), name, example_requests(model_path(model), batches))


def model_path(model: Artifact) -> Path:
    """Where a Model artifact keeps its model."""
    return Path(path_utils.serving_model_path(model.uri))
