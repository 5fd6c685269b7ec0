"""The figures of a report: metrics and their thresholds, training curves, time and memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_model_analysis as tfma
from markupsafe import Markup
from tensorflow_model_analysis.proto import config_pb2 as pb

from tfx_pipeline.judging.evaluations import load_evaluation
from tfx_pipeline.judging.verdict import label, number
from tfx_pipeline.kinds import KINDS
from tfx_pipeline.report import plots
from tfx_pipeline.runs.history import Run


class Row(NamedTuple):
    """One metric of one slice, as text: of this run's model, of the last blessed one, and its threshold."""

    slice: str
    metric: str
    candidate: str
    baseline: str
    demanded: str


class Table(NamedTuple):
    """The results of an Evaluator."""

    model: str
    rows: list[Row]


def tables(run: Run) -> list[Table]:
    """The metrics of all models by slice, compared with those of the last blessed models."""
    evaluations = {name: run.output(f"Evaluator.{name}", "evaluation") for name in KINDS}
    return [Table(name, list(rows(str(uri)))) for name, uri in evaluations.items() if uri]


def rows(evaluation: str) -> Iterator[Row]:
    """The rows of one evaluation, the overall ones first."""
    candidate, baseline = (by_slice(evaluation, name) for name in ("", tfma.BASELINE_KEY))
    config = load_evaluation(evaluation).config
    demanded = {metric_name(metric): demand(metric) for spec in config.metrics_specs for metric in spec.metrics}
    for key in sorted(candidate, key=lambda key: (len(key), str(key))):
        for name, value in candidate[key].items():
            before = baseline.get(key, {}).get(name)
            yield Row(
                slice=" and ".join(f"{column} {value}" for column, value in key) or "all",
                metric=label(name),
                candidate=number(name, value),
                baseline="" if before is None else number(name, before),
                demanded="" if key else demanded.get(name, ""),
            )


def by_slice(evaluation: str, model: str) -> dict[tuple[Any, ...], dict[str, float]]:
    """The metrics of a model by slice and name; empty if there was no such model.

    TFMA's own differences are left out, because the report shows both models side by side.
    """
    slices = load_evaluation(evaluation, model).slicing_metrics
    return {
        key: {
            name: value["doubleValue"]
            for name, value in sorted(metrics.items())
            if "doubleValue" in value and not name.endswith("_diff")
        }
        for key, outputs in slices
        for metrics in [outputs.get("", {}).get("", {})]
    }


def metric_name(metric: pb.MetricConfig) -> str:
    """The name of a metric in its config."""
    return str(json.loads(metric.config)["name"])


def demand(metric: pb.MetricConfig) -> str:
    """The threshold of a metric, as text."""
    name, bounds = metric_name(metric), held_against_everything(metric)
    value, change = bounds.value_threshold, bounds.change_threshold
    bounds_in_words = []
    if value.HasField("lower_bound"):
        bounds_in_words.append(f"at least {number(name, value.lower_bound.value)}")
    if value.HasField("upper_bound"):
        bounds_in_words.append(f"at most {number(name, value.upper_bound.value)}")
    if change.HasField("absolute"):
        bounds_in_words.append(f"at most {number(name, abs(change.absolute.value))} worse")
    return ", ".join(bounds_in_words)


def held_against_everything(metric: pb.MetricConfig) -> pb.MetricThreshold:
    """The thresholds of a metric that apply to no slice."""
    for held in metric.per_slice_thresholds:
        if not any(spec.feature_keys or spec.feature_values for spec in held.slicing_specs):
            return held.threshold
    return metric.threshold


class Timed(NamedTuple):
    """A step with its time as a share of the longest step's, 0..1, and its peak memory in MiB, if known."""

    name: str
    state: str
    seconds: float
    share: float
    memory: float | None


def steps(run: Run, memory: dict[str, float]) -> list[Timed]:
    """Time and memory by step, without the steps that look up the last blessed models."""
    timed = [step for step in run.steps if not step.name.startswith("Baseline.")]
    longest = max((step.seconds for step in timed), default=0.0) or 1.0
    return [Timed(step.name, step.state, step.seconds, step.seconds / longest, memory.get(step.name)) for step in timed]


class Curve(NamedTuple):
    """One quantity of one phase of training."""

    phase: str
    measure: str
    last: float
    plot: Markup


def curves(run: Run) -> list[Curve]:
    """The curves of all trainings."""
    return [curve for name in KINDS for curve in curves_of(run.output(f"Trainer.{name}", "model_run"))]


def curves_of(run_dir: Path | None) -> Iterator[Curve]:
    """The curves of one training, from its `metrics.jsonl`."""
    files = run_dir.glob("metrics.jsonl") if run_dir else []
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    for phase in dict.fromkeys(line["phase"] for line in lines):
        own = [line for line in lines if line["phase"] == phase]
        for measure in own[0].keys() - {"phase", "step"}:
            values = [line[measure] for line in own]
            yield Curve(phase, measure, values[-1], plots.curve([line["step"] for line in own], values))
