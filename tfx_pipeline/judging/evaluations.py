"""Reading the output of an Evaluator."""

from contextlib import chdir

import tensorflow_model_analysis as tfma

OVERALL = "all"


def metrics_by_slice(evaluation: str) -> dict[str, dict[str, float]]:
    """The candidate's metrics by slice, such as `language=en`, with `all` first, and by name.

    Args:
        evaluation: The folder of a ModelEvaluation.
    """
    result = load_evaluation(evaluation)
    reported = {slice_name(key): result.get_metrics_for_slice(key) or {} for key, _ in result.slicing_metrics}
    by_slice = {
        name: {metric: value["doubleValue"] for metric, value in sorted(values.items()) if "doubleValue" in value}
        for name, values in sorted(reported.items())
    }
    return {OVERALL: by_slice.pop(OVERALL, {})} | {name: values for name, values in by_slice.items() if values}


def load_evaluation(evaluation: str, model: str = "") -> tfma.EvalResult:
    """The metrics of a model: of the candidate, or of the baseline with `tfma.BASELINE_KEY`."""
    # From inside the folder, because TFMA reads brackets and asterisks in a path as a pattern.
    with chdir(evaluation):
        return tfma.load_eval_result(".", model_name=model)


def load_validation(evaluation: str) -> tfma.ValidationResult:
    """The result of the comparison of the candidate with the thresholds."""
    with chdir(evaluation):
        return tfma.load_validation_result(".")


def slice_name(key: tuple[tuple[str, str], ...]) -> str:
    """A TFMA slice key as `feature=value`, or `all`."""
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL
