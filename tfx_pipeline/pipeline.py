"""The pipeline, as a pure function of what it is given; runners bind it to a place."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types.channel import BaseChannel
from tfx.types.channel_utils import union

from tfx_pipeline.components import Assembler, AtomicPusher, ServingValidator
from tfx_pipeline.config import RunConfig, Thresholds
from tfx_pipeline.copying import CopyCheck
from tfx_pipeline.evaluation import PERPLEXITY_OUTPUT, PICTURES_OUTPUT
from tfx_pipeline.examples import FolderExampleGen, TextExampleGen
from tfx_pipeline.gallery import Gallery
from tfx_pipeline.root import Root

NAME = "easel"
MODELS = ("language_model", "generator", "restorer")
MODELS_OF_PICTURES = ("generator", "restorer")
# The image is never started: without one, TFX packs itself up for remote workers, seconds for each component.
BEAM_ARGS = ("--direct_running_mode=in_memory", "--direct_num_workers=1", "--sdk_container_image=none")


@dataclass(frozen=True)
class Source:
    """Something to train on: a path and the fingerprint of its contents, by which the cache knows it."""

    path: Path
    fingerprint: str


def create_pipeline(root: Root, pictures: Source, config: RunConfig, *, text: Source | None = None) -> tfx.dsl.Pipeline:
    """Lay out all components, from a folder of captioned pictures to pushed models.

    Args:
        root: Where artifacts, metadata, backups and pushed models go.
        pictures: The data-set folder.
        config: All settings.
        text: A file of further text lines for the language model.
    """
    examples = FolderExampleGen(
        folder=str(pictures.path), fingerprint=pictures.fingerprint, max_quarantine=config.data.max_quarantine
    )
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfx_pipeline.preprocessing.preprocessing_fn",
        custom_config=config.data.model_dump(include={"picture_size", "caption_length", "vocabulary_size"}),
    )
    nodes: list[BaseNode] = [examples, statistics, schema, validator, transform]
    transformed = transform.outputs["transformed_examples"]
    captions: BaseChannel = transformed
    if text is not None:
        lines = TextExampleGen(file=str(text.path), fingerprint=text.fingerprint)
        captions = union([transformed, lines.outputs["examples"]])
        nodes.append(lines)

    trainers: dict[str, BaseNode] = {}
    evaluators: dict[str, BaseNode] = {}
    for name in MODELS:
        base = trainers["language_model"].outputs["model"] if name == "generator" else None
        data = captions if name == "language_model" else transformed
        trainers[name] = trainer(name, data, transform.outputs["transform_graph"], root, config, base)
        baseline = latest_blessed(name)
        evaluators[name] = evaluator(name, examples.outputs["examples"], trainers[name], baseline, config)
        nodes += [trainers[name], baseline, evaluators[name]]

    galleries = {
        name: Gallery(examples=examples.outputs["examples"], model=trainers[name].outputs["model"]).with_id(
            f"Gallery.{name}"
        )
        for name in MODELS_OF_PICTURES
    }
    copies = CopyCheck(
        examples=transformed,
        pictures=galleries["generator"].outputs["pictures"],
        most=config.thresholds.generator_copies,
    )
    assembler = Assembler(
        **{name: node.outputs["model"] for name, node in trainers.items()},
        **{f"{name}_blessing": node.outputs["blessing"] for name, node in evaluators.items()},
        copies_blessing=copies.outputs["blessing"],
    )
    check = ServingValidator(model=assembler.outputs["model"], model_blessing=assembler.outputs["blessing"])
    pushable = {**trainers, "text_to_image": assembler}
    pushers = [
        pusher(name, node.outputs["model"], assembler.outputs["blessing"], check.outputs["blessing"], root)
        for name, node in pushable.items()
    ]
    return tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=str(root.pipeline),
        components=[*nodes, *galleries.values(), copies, assembler, check, *pushers],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root.metadata)),
        beam_pipeline_args=list(BEAM_ARGS),
    )


def trainer(
    name: str, data: BaseChannel, graph: BaseChannel, root: Root, config: RunConfig, base: BaseChannel | None
) -> BaseNode:
    """The Trainer of one model. Only the settings that it reads enter its cache key."""
    section = {"language_model": "language", "generator": "drawing", "restorer": "restoration"}[name]
    own = RunConfig(seed=config.seed, data=config.data, **{section: getattr(config, section)})
    return tfx.components.Trainer(
        run_fn=f"tfx_pipeline.trainers.train_{name}",
        examples=data,
        transform_graph=graph,
        base_model=base,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={"config": own.model_dump_json(), "checkpoints": str(root.checkpoints / name)},
    ).with_id(f"Trainer.{name}")


def latest_blessed(name: str) -> BaseNode:
    """The last blessed model of this name, which a new one is compared with."""
    return tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.Model, producer_component_id=f"Trainer.{name}", output_key="model"
        ),
        model_blessing=tfx.dsl.Channel(
            type=tfx.types.standard_artifacts.ModelBlessing,
            producer_component_id=f"Evaluator.{name}",
            output_key="blessing",
        ),
    ).with_id(f"Baseline.{name}")


def evaluator(name: str, examples: BaseChannel, model: BaseNode, baseline: BaseNode, config: RunConfig) -> BaseNode:
    """The Evaluator of one model, on the eval split."""
    return tfx.components.Evaluator(
        examples=examples,
        example_splits=["eval"],
        model=model.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(name, config.thresholds),
    ).with_id(f"Evaluator.{name}")


def eval_config(name: str, thresholds: Thresholds) -> tfma.EvalConfig:
    """What an Evaluator measures and what it demands."""
    output = PERPLEXITY_OUTPUT if name == "language_model" else PICTURES_OUTPUT
    return tfma.EvalConfig(
        # The label is a formality of TFMA: the signature gives the truth itself.
        model_specs=[tfma.ModelSpec(signature_name="evaluate", label_key="text", prediction_key=output)],
        slicing_specs=[tfma.SlicingSpec()],
        metrics_specs=[tfma.MetricsSpec(metrics=[metric(*row) for row in demands(name, thresholds)])],
    )


Demand = tuple[str, float | None, float | None, float | None]


def demands(name: str, thresholds: Thresholds) -> list[Demand]:
    """Rows of (metric, least value, most value, most loss against the last blessed model)."""
    t = thresholds
    if name == "language_model":
        return [
            ("perplexity", None, None, t.perplexity_rise),
            ("unigram_perplexity", None, None, None),
            ("perplexity_share", None, t.perplexity_share, None),
        ]
    least = {key.removeprefix(f"{name}_"): value for key, value in t.model_dump().items() if key.startswith(name)}
    return [
        ("psnr", least["psnr"], None, t.psnr_drop),
        ("ssim", least["ssim"], None, t.ssim_drop),
        ("psnr_gain", least["gain"], None, None),
        ("ssim_gain", None, None, None),
    ]


def metric(name: str, least: float | None, most: float | None, loss: float | None) -> tfma.MetricConfig:
    """One metric with its thresholds."""
    threshold: dict[str, Any] = {}
    if least is not None:
        threshold["value_threshold"] = tfma.GenericValueThreshold(lower_bound={"value": least})
    if most is not None:
        threshold["value_threshold"] = tfma.GenericValueThreshold(upper_bound={"value": most})
    if loss is not None:
        rising = name != "perplexity"
        threshold["change_threshold"] = tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER if rising else tfma.MetricDirection.LOWER_IS_BETTER,
            absolute={"value": -loss if rising else loss},
        )
    return tfma.MetricConfig(
        class_name="EaselMetric",
        module="tfx_pipeline.metrics",
        config=f'{{"name": "{name}"}}',
        threshold=tfma.MetricThreshold(**threshold) if threshold else None,
    )


def pusher(name: str, model: BaseChannel, blessing: BaseChannel, infra: BaseChannel, root: Root) -> BaseNode:
    """The Pusher of one model to `pushed/<name>/<version>/`."""
    base = root.pushed / name
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=str(base))
    return AtomicPusher(
        model=model,
        model_blessing=blessing,
        infra_blessing=infra,
        push_destination=tfx.proto.PushDestination(filesystem=filesystem),
        # Part of the cache key: a Pusher from the cache would leave a folder empty that someone has emptied.
        custom_config={"standing": sorted(path.name for path in base.glob("[0-9]*"))},
    ).with_id(f"Pusher.{name}")
