"""The writer of model cards."""

from pathlib import Path

from tfx.types import Artifact
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter

from tfx_pipeline.components.artifacts import ModelCards
from tfx_pipeline.components.exporting import model_path
from tfx_pipeline.components.signatures import component_with
from tfx_pipeline.components.training import read_origin
from tfx_pipeline.config import RunConfig
from tfx_pipeline.judging.evaluations import metrics_by_slice
from tfx_pipeline.kinds import FUSED, KINDS
from tfx_pipeline.pushing.cards import COUNTS, ModelCard, limits
from tfx_pipeline.runs.history import plain


@component_with(dict.fromkeys(KINDS, ModelEvaluation) | {f"{name}_model": Model for name in KINDS})
def CardWriter(
    examples: InputArtifact[Examples],
    blessing: InputArtifact[ModelBlessing],
    config: Parameter[str],
    commit: Parameter[str],
    cards: OutputArtifact[ModelCards],
    **inputs: Artifact,
) -> None:
    """Write a card for each model of a run: those that were judged, and the fused one with the numbers of all."""
    metrics = {name: metrics_by_slice(inputs[name].uri) for name in KINDS}
    origins = {name: read_origin(model_path(inputs[f"{name}_model"])) for name in KINDS}
    origins[FUSED] = "; ".join(f"{name}: {origin}" for name, origin in origins.items() if origin)
    settings = RunConfig.model_validate_json(config)
    recorded = plain(examples.mlmd_artifact.custom_properties)
    for name in (*metrics, FUSED):
        card = ModelCard(
            model=name,
            version=blessing.get_int_custom_property("version"),
            licence=settings.card.licence,
            commit=commit,
            data={key: recorded[key] for key in COUNTS if recorded.get(key)},
            config=settings.model_dump(mode="json"),
            metrics=metrics if name == FUSED else {name: metrics[name]},
            warm_start=origins[name],
            limits=list(limits(settings, recorded.get("pictures", 0))),
        )
        Path(cards.uri).mkdir(parents=True, exist_ok=True)
        (Path(cards.uri) / f"{name}.json").write_text(card.model_dump_json(), encoding="utf-8")
