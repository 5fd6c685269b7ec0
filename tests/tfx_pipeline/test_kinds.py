import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_model_analysis.metrics import metric_types

import tfx_pipeline
from models.evaluation import measured
from tfx_pipeline.components.exporting import Assembler
from tfx_pipeline.components.pushing import ServingValidator
from tfx_pipeline.config import RunConfig
from tfx_pipeline.judging.metrics import METRICS, EaselMetric, Metric, mean
from tfx_pipeline.judging.verdict import shown
from tfx_pipeline.kinds import FUSED, KINDS, RESTORER

ROOM = Path(tfx_pipeline.__file__).parent


def words(file: Path) -> Iterator[str]:
    """The words of a file's code that could name a model: of strings but for documentation, and what functions take."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from re.split(r"\W+", node.value)


def test_the_names_of_models_stand_in_one_file() -> None:
    names = {*KINDS, FUSED}
    found = {str(file.relative_to(ROOM)) for file in ROOM.rglob("*.py") if not names.isdisjoint(words(file))}
    assert found == {"kinds.py"}


def test_kinds_are_known_by_their_names() -> None:
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert {kind.base for kind in KINDS.values()} <= {"", *KINDS}


def test_the_fused_model_and_the_check_know_every_kind() -> None:
    blessed = {name.removesuffix("_blessing") for name in Assembler.SPEC_CLASS.INPUTS if name.endswith("_blessing")}
    assert blessed == {*KINDS, "copies"}
    assert set(ServingValidator.SPEC_CLASS.INPUTS) == {*KINDS, FUSED, "model_blessing"}


def mean_error(pictures: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(abs(tf.cast(pictures, tf.float32) - tf.cast(truth, tf.float32)), axis=[1, 2, 3])


def test_a_metric_is_declared_in_one_place() -> None:
    """A row is all that it takes: it is measured, added up, demanded and shown."""
    error = Metric(
        "error",
        "mean error",
        mean("error"),
        unit=" grey levels",
        rises=False,
        measure=mean_error,
        bound="{}_psnr",
    )
    kind = replace(RESTORER, metrics=(*RESTORER.metrics, error))
    rows = np.zeros([2, 3, 16, 16, 3], np.uint8)
    rows[0, 0], rows[1, 0] = 10, 20
    outputs = measured(lambda pictures: {"pictures": pictures}, kind.measures)(tf.constant(rows))
    assert outputs["error"].numpy().tolist() == [10, 20] and outputs["baseline_error"].numpy().tolist() == [0, 0]
    (demand,) = [spec for spec in kind.eval_config(RunConfig(), ()).metrics_specs[0].metrics if "error" in spec.config]
    assert demand.per_slice_thresholds[0].threshold.value_threshold.upper_bound.value == 18
    with patch.dict(METRICS, {error.name: error}):
        (computation,) = EaselMetric("error").computations(model_names=[""], output_names=[""])
        total = computation.combiner.create_accumulator()
        for row in range(2):
            predictions = {name: value.numpy()[row] for name, value in outputs.items()}
            inputs = metric_types.StandardMetricInputs(predictions=predictions)
            total = computation.combiner.add_input(total, inputs)
        assert list(computation.combiner.extract_output(total).values()) == [15]
        assert shown("error", 15) == "mean error 15.00 grey levels"


@pytest.mark.parametrize("name", KINDS)
def test_a_training_gets_the_defaults_for_what_it_does_not_read(name: str) -> None:
    config = RunConfig.model_validate(
        {"seed": 7, "language": {"steps": 8}, "drawing": {"width": 16}, "restoration": {"steps": 9}}
    )
    own = KINDS[name].settings(config)
    given = {"language_model": own.language.steps, "generator": own.drawing.width, "restorer": own.restoration.steps}
    defaults = {"language_model": 2000, "generator": 64, "restorer": 1000}
    assert own.seed == 7
    assert {key for key in given if given[key] != defaults[key]} == {name}
