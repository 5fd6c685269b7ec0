"""The configuration of the Evaluators: metrics, and the thresholds for a blessing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorflow_model_analysis.proto import config_pb2 as pb

from tfx_pipeline.config import Slices, Thresholds
from tfx_pipeline.ingesting.slices import Slice
from tfx_pipeline.judging.metrics import Metric

SLICES = Slices()


class Demand(NamedTuple):
    """The thresholds of one metric of a model; None for no threshold.

    Attributes:
        bound: The worst value allowed on all examples.
        most_lost: The largest allowed loss against the last blessed model.
        slice_bound: The worst value allowed on any slice.
    """

    bound: float | None
    most_lost: float | None
    slice_bound: float | None


def demanded(metric: Metric, model: str, thresholds: Thresholds, worst: Slices = SLICES) -> Demand:
    """The thresholds of a metric of a model in the settings."""
    return Demand(
        setting(thresholds, metric.bound, model),
        setting(thresholds, metric.most_lost, model),
        setting(worst, metric.slice_bound, model),
    )


def setting(section: Thresholds | Slices, name: str, model: str) -> float | None:
    """The value of a metric's setting; None if the metric has no such setting."""
    return getattr(section, name.format(model)) if name else None


def eval_config(
    model: str,
    metrics: Sequence[Metric],
    thresholds: Thresholds,
    worst: Slices = SLICES,
    slices: Sequence[Slice] = (),
) -> pb.EvalConfig:
    """The metrics and thresholds of an Evaluator, for all examples and for each slice."""
    parts = [pb.SlicingSpec(feature_values={feature: value}) for feature, value in slices]
    return pb.EvalConfig(
        # TFMA requires a label key, but the signature computes the metrics itself.
        model_specs=[pb.ModelSpec(signature_name="evaluate", label_key="text")],
        slicing_specs=[pb.SlicingSpec(), *parts],
        metrics_specs=[
            pb.MetricsSpec(
                metrics=[metric_config(metric, demanded(metric, model, thresholds, worst), parts) for metric in metrics]
            )
        ],
    )


def metric_config(metric: Metric, demand: Demand, parts: Sequence[pb.SlicingSpec]) -> pb.MetricConfig:
    """One metric with its thresholds, for all examples and for each part."""
    threshold = bounded(metric, demand.bound)
    if demand.most_lost is not None:
        threshold["change_threshold"] = pb.GenericChangeThreshold(
            direction=pb.MetricDirection.HIGHER_IS_BETTER if metric.rises else pb.MetricDirection.LOWER_IS_BETTER,
            absolute={"value": -demand.most_lost if metric.rises else demand.most_lost},
        )
    # TFMA applies a plain `threshold` to every slice.
    held = [([pb.SlicingSpec()], threshold), (list(parts), bounded(metric, demand.slice_bound))]
    return pb.MetricConfig(
        class_name="EaselMetric",
        module="tfx_pipeline.judging.metrics",
        config=f'{{"name": "{metric.name}"}}',
        per_slice_thresholds=[
            pb.PerSliceMetricThreshold(slicing_specs=specs, threshold=pb.MetricThreshold(**bounds))
            for specs, bounds in held
            if specs and bounds
        ],
    )


def bounded(metric: Metric, bound: float | None) -> dict[str, Any]:
    """The fields of a threshold for the worst value; empty if there is none."""
    if bound is None:
        return {}
    side = "lower_bound" if metric.rises else "upper_bound"
    return {"value_threshold": pb.GenericValueThreshold(**{side: {"value": bound}})}
