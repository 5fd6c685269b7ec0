"""What an Evaluator measured, read from where it wrote it."""

import tensorflow_model_analysis as tfma

OVERALL = "all"


def metrics_by_slice(evaluation: str) -> dict[str, dict[str, float]]:
    """The candidate's metrics: by slice, such as `language=en`, with `all` first; then by name.

    Args:
        evaluation: The folder of a ModelEvaluation.
    """
    result = tfma.load_eval_result(evaluation, model_name="")
    found = {slice_name(key): result.get_metrics_for_slice(key) or {} for key, _ in result.slicing_metrics}
    told = {
        name: {metric: value["doubleValue"] for metric, value in sorted(values.items()) if "doubleValue" in value}
        for name, values in sorted(found.items())
    }
    return {OVERALL: told.pop(OVERALL, {})} | {name: values for name, values in told.items() if values}


def slice_name(key: tuple[tuple[str, str], ...]) -> str:
    """A TFMA slice key as `feature=value`, or `all`."""
    return ", ".join(f"{feature}={value}" for feature, value in key) or OVERALL
