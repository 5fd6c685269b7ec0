"""What the Evaluators measure, and what a model must reach to be blessed."""

from collections.abc import Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2 as pb

from models.evaluation import FIGURES_OUTPUT, NATS_OUTPUT
from tfx_pipeline.config import Slices, Thresholds
from tfx_pipeline.ingesting.slices import Slice

SLICES = Slices()


def eval_config(
    name: str, thresholds: Thresholds, worst: Slices = SLICES, slices: Sequence[Slice] = ()
) -> pb.EvalConfig:
    """What an Evaluator measures and what it demands, of everything and of each slice."""
    output = NATS_OUTPUT if name == "language_model" else FIGURES_OUTPUT
    parts = [pb.SlicingSpec(feature_values={feature: value}) for feature, value in slices]
    bounds = slice_demands(name, worst)
    return pb.EvalConfig(
        # The label is a formality of TFMA: the signature gives the truth itself.
        model_specs=[pb.ModelSpec(signature_name="evaluate", label_key="text", prediction_key=output)],
        slicing_specs=[pb.SlicingSpec(), *parts],
        metrics_specs=[
            pb.MetricsSpec(
                metrics=[metric(row, bounds.get(row[0]), parts) for row in demands(name, thresholds)],
            )
        ],
    )


Demand = tuple[str, float | None, float | None, float | None]


def demands(name: str, thresholds: Thresholds) -> list[Demand]:
    """Rows of (metric, least value, most value, most loss against the last blessed model)."""
    t = thresholds
    if name == "language_model":
        return [
            ("perplexity", None, None, None),
            ("unigram_perplexity", None, None, None),
            ("perplexity_share", None, t.perplexity_share, t.perplexity_share_rise),
        ]
    least = {key.removeprefix(f"{name}_"): value for key, value in t.model_dump().items() if key.startswith(name)}
    return [
        ("psnr", least["psnr"], None, t.psnr_drop),
        ("ssim", least["ssim"], None, t.ssim_drop),
        ("psnr_gain", least["gain"], None, None),
        ("ssim_gain", None, None, None),
    ]


def slice_demands(name: str, worst: Slices) -> dict[str, float]:
    """Bounds of the worst slice by metric, as far as there are any: the least, of a perplexity the most."""
    if name == "language_model":
        found = {"perplexity_share": worst.perplexity_share}
    else:
        found = {key: getattr(worst, f"{name}_{key}") for key in ("psnr", "ssim")}
    return {key: value for key, value in found.items() if value is not None}


def metric(row: Demand, worst: float | None, parts: Sequence[pb.SlicingSpec]) -> pb.MetricConfig:
    """One metric with its thresholds: on everything, and on each part."""
    name, least, most, loss = row
    threshold, rising = bounded(least, most), not name.startswith("perplexity")
    if loss is not None:
        threshold["change_threshold"] = pb.GenericChangeThreshold(
            direction=pb.MetricDirection.HIGHER_IS_BETTER if rising else pb.MetricDirection.LOWER_IS_BETTER,
            absolute={"value": -loss if rising else loss},
        )
    # TFMA holds a plain `threshold` against every slice.
    held = [([pb.SlicingSpec()], threshold)]
    if worst is not None and parts:
        held.append((list(parts), bounded(worst, None) if rising else bounded(None, worst)))
    return pb.MetricConfig(
        class_name="EaselMetric",
        module="tfx_pipeline.judging.metrics",
        config=f'{{"name": "{name}"}}',
        per_slice_thresholds=[
            pb.PerSliceMetricThreshold(slicing_specs=specs, threshold=pb.MetricThreshold(**bounds))
            for specs, bounds in held
            if bounds
        ],
    )


def bounded(least: float | None, most: float | None) -> dict[str, Any]:
    """A threshold's fields for the least or the most value, if there is one."""
    if least is not None:
        return {"value_threshold": pb.GenericValueThreshold(lower_bound={"value": least})}
    return {} if most is None else {"value_threshold": pb.GenericValueThreshold(upper_bound={"value": most})}
