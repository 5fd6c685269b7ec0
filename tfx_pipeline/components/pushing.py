"""The last components: the check on a real server, and a pusher with atomic renames."""

from pathlib import Path

from tfx.types import Artifact
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, PushedModel
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from serving.validation import Verdict, validate
from tfx_pipeline.components.artifacts import ModelCards
from tfx_pipeline.components.exporting import model_path
from tfx_pipeline.components.signatures import component_with
from tfx_pipeline.kinds import FUSED, KINDS
from tfx_pipeline.pushing.cards import read_card
from tfx_pipeline.pushing.versions import push


@component_with(dict.fromkeys((*KINDS, FUSED), Model))
def ServingValidator(
    model_blessing: InputArtifact[ModelBlessing], blessing: OutputArtifact[InfraBlessing], **models: Artifact
) -> None:
    """Load all models in the embedded server, in a separate process, and send each its warm-up requests."""
    if model_blessing.get_int_custom_property("blessed") == 1:
        verdict = validate({name: model_path(model) for name, model in models.items()})
    else:
        verdict = Verdict(False, "nothing was assembled, since a model was not blessed", 0, 0.0)
    blessing.set_int_custom_property("blessed", int(verdict.ok))
    blessing.set_string_custom_property("reason", verdict.reason)
    blessing.set_float_custom_property("median_ms", verdict.median_ms)


@component
def Pusher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    cards: InputArtifact[ModelCards],
    name: Parameter[str],
    base: Parameter[str],
    standing: Parameter[str],
    pushed_model: OutputArtifact[PushedModel],
) -> None:
    """Push a model with its card to `base/<version>`, if all models of the run and the serving check are blessed.

    Unlike in TFX's Pusher, a version is written atomically, and an unchanged model is not pushed again. `standing` is
    only part of the cache key, so that models are pushed again after the folder has been emptied.
    """
    blessed = all(item.get_int_custom_property("blessed") == 1 for item in (model_blessing, infra_blessing))
    pushed_model.set_int_custom_property("pushed", int(blessed))
    if blessed:
        place = push(model_path(model), Path(base), *read_card(Path(cards.uri), name))
        pushed_model.set_string_custom_property("pushed_destination", str(place))
        pushed_model.set_string_custom_property("pushed_version", place.name)
