from itertools import permutations
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray
from tensorflow_model_analysis.metrics import metric_types

from models.evaluation import measured
from tfx_pipeline.config import RunConfig
from tfx_pipeline.judging.metrics import METRICS, EaselMetric
from tfx_pipeline.kinds import GENERATOR

CONFIG = GENERATOR.eval_config(RunConfig(), ())
Outputs = dict[str, NDArray[Any]]
SIZE = 16


def rows_of_pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """(candidate, baseline, truth) for each row; the candidate is closer to the truth than the baseline is."""
    random = np.random.default_rng(seed)
    truth = random.integers(60, 196, (count, SIZE, SIZE, 3))
    near, far = (truth + random.integers(-spread, spread + 1, truth.shape) for spread in (10, 60))
    return np.stack([near, far, truth], 1).astype(np.uint8)


def figures(rows: NDArray[np.uint8]) -> Outputs:
    """What the `evaluate` signature of a picture model gives for these rows."""
    evaluate = measured(lambda pictures: {"pictures": pictures}, GENERATOR.measures)
    return {name: value.numpy() for name, value in evaluate(tf.constant(rows)).items()}


def some(outputs: Outputs, rows: slice) -> Outputs:
    """Some rows of what a signature gave."""
    return {name: value[rows] for name, value in outputs.items()}


def psnr_by_hand(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    error = ((first.astype(float) - second.astype(float)) ** 2).mean((1, 2, 3))
    return 10 * np.log10(255**2 / error)


def combiner(name: str) -> Any:
    (computation,) = EaselMetric(name).computations(eval_config=CONFIG, model_names=[""], output_names=[""])
    return computation.combiner


def total(name: str, outputs: Outputs) -> Any:
    fold = combiner(name)
    accumulator = fold.create_accumulator()
    for row in range(len(next(iter(outputs.values())))):
        predictions = {output: values[row] for output, values in outputs.items()}
        element = metric_types.StandardMetricInputs(labels=np.array([""]), predictions=predictions)
        accumulator = fold.add_input(accumulator, element)
    return accumulator


def result(name: str, accumulator: Any) -> float:
    (value,) = combiner(name).extract_output(accumulator).values()
    return value


@pytest.mark.parametrize("count", [1, 5])
def test_psnr_is_the_mean_of_the_closed_form(count: int) -> None:
    rows = rows_of_pictures(count)
    expected = psnr_by_hand(rows[:, 0], rows[:, 2]).mean()
    assert result("psnr", total("psnr", figures(rows))) == pytest.approx(expected, abs=1e-4)


def test_gain_is_the_mean_above_the_baseline() -> None:
    rows = rows_of_pictures(5)
    expected = (psnr_by_hand(rows[:, 0], rows[:, 2]) - psnr_by_hand(rows[:, 1], rows[:, 2])).mean()
    assert expected > 5
    assert result("psnr_gain", total("psnr_gain", figures(rows))) == pytest.approx(expected, abs=1e-4)


def test_equal_pictures_are_as_good_as_can_be() -> None:
    rows = rows_of_pictures(3)
    rows[:, 0] = rows[:, 2]
    assert result("psnr", total("psnr", figures(rows))) == 100
    assert result("ssim", total("ssim", figures(rows))) == pytest.approx(1)


def test_flat_pictures_have_the_ssim_of_their_luminance() -> None:
    rows = np.zeros((2, 3, SIZE, SIZE, 3), np.uint8)
    rows[:, 0], rows[:, 2] = 100, 150
    constant = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + constant) / (100**2 + 150**2 + constant)
    assert result("ssim", total("ssim", figures(rows))) == pytest.approx(expected, abs=1e-3)


def test_perplexity_is_nats_by_piece_over_all_texts() -> None:
    columns = np.array([[10.0, 30.0, 5.0], [2.0, 20.0, 4.0], [0.0, 0.0, 0.0]], np.float32).T
    outputs = dict(zip(("model_nats", "unigram_nats", "pieces"), columns, strict=True))
    measured = {name: result(name, total(name, outputs)) for name in METRICS if "perplexity" in name}
    assert measured == {
        "perplexity": pytest.approx(np.exp(12 / 9)),
        "unigram_perplexity": pytest.approx(np.exp(50 / 9)),
        "perplexity_share": pytest.approx(np.exp(-38 / 9)),
    }


@pytest.mark.parametrize("name", ["psnr", "ssim_gain"])
def test_accumulators_merge_in_any_order(name: str) -> None:
    rows = figures(rows_of_pictures(6))
    whole = result(name, total(name, rows))
    cuts = [some(rows, cut) for cut in (slice(1), slice(1, 4), slice(4, None))]
    for order in permutations(cuts):
        parts = [combiner(name).create_accumulator(), *(total(name, part) for part in order)]
        assert result(name, combiner(name).merge_accumulators(parts)) == pytest.approx(whole, abs=1e-6)


def test_merging_in_two_stages_is_merging_at_once() -> None:
    parts = [total("psnr", figures(rows_of_pictures(4, seed))) for seed in range(3)]
    fold = combiner("psnr")
    staged = fold.merge_accumulators([fold.merge_accumulators(parts[:2]), parts[2]])
    assert result("psnr", staged) == pytest.approx(result("psnr", fold.merge_accumulators(parts)))


@pytest.mark.parametrize("name", METRICS)
def test_nothing_measured_is_not_a_number(name: str) -> None:
    assert np.isnan(result(name, combiner(name).create_accumulator()))
    assert np.isnan(result(name, combiner(name).merge_accumulators([])))


def test_a_metric_is_found_again_by_its_name() -> None:
    metric = EaselMetric("ssim")
    assert metric.get_config() == {"name": "ssim"}
    assert EaselMetric.from_config(metric.get_config()).get_config() == {"name": "ssim"}


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(KeyError, match="sharpness"):
        EaselMetric("sharpness")


# Through TFMA


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The metrics of a SavedModel that measures the pictures that its examples hold."""
    out = tmp_path_factory.mktemp("tfma")
    with tf.io.TFRecordWriter(str(out / "examples")) as writer:
        for row in rows_of_pictures(7):
            values = {"image": row.tobytes(), "text": b"a"}
            lists = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for key, v in values.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString())

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"image": tf.io.FixedLenFeature([], tf.string)}
        pixels = tf.io.decode_raw(tf.io.parse_example(examples, spec)["image"], tf.uint8)
        rows = tf.reshape(pixels, [-1, 3, SIZE, SIZE, 3])
        return measured(lambda pictures: {"pictures": pictures}, GENERATOR.measures)(rows)

    tf.saved_model.save(tf.Module(), str(out / "model"), signatures={"evaluate": evaluate})
    config = tfma.utils.update_eval_config_with_defaults(CONFIG, has_baseline=False, rubber_stamp=True)
    tfma.run_model_analysis(
        eval_shared_model=tfma.default_eval_shared_model(str(out / "model"), eval_config=config),
        eval_config=config,
        data_location=str(out / "examples"),
        output_path=str(out / "evaluation"),
    )
    found = tfma.load_eval_result(str(out / "evaluation")).get_metrics_for_slice()
    return {name: value["doubleValue"] for name, value in found.items()}


def test_tfma_measures_the_same(evaluated: dict[str, float]) -> None:
    rows = figures(rows_of_pictures(7))
    expected = {name: result(name, total(name, rows)) for name in ("psnr", "ssim", "psnr_gain", "ssim_gain")}
    assert {name: evaluated[name] for name in expected} == pytest.approx(expected, abs=1e-4)
