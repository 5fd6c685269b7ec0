from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.evaluators.metrics_validator import validate_metrics
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from tfx_pipeline.config import RunConfig, Thresholds
from tfx_pipeline.judging.thresholds import demanded
from tfx_pipeline.judging.verdict import Verdict, clause, verdict, verdicts
from tfx_pipeline.kinds import KINDS
from tfx_pipeline.runs.history import Artifact, Run, Step

LENIENT = {"restorer_psnr": 0, "restorer_ssim": -1, "restorer_gain": -100}
GOOD = {"psnr": 20.0, "ssim": 0.8, "psnr_gain": 4.0, "ssim_gain": 0.1}


def with_baseline(config: EvalConfig) -> EvalConfig:
    """The config as TFX hands it to TFMA when there is a last blessed model."""
    return tfma.utils.update_eval_config_with_defaults(config, has_baseline=True, rubber_stamp=False)


def validated(model: str, metrics: dict[str, float], changes: dict[str, float], **thresholds: float) -> Any:
    """TFMA's own verdict on these values, and on these differences from the last blessed model."""
    config = with_baseline(KINDS[model].eval_config(RunConfig(thresholds=Thresholds(**thresholds)), ()))
    values = {metric_types.MetricKey(name, model_name="candidate"): value for name, value in metrics.items()}
    values |= {
        metric_types.MetricKey(name, model_name="candidate", is_diff=True): value for name, value in changes.items()
    }
    return validate_metrics(((), values), config)


def refusals(model: str, metrics: dict[str, float], changes: dict[str, float], **thresholds: float) -> list[str]:
    result = validated(model, metrics, changes, **thresholds)
    found = [clause(failure) for item in result.metric_validations_per_slice for failure in item.failures]
    return [text for text in found if text]


@pytest.mark.parametrize(
    ("metrics", "thresholds", "told"),
    [
        ({"ssim": 0.61}, {"restorer_ssim": 0.7}, ["SSIM 0.61 < 0.70"]),
        ({"psnr": 17.5}, {"restorer_psnr": 18}, ["PSNR 17.50 dB < 18.00 dB"]),
        ({"psnr_gain": 2.5}, {"restorer_gain": 3}, ["PSNR gain 2.50 dB < 3.00 dB"]),
        ({"psnr": float("nan")}, {"restorer_psnr": 18}, ["PSNR nan dB < 18.00 dB"]),
        ({"ssim": 0.7}, {"restorer_ssim": 0.7}, []),
    ],
)
def test_a_value_below_its_bound_is_told_with_both_numbers(
    metrics: dict[str, float], thresholds: dict[str, float], told: list[str]
) -> None:
    changes = {"psnr": 0.0, "ssim": 0.0}
    assert refusals("restorer", GOOD | metrics, changes, **LENIENT | thresholds) == told


def test_a_value_above_its_bound_is_told_with_both_numbers() -> None:
    metrics = {"perplexity": 9.0, "unigram_perplexity": 15.0, "perplexity_share": 0.6}
    assert refusals("language_model", metrics, {"perplexity_share": 0.0}, perplexity_share=0.5) == [
        "perplexity share 0.60 > 0.50"
    ]


@pytest.mark.parametrize(
    ("value", "told"), [(0.6999, "SSIM 0.6999 < 0.7000"), (0.699, "SSIM 0.699 < 0.700"), (0.5, "SSIM 0.50 < 0.70")]
)
def test_two_numbers_that_differ_look_different(value: float, told: str) -> None:
    changes = {"psnr": 0.0, "ssim": 0.0}
    assert refusals("restorer", GOOD | {"ssim": value}, changes, **LENIENT | {"restorer_ssim": 0.7}) == [told]


@pytest.mark.parametrize(
    ("change", "drop", "told"),
    [
        (-1.5, 1.0, ["PSNR -1.50 dB against the last blessed model < -1.00 dB"]),
        (-0.5, 0.0, ["PSNR -0.50 dB against the last blessed model < 0.00 dB"]),
        (-0.5, 1.0, []),
        (3.0, 1.0, []),
    ],
)
def test_a_loss_against_the_last_model_is_told_with_both_numbers(change: float, drop: float, told: list[str]) -> None:
    changes = {"psnr": change, "ssim": 0.0}
    assert refusals("restorer", GOOD, changes, **LENIENT, psnr_drop=drop) == told


@pytest.mark.parametrize(
    ("change", "rise", "told"),
    [
        (0.25, 0.2, ["perplexity share 0.25 against the last blessed model > 0.20"]),
        (0.05, 0.0, ["perplexity share 0.05 against the last blessed model > 0.00"]),
        (-0.3, 0.2, []),
    ],
)
def test_a_rise_against_the_last_model_is_told_with_both_numbers(change: float, rise: float, told: list[str]) -> None:
    metrics = {"perplexity": 9.0, "unigram_perplexity": 90.0, "perplexity_share": 0.1}
    assert refusals("language_model", metrics, {"perplexity_share": change}, perplexity_share_rise=rise) == told


def test_every_missed_bound_is_told() -> None:
    metrics = {"psnr": 5.0, "ssim": 0.0, "psnr_gain": 0.0, "psnr_over_mean": -1.0}
    told = refusals("generator", metrics, {"psnr": -9.0, "ssim": 0.0})
    assert sorted(told) == [
        "PSNR -9.00 dB against the last blessed model < -1.00 dB",
        "PSNR 5.00 dB < 8.00 dB",
        "PSNR above the mean picture -1.00 dB < 0.10 dB",
        "PSNR gain 0.00 dB < 0.10 dB",
        "SSIM 0.00 < 0.02",
    ]


@pytest.mark.parametrize("model", KINDS)
def test_what_meets_every_demand_is_blessed(model: str) -> None:
    most = {"perplexity": 1.0, "unigram_perplexity": 50.0, "perplexity_share": 0.01, "psnr": 40.0, "psnr_gain": 20.0}
    demands = {metric.name: demanded(metric, model, Thresholds()) for metric in KINDS[model].metrics}
    metrics = {name: most.get(name, 0.9) for name in demands}
    changes = {name: 0.0 for name, demand in demands.items() if demand.most_lost is not None}
    result = validated(model, metrics, changes)
    assert result.validation_ok
    assert refusals(model, metrics, changes) == []


def test_a_refusal_is_one_line() -> None:
    told = Verdict("restorer", False, {"ssim": 0.61}, ("SSIM 0.61 < 0.70", "PSNR 17.50 dB < 18.00 dB"))
    assert str(told) == "restorer not blessed: SSIM 0.61 < 0.70; PSNR 17.50 dB < 18.00 dB"


def test_a_blessing_tells_what_was_measured() -> None:
    told = Verdict("generator", True, {"psnr": 12.345, "ssim_gain": 0.1, "perplexity_share": 0.5}, ())
    assert str(told) == "generator blessed: PSNR 12.35 dB, SSIM gain 0.10, perplexity share 0.50"


@pytest.mark.parametrize(
    ("blessed", "outcome"), [(True, "blessed: PSNR 9.00 dB"), (False, "not blessed: SSIM too low")]
)
def test_a_verdict_ends_with_a_sentence_for_each_warning(blessed: bool, outcome: str) -> None:
    told = Verdict("generator", blessed, {"psnr": 9.0}, ("SSIM too low",), warnings=("one", "two"))
    assert str(told) == f"generator {outcome}. Warning: one. Warning: two"


def test_a_blessing_tells_how_far_it_is_from_the_last_one() -> None:
    metrics = {"psnr": 12.345, "psnr_diff": -0.001, "ssim": 0.5, "ssim_diff": 0.25, "ssim_gain": 0.1}
    told = Verdict("generator", True, metrics, ())
    assert str(told) == (
        "generator blessed: PSNR 12.35 dB (+0.00), SSIM 0.50 (+0.25), SSIM gain 0.10; "
        "in brackets: against the last blessed model"
    )
    assert told.measured == {"psnr": 12.345, "ssim": 0.5, "ssim_gain": 0.1}


def test_a_run_without_evaluators_has_no_verdicts() -> None:
    run = Run("2026-01-01T00:00:00", ())
    assert verdict(run, "generator") is None
    assert verdicts(run) == []


@pytest.mark.parametrize(("value", "told"), [(1, "blessed"), (0, "not blessed")])
def test_a_verdict_outlives_its_numbers(tmp_path: Path, value: int, told: str) -> None:
    outputs = (
        Artifact("evaluation", "ModelEvaluation", str(tmp_path / "removed"), {}),
        Artifact("blessing", "ModelBlessing", str(tmp_path / "blessing"), {"blessed": value}),
    )
    found = verdict(Run("2026", (Step("Evaluator.restorer", "ran", 1.0, {}, outputs),)), "restorer")
    assert str(found) == f"restorer {told}: its metrics were deleted by `easel runs clean`"
