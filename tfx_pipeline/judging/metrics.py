"""The table of metrics, with their formulas and bounds; TensorFlow Model Analysis computes them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from models.evaluation import AGREEMENT, BASELINE, MEAN, WORDS
from models.metrics import psnr_in_graph, ssim_in_graph

Sums = Mapping[str, float]
"""The sums of the outputs of an `evaluate` signature over rows, by name."""


@dataclass(frozen=True)
class Metric:
    """A metric of models, computed on all examples and on each slice.

    Attributes:
        name: The name in reports for scripts and in TensorFlow Model Analysis.
        label: The name for people.
        formula: Computes the metric from sums over rows and the number of rows.
        unit: The unit, with a space before it.
        rises: Whether higher is better.
        measure: In the graph, the similarity of pictures to the real ones, from two uint8[b, s, s, 3] to float32[b]. It
            is an output, with this metric's name, of the `evaluate` signatures of picture models. None for metrics that
            are computed from other outputs.
        bound: The setting in `[thresholds]` with the worst value that is blessed; `{}` stands for the model's name.
        most_lost: The setting in `[thresholds]` with the largest allowed loss against the last blessed model.
        slice_bound: The setting in `[slices]` with the worst value allowed on any slice.
        warning: The warning of the verdict if the value is negative but not below a bound; empty for none.
    """

    name: str
    label: str
    formula: Callable[[Sums, int], float]
    unit: str = ""
    rises: bool = True
    measure: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    bound: str = ""
    most_lost: str = ""
    slice_bound: str = ""
    warning: str = ""


def mean(name: str) -> Callable[[Sums, int], float]:
    """The mean of an output."""
    return lambda sums, count: sums[name] / count


def gain(name: str, baseline: str = BASELINE) -> Callable[[Sums, int], float]:
    """The mean of an output minus that of a baseline, given by the prefix of its outputs."""
    return lambda sums, count: (sums[name] - sums[baseline + name]) / count


def perplexity(nats: str, baseline: str | None = None) -> Callable[[Sums, int], float]:
    """exp(nats per piece), divided by that of a baseline if one is given."""
    return lambda sums, _: float(np.exp((sums[nats] - (sums[baseline] if baseline else 0.0)) / sums["pieces"]))


OF_PICTURES = (
    Metric(
        "psnr",
        "PSNR",
        mean("psnr"),
        unit=" dB",
        measure=psnr_in_graph,
        bound="{}_psnr",
        most_lost="psnr_drop",
        slice_bound="{}_psnr",
    ),
    Metric(
        "ssim",
        "SSIM",
        mean("ssim"),
        measure=ssim_in_graph,
        bound="{}_ssim",
        most_lost="ssim_drop",
        slice_bound="{}_ssim",
    ),
    Metric("psnr_gain", "PSNR gain", gain("psnr"), unit=" dB", bound="{}_gain"),
    Metric("ssim_gain", "SSIM gain", gain("ssim")),
)
OF_DRAWINGS = (
    *OF_PICTURES,
    Metric(
        "psnr_over_mean",
        "PSNR above the mean picture",
        gain("psnr", MEAN),
        unit=" dB",
        bound="{}_over_mean",
        warning="the mean of all training pictures is nearer to the true pictures than the drawings are",
    ),
    Metric("ssim_over_mean", "SSIM above the mean picture", gain("ssim", MEAN)),
    Metric(
        "psnr_over_words",
        "PSNR above the words' mean picture",
        gain("psnr", WORDS),
        unit=" dB",
        bound="{}_over_words",
        warning="a linear model of word counts is nearer to the true pictures than the drawings are",
    ),
    Metric("ssim_over_words", "SSIM above the words' mean picture", gain("ssim", WORDS)),
    Metric(AGREEMENT, "caption agreement", mean(AGREEMENT), bound="{}_agreement"),
)
OF_TEXT = (
    Metric("perplexity", "perplexity", perplexity("model_nats"), rises=False),
    Metric("unigram_perplexity", "unigram perplexity", perplexity("unigram_nats"), rises=False),
    Metric(
        "perplexity_share",
        "perplexity share",
        perplexity("model_nats", "unigram_nats"),
        rises=False,
        bound="perplexity_share",
        most_lost="perplexity_share_rise",
        slice_bound="perplexity_share",
    ),
)
METRICS = {metric.name: metric for metric in (*OF_DRAWINGS, *OF_TEXT)}


@dataclass
class Total:
    """Sums by output, and the number of rows."""

    sums: Counter[str] = field(default_factory=Counter)
    count: int = 0


class _Total(beam.CombineFn):  # type: ignore[misc]
    """Adds up the rows of a metric."""

    def __init__(self, key: metric_types.MetricKey, metric: str, model_name: str) -> None:
        self.key = key
        self.metric = metric
        self.model_name = model_name

    def create_accumulator(self) -> Total:
        return Total()

    def add_input(self, total: Total, element: metric_types.StandardMetricInputs) -> Total:
        outputs = element.get_by_key("predictions", self.model_name)
        rows = {name: np.ravel(values).astype(np.float64) for name, values in outputs.items()}
        total.sums.update({name: float(values.sum()) for name, values in rows.items()})
        total.count += max(len(values) for values in rows.values())
        return total

    def merge_accumulators(self, totals: Iterable[Total]) -> Total:
        merged = Total()
        for total in totals:
            merged.sums.update(total.sums)
            merged.count += total.count
        return merged

    def extract_output(self, total: Total) -> dict[metric_types.MetricKey, float]:
        value = METRICS[self.metric].formula(total.sums, total.count) if total.count else float("nan")
        return {self.key: float(value)}


def _computations(metric: str) -> Callable[..., list[metric_types.MetricComputation]]:
    def computations(
        name: str,
        eval_config: EvalConfig | None = None,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
    ) -> list[metric_types.MetricComputation]:
        key = metric_types.MetricKey(
            name=name, model_name=model_name, output_name=output_name, example_weighted=example_weighted
        )
        combiner = _Total(key, metric, model_name)
        return [metric_types.MetricComputation([key], preprocessors=None, combiner=combiner)]

    return computations


class EaselMetric(metric_types.Metric):  # type: ignore[misc]
    """One of `METRICS`, by its name."""

    def __init__(self, name: str = "psnr") -> None:
        computations = metric_util.merge_per_key_computations(_computations(METRICS[name].name))
        super().__init__(computations, name=name)

    def get_config(self) -> dict[str, Any]:
        """The name."""
        return {"name": self.name}


metric_types.register_metric(EaselMetric)
