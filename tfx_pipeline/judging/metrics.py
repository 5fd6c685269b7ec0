"""PSNR, SSIM and perplexity as metrics of TensorFlow Model Analysis."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray
from tensorflow_model_analysis.metrics import metric_types, metric_util
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from models.metrics import psnr, ssim

Rows = NDArray[Any]
BATCH = 64
CANDIDATE, BASELINE, TRUTH = range(3)
MODEL_NATS, UNIGRAM_NATS, PIECES = range(3)


@dataclass
class Total:
    """Sums over rows so far, and rows still to be measured."""

    sums: Rows = field(default_factory=lambda: np.zeros(()))
    count: int = 0
    waiting: list[Rows] = field(default_factory=list)


class Measure(NamedTuple):
    """How a metric is computed from what an `evaluate` signature gives.

    Attributes:
        row_rank: Rank of one example's row: 1 for (nats, unigram nats, pieces), 4 for (3, height, width, 3) pictures.
        columns: From a batch of rows to float64[n, k], whose columns are added up.
        finish: From the k sums and the number of rows to the metric.
    """

    row_rank: int
    columns: Callable[[Rows], Rows]
    finish: Callable[[Rows, int], float]


def mean_of(measure: Callable[[Rows], Rows]) -> Measure:
    """The mean over pictures of one number a picture."""
    return Measure(4, lambda rows: measure(rows)[:, None], lambda sums, count: float(sums[0] / count))


def exp_of(column: int, baseline: int | None = None) -> Measure:
    """exp(nats per piece) of a column, over that of a baseline column where one is given."""

    def finish(sums: Rows, count: int) -> float:
        nats = sums[column] - (0 if baseline is None else sums[baseline])
        return float(np.exp(nats / sums[PIECES]))

    return Measure(1, lambda rows: rows, finish)


MEASURES = {
    "psnr": mean_of(lambda rows: psnr(rows[:, CANDIDATE], rows[:, TRUTH])),
    "ssim": mean_of(lambda rows: ssim(rows[:, CANDIDATE], rows[:, TRUTH])),
    "psnr_gain": mean_of(
        lambda rows: psnr(rows[:, CANDIDATE], rows[:, TRUTH]) - psnr(rows[:, BASELINE], rows[:, TRUTH])
    ),
    "ssim_gain": mean_of(
        lambda rows: ssim(rows[:, CANDIDATE], rows[:, TRUTH]) - ssim(rows[:, BASELINE], rows[:, TRUTH])
    ),
    "perplexity": exp_of(MODEL_NATS),
    "unigram_perplexity": exp_of(UNIGRAM_NATS),
    "perplexity_share": exp_of(MODEL_NATS, UNIGRAM_NATS),
}


class _Total(beam.CombineFn):  # type: ignore[misc]
    """Adds up a measure; rows wait until there is a batch of them, since TFMA hands them over one by one."""

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
            rows = np.asarray(prediction)
            total.waiting.extend(rows.reshape(-1, *rows.shape[rows.ndim - self.measure.row_rank :]))
        return self.compact(total) if len(total.waiting) >= BATCH else total

    def merge_accumulators(self, totals: Iterable[Total]) -> Total:
        merged = Total()
        for total in map(self.compact, totals):
            merged = Total(merged.sums + total.sums, merged.count + total.count)
        return merged

    def compact(self, total: Total) -> Total:
        if not total.waiting:
            return total
        columns = self.measure.columns(np.stack(total.waiting))
        return Total(total.sums + columns.sum(axis=0, dtype=np.float64), total.count + len(columns))

    def extract_output(self, total: Total) -> dict[metric_types.MetricKey, float]:
        total = self.compact(total)
        return {self.key: self.measure.finish(total.sums, total.count) if total.count else float("nan")}


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
