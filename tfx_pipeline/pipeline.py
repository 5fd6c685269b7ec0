"""The pipeline as a pure function of its arguments, which runners execute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import tensorflow_data_validation as tfdv
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types.channel import BaseChannel
from tfx.types.channel_utils import union

from models import pretrained
from models.learning.networks import NETWORKS
from tfx_pipeline.components.cards import CardWriter
from tfx_pipeline.components.copying import CopyCheck
from tfx_pipeline.components.drift import DriftCheck
from tfx_pipeline.components.examples import FolderExampleGen, TextExampleGen
from tfx_pipeline.components.exporting import Assembler, Exporter
from tfx_pipeline.components.gallery import Gallery
from tfx_pipeline.components.pushing import Pusher, ServingValidator
from tfx_pipeline.config import RunConfig
from tfx_pipeline.engines import IN_PROCESS, is_in_process
from tfx_pipeline.ingesting.drift import QUANTILES
from tfx_pipeline.ingesting.slices import Slice
from tfx_pipeline.kinds import FUSED, FUSED_FROM, GENERATOR, KINDS, Kind
from tfx_pipeline.runs.root import INSIDE, Root

NAME = "easel"


@dataclass(frozen=True)
class Source:
    """A source of training data.

    Attributes:
        path: A folder or a file.
        fingerprint: The fingerprint of its contents, which is part of the cache key.
        spans: Names of the spans to read in the folder; empty if it is a dataset itself.
        slices: The slices for the evaluation.
        attributes: Names of the attributes that are kept for slicing, even if no slice is large enough.
    """

    path: Path
    fingerprint: str
    spans: tuple[str, ...] = ()
    slices: tuple[Slice, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """The initial state of trainings.

    Attributes:
        weights: For each kind, the folder of a Model artifact, or pretrained weights by their
            `models.pretrained.origin`; a kind without an entry is trained from scratch.
        pieces: Pieces that the vocabulary contains in any case, in order.
    """

    weights: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[str, ...] = ()


FROM_SCRATCH = Start()


def pretrained_start() -> Start:
    """The weights in `models.pretrained`, with their vocabulary."""
    return Start({name: pretrained.origin(name) for name in KINDS}, tuple(pretrained.pieces()))


class Reading(NamedTuple):
    """The components up to the DriftCheck, and their outputs."""

    nodes: list[BaseNode]
    examples: BaseChannel
    schema: BaseChannel


class DataSteps(NamedTuple):
    """The components before the Trainers, and their outputs."""

    nodes: list[BaseNode]
    examples: BaseChannel
    transformed: BaseChannel
    graph: BaseChannel


class ModelSteps(NamedTuple):
    """The components of one model."""

    trainer: BaseNode
    exporter: BaseNode
    evaluator: BaseNode


def create_pipeline(
    root: Root,
    pictures: Source,
    config: RunConfig,
    *,
    text: Source | None = None,
    start: Start = FROM_SCRATCH,
    commit: str = "",
    beam: Sequence[str] = IN_PROCESS,
    history: bool = True,
) -> tfx.dsl.Pipeline:
    """Create all components, from a folder of captioned pictures to pushed models.

    Args:
        root: The root folder of artifacts, metadata, backups and pushed models.
        pictures: The dataset folder.
        config: All settings.
        text: A file of additional lines of text for the language model.
        start: The initial state of the trainings.
        commit: The commit of this code, for the model cards.
        beam: Arguments for Beam; see `tfx_pipeline.engines.beam_args`.
        history: Whether a metadata store contains earlier runs to compare with.
    """
    steps = data_steps(root, pictures, config, known_pieces=start.pieces, history=history)
    nodes, examples, transformed = [*steps.nodes], steps.examples, steps.transformed
    captions: BaseChannel = transformed
    if text is not None:
        lines = TextExampleGen(file=str(text.path), fingerprint=text.fingerprint)
        captions = union([transformed, lines.outputs["examples"]])
        nodes.append(lines)

    models: dict[str, ModelSteps] = {}
    for kind in KINDS.values():
        data = captions if kind.reads_lines else transformed
        base = models[kind.base].trainer.outputs["model"] if kind.base else None
        trained = trainer(kind, data, steps.graph, root, config, base, start.weights.get(kind.name, ""))
        exported = exporter(kind, transformed, trained, config)
        baseline = latest_blessed(kind.name) if history else None
        judge = evaluator(kind, examples, exported, baseline, config, pictures.slices)
        models[kind.name] = ModelSteps(trained, exported, judge)
        nodes += [node for node in (trained, exported, baseline, judge) if node]

    galleries = {
        name: Gallery(examples=examples, model=steps.exporter.outputs["judged"]).with_id(f"Gallery.{name}")
        for name, steps in models.items()
        if KINDS[name].makes
    }
    copies = CopyCheck(
        examples=transformed,
        pictures=galleries[GENERATOR.name].outputs["pictures"],
        name=GENERATOR.name,
        most=config.thresholds.generator_copies,
    )
    assembler = Assembler(
        **{name: models[name].trainer.outputs["model"] for name in FUSED_FROM},
        **{f"{name}_blessing": model.evaluator.outputs["blessing"] for name, model in models.items()},
        copies_blessing=copies.outputs["blessing"],
    )
    served = {name: model.exporter.outputs["serving"] for name, model in models.items()}
    served[FUSED] = assembler.outputs["model"]
    check = ServingValidator(**served, model_blessing=assembler.outputs["blessing"])
    cards = CardWriter(
        **{name: model.evaluator.outputs["evaluation"] for name, model in models.items()},
        **{f"{name}_model": model.trainer.outputs["model"] for name, model in models.items()},
        **{f"{name}_pictures": gallery.outputs["pictures"] for name, gallery in galleries.items()},
        examples=examples,
        blessing=assembler.outputs["blessing"],
        config=config.model_dump_json(),
        commit=commit,
    )
    pushers = [
        Pusher(
            model=model,
            model_blessing=assembler.outputs["blessing"],
            infra_blessing=check.outputs["blessing"],
            cards=cards.outputs["cards"],
            name=name,
            base=str(root.pushed / name),
            standing=" ".join(sorted(path.name for path in (root.pushed / name).glob("[0-9]*"))),
        ).with_id(f"Pusher.{name}")
        for name, model in served.items()
    ]
    return bound(root, [*nodes, *galleries.values(), copies, assembler, check, cards, *pushers], beam)


def data_steps(
    root: Root, pictures: Source, config: RunConfig, *, known_pieces: Sequence[str] = (), history: bool = True
) -> DataSteps:
    """Create the components from a folder of captioned pictures to the inputs of the Trainers."""
    nodes, examples, schema = reading_steps(root, pictures, config, history=history)
    finest = NETWORKS[config.drawing.network].fineness * config.data.picture_size
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="tfx_pipeline.ingesting.preprocessing.preprocessing_fn",
        # Statistics of encoded pictures are useless and would take most of the time.
        disable_statistics=True,
        custom_config={
            "picture_size": finest,
            "known_pieces": list(known_pieces),
            **config.data.model_dump(include={"caption_length", "vocabulary_size"}),
        },
    )
    transform.add_upstream_node(nodes[-1])
    transformed, graph = (transform.outputs[name] for name in ("transformed_examples", "transform_graph"))
    return DataSteps([*nodes, transform], examples, transformed, graph)


def reading_steps(root: Root, pictures: Source, config: RunConfig, *, history: bool = True) -> Reading:
    """Create the components from a folder of captioned pictures to the DriftCheck."""
    examples = FolderExampleGen(
        folder=str(pictures.path),
        fingerprint=pictures.fingerprint,
        max_quarantine=config.data.max_quarantine,
        spans=" ".join(pictures.spans),
        attributes=" ".join(pictures.attributes),
    )
    statistics = tfx.components.StatisticsGen(
        examples=examples.outputs["examples"],
        stats_options=tfdv.StatsOptions(num_quantiles_histogram_buckets=QUANTILES),
    )
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    last = [accepted_statistics()] if history else []
    drift = DriftCheck(
        examples=examples.outputs["examples"],
        statistics=statistics.outputs["statistics"],
        last=last[0].outputs["statistics"] if last else None,
        limits=config.retraining.model_dump_json(include={"most_drift", "most_skew", "on_drift"}),
        page=str(root.drift),
    )
    nodes = [examples, statistics, schema, validator, *last, drift]
    return Reading(nodes, examples.outputs["examples"], schema.outputs["schema"])


def bound(root: Root, nodes: Sequence[BaseNode], beam: Sequence[str] = IN_PROCESS) -> tfx.dsl.Pipeline:
    """A pipeline of these components with the folders of a root and a Beam runner."""
    return tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(seen_by_beam(root, beam).pipeline),
        components=nodes,
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root.metadata)),
        beam_pipeline_args=list(beam),
    )


def seen_by_beam(root: Root, beam: Sequence[str] = IN_PROCESS) -> Root:
    """The root with a path that components and Beam can use to read and write artifacts.

    Beam makes paths absolute and then reads brackets and asterisks in them as a pattern, so a relative root is replaced
    by `/proc/self/cwd`, which does not contain its name. Remote workers do not share the working directory.
    """
    if is_in_process(beam) and INSIDE.exists():
        return Root(INSIDE / root.path)
    return Root(root.path.absolute())


def accepted_statistics() -> BaseNode:
    """The statistics of the data that the last run accepted."""
    return tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        statistics=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.ExampleStatistics,
            producer_component_id="DriftCheck",
            output_key="accepted",
        ),
    ).with_id("LastData")


def trainer(
    kind: Kind,
    data: BaseChannel,
    graph: BaseChannel,
    root: Root,
    config: RunConfig,
    base: BaseChannel | None,
    warm_start: str,
) -> BaseNode:
    """The Trainer of one model. Only the settings that it reads are part of its cache key."""
    return tfx.components.Trainer(
        run_fn="tfx_pipeline.components.training.train",
        examples=data,
        transform_graph=graph,
        base_model=base,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={
            "model": kind.name,
            "config": kind.settings(config).model_dump_json(),
            "checkpoints": str(root.checkpoints / kind.name),
            "warm_start": warm_start,
        },
    ).with_id(f"Trainer.{kind.name}")


def exporter(kind: Kind, transformed: BaseChannel, trained: BaseNode, config: RunConfig) -> BaseNode:
    """The Exporter of one model."""
    return Exporter(
        examples=transformed,
        model=trained.outputs["model"],
        name=kind.name,
        picture_size=config.data.picture_size,
    ).with_id(f"Exporter.{kind.name}")


def latest_blessed(name: str) -> BaseNode:
    """The last blessed model with this name, the baseline of a new one."""
    return tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.Model, producer_component_id=f"Exporter.{name}", output_key="judged"
        ),
        model_blessing=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.ModelBlessing,
            producer_component_id=f"Evaluator.{name}",
            output_key="blessing",
        ),
    ).with_id(f"Baseline.{name}")


def evaluator(
    kind: Kind,
    examples: BaseChannel,
    exported: BaseNode,
    baseline: BaseNode | None,
    config: RunConfig,
    slices: Sequence[Slice],
) -> BaseNode:
    """The Evaluator of one model on the eval split; without a baseline, it applies only absolute thresholds."""
    return tfx.components.Evaluator(
        examples=examples,
        example_splits=["eval"],
        model=exported.outputs["judged"],
        baseline_model=baseline.outputs["model"] if baseline else None,
        eval_config=kind.eval_config(config, slices),
    ).with_id(f"Evaluator.{kind.name}")
