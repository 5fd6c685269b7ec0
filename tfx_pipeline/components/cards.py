"""The component that writes model cards."""

from pathlib import Path

from PIL import Image
from tfx.types import Artifact
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter

from tfx_pipeline.components.artifacts import ModelCards, Pictures
from tfx_pipeline.components.exporting import model_path
from tfx_pipeline.components.signatures import component_with
from tfx_pipeline.components.training import read_origin
from tfx_pipeline.config import RunConfig
from tfx_pipeline.judging.evaluations import metrics_by_slice
from tfx_pipeline.judging.gallery import SHOWN, contact_sheet, read_exhibits
from tfx_pipeline.kinds import FUSED, FUSED_USE, GENERATOR, KINDS, Kind
from tfx_pipeline.pushing.cards import COUNTS, ModelCard, Samples, limits
from tfx_pipeline.runs.history import plain

MAKERS = [name for name, kind in KINDS.items() if kind.makes]
"""The models that have a Gallery."""


@component_with(
    dict.fromkeys(KINDS, ModelEvaluation)
    | {f"{name}_model": Model for name in KINDS}
    | {f"{name}_pictures": Pictures for name in MAKERS}
)
def CardWriter(
    examples: InputArtifact[Examples],
    blessing: InputArtifact[ModelBlessing],
    config: Parameter[str],
    commit: Parameter[str],
    cards: OutputArtifact[ModelCards],
    **inputs: Artifact,
) -> None:
    """Write a card for each evaluated model of a run, and for the fused model with the metrics of all.

    For a model that makes pictures, a sheet of samples is written to `<model>.png`.
    """
    metrics = {name: metrics_by_slice(inputs[name].uri) for name in KINDS}
    origins = {name: read_origin(model_path(inputs[f"{name}_model"])) for name in KINDS}
    origins[FUSED] = "; ".join(f"{name}: {origin}" for name, origin in origins.items() if origin)
    settings = RunConfig.model_validate_json(config)
    recorded = plain(examples.mlmd_artifact.custom_properties)
    folder = Path(cards.uri)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*metrics, FUSED):
        kind = KINDS.get(name, GENERATOR)
        card = ModelCard(
            model=name,
            task=kind.task,
            use=FUSED_USE if name == FUSED else kind.use,
            version=blessing.get_int_custom_property("version"),
            licence=settings.card.licence,
            commit=commit,
            data={key: recorded[key] for key in COUNTS if recorded.get(key)},
            config=settings.model_dump(mode="json"),
            metrics=metrics if name == FUSED else {name: metrics[name]},
            warm_start=origins[name],
            limits=list(limits(settings, recorded.get("pictures", 0))),
            samples=write_samples(kind, inputs, folder / f"{name}.png"),
        )
        (folder / f"{name}.json").write_text(card.model_dump_json(), encoding="utf-8")


def write_samples(kind: Kind, inputs: dict[str, Artifact], file: Path) -> Samples | None:
    """Write a sheet of pictures from a model's Gallery; None if there is no Gallery or it is empty."""
    exhibits = read_exhibits(inputs[f"{kind.name}_pictures"].uri) if kind.makes else None
    if exhibits is None:
        return None
    Image.fromarray(contact_sheet(exhibits)).save(file, "PNG")
    return Samples(rows=["real", kind.makes, kind.baseline], captions=exhibits.captions[:SHOWN].tolist())
