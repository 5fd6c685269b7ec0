"""What a generator is refused for and warned of, by the numbers that the judged model itself gives."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from painters import COLOURS, Painter, Pictures, noisy
from PIL import Image
from tensorflow_model_analysis.evaluators.metrics_validator import validate_metrics
from tensorflow_model_analysis.metrics import metric_types
from tiny_models import SIZE, VOCABULARY, tiny_generator, tiny_language_model

from models.baselines import MeanPictures, learn_mean_pictures
from models.caption_judge import CaptionJudge
from models.evaluation import evaluate_generator
from models.export import export_judged
from models.language_model import LanguageModel
from models.metrics import psnr, ssim
from tfx_pipeline.config import RunConfig, load_config
from tfx_pipeline.judging.metrics import METRICS
from tfx_pipeline.judging.verdict import clause, warnings
from tfx_pipeline.kinds import GENERATOR

QUICK, PHOTO = RunConfig(), load_config("photo")


NOISE = 20
"""Standard deviation of the noise, in grey levels."""
CAPTIONS = list(COLOURS) * 20
REAL = noisy(CAPTIONS, seed=0, deviation=NOISE)
WITHHELD_CAPTIONS = list(COLOURS) * 4
WITHHELD = noisy(WITHHELD_CAPTIONS, seed=1, deviation=NOISE)


def example(picture: Pictures, caption: str) -> bytes:
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    values = {"image": png.getvalue(), "text": caption.encode(), "language": b"en"}
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return tiny_language_model()


@pytest.fixture(scope="module")
def means(language_model: LanguageModel) -> MeanPictures:
    ids = language_model.tokenizer.tokenize(tf.constant(CAPTIONS)).numpy()
    return learn_mean_pictures(REAL, ids[:, None], len(VOCABULARY) + 1)


@pytest.fixture(scope="module")
def judged(language_model: LanguageModel, means: MeanPictures) -> Callable[[Pictures], dict[str, float]]:
    """The metrics of a generator, by what it draws of the withheld captions."""
    judge = CaptionJudge(SIZE, language_model.embed_texts(tf.constant(list(COLOURS))).numpy())
    rows = tf.constant([example(*pair) for pair in zip(WITHHELD, WITHHELD_CAPTIONS, strict=True)])

    def judged(drawn: Pictures) -> dict[str, float]:
        painter = Painter(language_model, lambda captions, seeds: tf.constant(drawn / np.float32(127.5) - 1))
        _, evaluate = evaluate_generator(painter, list(COLOURS), GENERATOR.measures, judge, means)
        sums = Counter({name: float(tf.reduce_sum(values)) for name, values in evaluate(rows).items()})
        return {metric.name: metric.formula(sums, len(drawn)) for metric in GENERATOR.metrics}

    return judged


def refusals(metrics: dict[str, float], config: RunConfig) -> Iterator[str]:
    """What TFMA itself refuses these values for."""
    values = {metric_types.MetricKey(name): value for name, value in metrics.items()}
    demands = tfma.utils.update_eval_config_with_defaults(
        GENERATOR.eval_config(config, ()), has_baseline=False, rubber_stamp=True
    )
    result = validate_metrics(((), values), demands)
    for item in result.metric_validations_per_slice:
        yield from (failure.metric_key.name for failure in item.failures if clause(failure))


def mean_picture() -> Pictures:
    return np.repeat(np.rint(REAL.mean(axis=0, keepdims=True)).astype(np.uint8), len(WITHHELD), axis=0)


def one_picture() -> Pictures:
    return np.repeat(REAL[:1], len(WITHHELD), axis=0)


Judged = Callable[[Pictures], dict[str, float]]


def test_an_exported_model_carries_the_baselines_that_it_is_held_against(
    language_model: LanguageModel, means: MeanPictures, tmp_path: Path
) -> None:
    generator = tiny_generator(language_model)
    judge = CaptionJudge(SIZE, language_model.embed_texts(tf.constant(list(COLOURS))).numpy())
    endpoints = evaluate_generator(generator, list(COLOURS), GENERATOR.measures, judge, means)
    export_judged(generator, endpoints, tmp_path)
    rows = tf.constant([example(*pair) for pair in zip(WITHHELD, WITHHELD_CAPTIONS, strict=True)])
    measured = tf.saved_model.load(str(tmp_path)).signatures["evaluate"](examples=rows)
    ids = language_model.tokenizer.tokenize(tf.constant(WITHHELD_CAPTIONS))
    np.testing.assert_allclose(measured["mean_psnr"], psnr(mean_picture(), WITHHELD), atol=0.02)
    np.testing.assert_allclose(measured["words_psnr"], psnr(means.of_words(ids).numpy(), WITHHELD), atol=1e-3)


@pytest.mark.parametrize("draw", [mean_picture, one_picture])
def test_a_generator_that_draws_one_picture_for_all_captions_is_refused(
    judged: Judged, draw: Callable[[], Pictures]
) -> None:
    assert "psnr_over_mean" in set(refusals(judged(draw()), QUICK))


def test_no_other_demand_is_needed_to_refuse_the_mean_picture(judged: Judged) -> None:
    others = {"generator_gain": -100, "generator_psnr": 0, "generator_ssim": -1}
    thresholds = QUICK.thresholds.model_copy(update=others)
    config = QUICK.model_copy(update={"thresholds": thresholds})
    assert list(refusals(judged(mean_picture()), config)) == ["psnr_over_mean"]


def test_a_generator_that_draws_what_captions_say_is_not_refused(judged: Judged) -> None:
    drawn = noisy(WITHHELD_CAPTIONS, seed=2, deviation=NOISE)
    metrics = judged(drawn)
    assert not {"psnr_over_mean", "psnr_over_words"} & set(refusals(metrics, QUICK))
    assert metrics["psnr_over_mean"] > 5


def test_both_baselines_are_scored_as_drawings_are(judged: Judged, means: MeanPictures) -> None:
    metrics = judged(WITHHELD)
    ids = tiny_language_model().tokenizer.tokenize(tf.constant(WITHHELD_CAPTIONS))
    for name, pictures in (("mean", mean_picture()), ("words", means.of_words(ids).numpy())):
        assert metrics[f"psnr_over_{name}"] == pytest.approx(100 - psnr(pictures, WITHHELD).mean(), abs=0.02)
        assert metrics[f"ssim_over_{name}"] == pytest.approx(1 - ssim(pictures, WITHHELD).mean(), abs=0.02)


def test_losing_to_the_words_is_a_warning_and_by_config_a_refusal(judged: Judged) -> None:
    metrics = judged(noisy(WITHHELD_CAPTIONS, seed=2, deviation=NOISE))
    assert metrics["psnr_over_words"] < 0
    assert "psnr_over_words" not in set(refusals(metrics, QUICK))
    (warned,) = warnings(metrics)
    assert warned.startswith("a linear model of word counts is nearer to the true pictures")
    assert METRICS["psnr_over_words"].label in warned
    strict = QUICK.thresholds.model_copy(update={"generator_over_words": 0.0})
    refused = set(refusals(metrics, QUICK.model_copy(update={"thresholds": strict})))
    assert "psnr_over_words" in refused
    assert warnings(metrics, refused=refused) == ()


def test_of_photographs_agreement_decides_and_the_mean_picture_only_warns(judged: Judged) -> None:
    metrics = judged(one_picture())
    assert metrics["psnr_over_mean"] < 0
    assert {"psnr_over_mean", "psnr_over_words"}.isdisjoint(refusals(metrics, PHOTO))
    assert len(warnings(metrics)) == 2
    assert "agreement" in set(refusals(metrics | {"agreement": 0.5}, PHOTO))
