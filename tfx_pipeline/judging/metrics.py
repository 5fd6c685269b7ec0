"""PSNR, SSIM and perplexity as metrics of TensorFlow Model Analysis."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

Sums = NDArray[np.float64]
# What a row of a picture model holds, and what one of a language model holds.
PSNR, SSIM, BASELINE_PSNR, BASELINE_SSIM = range(4)
MODEL_NATS, UNIGRAM_NATS, PIECES = range(3)


@dataclass(frozen=True)
class Total:
    """Sums of the columns of the rows that an `evaluate` signature gives, and the number of rows."""

    sums: Sums | float = 0.0
    count: int = 0


Measure = Callable[[Sums, int], float]


def mean_of(column: int, baseline: int | None = None) -> Measure:
    """The mean of a column, less that of a baseline column where one is given."""
    return lambda sums, count: float(sums[column] - (0 if baseline is None else sums[baseline])) / count


def exp_of(column: int, baseline: int | None = None) -> Measure:
    """exp(nats per piece) of a column, over that of a baseline column where one is given."""
    return lambda sums, _: float(np.exp((sums[column] - (0 if baseline is None else sums[baseline])) / sums[PIECES]))


MEASURES = {
    "psnr": mean_of(PSNR),
    "ssim": mean_of(SSIM),
    "psnr_gain": mean_of(PSNR, BASELINE_PSNR),
    "ssim_gain": mean_of(SSIM, BASELINE_SSIM),
    "perplexity": exp_of(MODEL_NATS),
    "unigram_perplexity": exp_of(UNIGRAM_NATS),
    "perplexity_share": exp_of(MODEL_NATS, UNIGRAM_NATS),
}


class _Total(beam.CombineFn):  # type: ignore[misc]
    """Adds up the rows of a measure."""

    def __init__(self, key: metric_types.MetricKey, measure: Measure, names: dict[str, Any]) -> None:
        self.key = key
        self.measure = measure
        self.names = names

    def create_accumulator(self) -> Total:
        return Total()

    def add_input(self, total: Total, element: metric_types.StandardMetricInputs) -> Total:
        triples = metric_util.to_label_prediction_example_weight(
            element, **self.names, flatten=False, squeeze=False, allow_none=True
        )
        for _, prediction, _ in triples:
            rows = np.atleast_2d(np.asarray(prediction, np.float64))
            total = Total(total.sums + rows.sum(axis=0), total.count + len(rows))
        return total

    def merge_accumulators(self, totals: Iterable[Total]) -> Total:
        merged = Total()
        for total in totals:
            merged = Total(merged.sums + total.sums, merged.count + total.count)
        return merged

    def extract_output(self, total: Total) -> dict[metric_types.MetricKey, float]:
        return {self.key: self.measure(np.asarray(total.sums), total.count) if total.count else float("nan")}


def _computations(measure: Measure) -> Callable[..., list[metric_types.MetricComputation]]:
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
        names = {"eval_config": eval_config, "model_name": model_name, "output_name": output_name}
        return [metric_types.MetricComputation([key], preprocessors=None, combiner=_Total(key, measure, names))]

    return computations


class EaselMetric(metric_types.Metric):  # type: ignore[misc]
    """One of `MEASURES`, by its name."""

    def __init__(self, name: str = "psnr") -> None:
        computations = metric_util.merge_per_key_computations(_computations(MEASURES[name]))
        super().__init__(computations, name=name)

    def get_config(self) -> dict[str, Any]:
        """The name alone."""
        return {"name": self.name}


metric_types.register_metric(EaselMetric)
