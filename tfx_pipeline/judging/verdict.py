"""The verdict on a model: whether it was blessed, and why, with the Evaluator's numbers."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow_model_analysis as tfma

from tfx_pipeline.judging.evaluations import OVERALL, load_validation, metrics_by_slice, slice_name
from tfx_pipeline.judging.metrics import METRICS
from tfx_pipeline.runs.history import Run

CHANGE = "_diff"
"""Suffix of TFMA's names for the difference of a metric from the last blessed model's."""
CLEANED = "its metrics were deleted by `easel runs clean`"


@dataclass(frozen=True)
class Verdict:
    """An Evaluator's verdict on one model.

    Attributes:
        model: The name of the model.
        blessed: Whether it may be pushed.
        metrics: The metrics by name, with their differences from the last blessed model if there is one.
        refusals: One clause with both numbers for each threshold that the model misses.
        slices: The metrics of each slice, including `all`.
        warnings: One clause for each baseline that beats the model without being a reason to refuse it.
    """

    model: str
    blessed: bool
    metrics: dict[str, float]
    refusals: tuple[str, ...]
    slices: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, with a sentence for each warning."""
        return "".join([self.outcome, *(f". Warning: {warning}" for warning in self.warnings)])

    @property
    def outcome(self) -> str:
        """Whether the model is blessed, with the numbers that decided."""
        if not self.blessed:
            return f"{self.model} not blessed: {'; '.join(self.refusals)}"
        values = ", ".join(shown(name, value) + self.change(name) for name, value in self.measured.items()) or CLEANED
        beside = "; in brackets: against the last blessed model" if len(self.measured) < len(self.metrics) else ""
        return f"{self.model} blessed: {values}{beside}"

    @property
    def measured(self) -> dict[str, float]:
        """The metrics of this model, without differences from another."""
        return {name: value for name, value in self.metrics.items() if not name.endswith(CHANGE)}

    def change(self, name: str) -> str:
        """The difference of a metric from the last blessed model's, in brackets; empty if there is none."""
        value = self.metrics.get(name + CHANGE)
        return "" if value is None else f" ({round(value, 2) + 0.0:+.2f})"


def verdicts(run: Run) -> list[Verdict]:
    """The verdicts of the Evaluators of a run that have finished."""
    return [reached for name in run.judged if (reached := verdict(run, name)) is not None]


def verdict(run: Run, model: str) -> Verdict | None:
    """The verdict on one model, without numbers if these were removed; None if its Evaluator did not finish."""
    step = run.step(f"Evaluator.{model}")
    outputs = {artifact.name: artifact for artifact in step.outputs} if step else {}
    if "blessing" not in outputs or "evaluation" not in outputs:
        return None
    evaluation = outputs["evaluation"].uri
    if not Path(evaluation).is_dir():
        blessed = outputs["blessing"].properties.get("blessed") == 1
        return Verdict(model, blessed, {}, () if blessed else (CLEANED,))
    result = load_validation(evaluation)
    failures = [(failure, where(item)) for item in result.metric_validations_per_slice for failure in item.failures]
    refusals = tuple(f"{clause(failure)}{of_slice}" for failure, of_slice in failures)
    slices = metrics_by_slice(evaluation)
    warned = warnings(slices[OVERALL], refused={failure.metric_key.name for failure, _ in failures})
    return Verdict(model, bool(result.validation_ok), slices[OVERALL], refusals, slices, warned)


def warnings(metrics: Mapping[str, float], *, refused: Collection[str] = ()) -> tuple[str, ...]:
    """The warnings about baselines that are better than the model, except for metrics in `refused`."""
    return tuple(
        f"{metric.warning} ({shown(metric.name, metrics[metric.name])})"
        for metric in METRICS.values()
        if metric.warning and metric.name not in refused and metrics.get(metric.name, 0) < 0
    )


def refusal(run: Run, judged: list[Verdict]) -> str:
    """Why nothing was pushed, as one sentence; empty if everything was."""
    missed = [verdict.outcome for verdict in judged if not verdict.blessed]
    if copied := copying(run):
        missed.append(copied)
    if missed:
        return "; ".join(missed)
    check = run.step("ServingValidator")
    if check and check.outputs and check.outputs[0].properties.get("blessed") != 1:
        return f"the serving check failed: {check.outputs[0].properties.get('reason', 'it gave no reason')}"
    return ""


def copying(run: Run) -> str:
    """Why a model's drawings count as copies, as a clause; empty if they do not, or were not checked."""
    step = run.step("CopyCheck")
    refused = (
        [artifact.properties for artifact in step.outputs if artifact.properties.get("blessed") == 0] if step else []
    )
    if not refused:
        return ""
    share, most = with_enough_digits("share of copies", refused[0]["share"] - refused[0]["usual"], refused[0]["most"])
    return f"{refused[0].get('model', 'a model')} not blessed: {share} > {most}"


def where(validation: Any) -> str:
    """The slice of a validation, such as ` where language=zh`; empty for all examples."""
    keys = ((key.column, key.bytes_value.decode()) for key in validation.slice_key.single_slice_keys)
    name = slice_name(tuple(keys))
    return "" if name == OVERALL else f" where {name}"


def clause(failure: Any) -> str:
    """One missed threshold, such as `SSIM 0.61 < 0.70`."""
    name, value = failure.metric_key.name, failure.metric_value.double_value.value
    return "; ".join(bounds(name, value, failure.metric_threshold))


def bounds(name: str, value: float, threshold: Any) -> Iterator[str]:
    """Each bound of a threshold that the value violates."""
    kind = threshold.value_threshold
    if kind.HasField("lower_bound") and not value >= kind.lower_bound.value:
        yield " < ".join(with_enough_digits(name, value, kind.lower_bound.value))
    if kind.HasField("upper_bound") and not value <= kind.upper_bound.value:
        yield " > ".join(with_enough_digits(name, value, kind.upper_bound.value))
    if threshold.HasField("change_threshold"):
        change = threshold.change_threshold
        side = "<" if change.direction == tfma.MetricDirection.HIGHER_IS_BETTER else ">"
        lost, allowed = with_enough_digits(name, value, change.absolute.value)
        yield f"{lost} against the last blessed model {side} {allowed}"


def with_enough_digits(name: str, value: float, bound: float) -> tuple[str, str]:
    """A metric with its value, and the bound, with enough digits to make them different."""
    digits = next((n for n in range(2, 9) if f"{value:.{n}f}" != f"{bound:.{n}f}"), 2)
    return shown(name, value, digits), number(name, bound, digits)


def shown(name: str, value: float, digits: int = 2) -> str:
    """A metric with its value and unit."""
    return f"{label(name)} {number(name, value, digits)}"


def label(name: str) -> str:
    """A metric's name for people."""
    return METRICS[name].label if name in METRICS else name


def number(name: str, value: float, digits: int = 2) -> str:
    """A value with its unit; 0.0 is added so that no zero is negative."""
    unit = METRICS[name].unit if name in METRICS else ""
    return f"{round(value, digits) + 0.0:.{digits}f}{unit}"
