import io

import numpy as np
import pytest
import tensorflow as tf
from painters import COLOURS, Painter, Pictures, noisy
from PIL import Image
from tiny_models import SIZE, tiny_language_model

from models.baselines import MeanPictures
from models.caption_judge import CaptionJudge
from models.evaluation import AGREEMENT, evaluate_generator
from models.language_model import LanguageModel
from models.learning.inputs import Captioned
from models.learning.judging import learn_to_judge
from tfx_pipeline.config import load_config

EACH = 40


NOISE = 50
"""Standard deviation of the noise, in grey levels."""
CAPTIONS = list(COLOURS) * EACH
REAL = noisy(CAPTIONS, seed=0, deviation=NOISE)


@pytest.fixture(scope="module")
def language_model() -> LanguageModel:
    return tiny_language_model()


@pytest.fixture(scope="module")
def judge(language_model: LanguageModel) -> CaptionJudge:
    tokenize = language_model.tokenizer.tokenize
    ids = [tokenize(tf.constant(texts)).numpy() for texts in (CAPTIONS, [""] * len(CAPTIONS))]
    return learn_to_judge(Captioned(REAL, np.stack(ids, axis=1)), language_model, steps=100)


def example(picture: Pictures, caption: str) -> bytes:
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    values = {"image": png.getvalue(), "text": caption.encode(), "language": b"en"}
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def agreement(painter: Painter, judge: CaptionJudge) -> float:
    """The mean of what the judged model's `evaluate` says of withheld pictures."""
    captions = list(COLOURS) * 8
    rows = tf.constant(
        [example(*pair) for pair in zip(noisy(captions, seed=1, deviation=NOISE), captions, strict=True)]
    )
    _, evaluate = evaluate_generator(painter, list(COLOURS), {}, judge, UNUSED)
    return float(tf.reduce_mean(evaluate(rows)[AGREEMENT]))


def as_floats(pictures: Pictures) -> tf.Tensor:
    return tf.constant(pictures / np.float32(127.5) - 1)


NOTHING = np.zeros([0, SIZE * SIZE * 3], np.float32)
UNUSED = MeanPictures(REAL[0], np.zeros(100, np.int32), NOTHING, NOTHING.sum(axis=0))
"""No measure asks for them."""
BOUND = load_config("photo").thresholds.generator_agreement


def test_a_generator_that_draws_what_captions_say_agrees_with_them(
    judge: CaptionJudge, language_model: LanguageModel
) -> None:
    def draw(captions: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return as_floats(noisy([text.decode() for text in captions.numpy()], seed=2, deviation=NOISE))

    assert agreement(Painter(language_model, draw), judge) > 0.8 > BOUND


def test_a_generator_that_draws_the_mean_picture_is_refused(judge: CaptionJudge, language_model: LanguageModel) -> None:
    mean = as_floats(REAL.mean(axis=0, keepdims=True).astype(np.uint8))
    painter = Painter(language_model, lambda captions, seeds: tf.repeat(mean, tf.shape(captions)[0], axis=0))
    assert agreement(painter, judge) == pytest.approx(0.5, abs=0.05)
    assert agreement(painter, judge) < BOUND


def test_a_generator_that_does_not_look_at_captions_is_refused(
    judge: CaptionJudge, language_model: LanguageModel
) -> None:
    def draw(captions: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return as_floats(REAL[seeds.numpy() % len(REAL)])

    assert agreement(Painter(language_model, draw), judge) < BOUND


def test_one_picture_for_all_captions_agrees_with_none_of_them(judge: CaptionJudge) -> None:
    embeddings = tf.random.stateless_normal([4, judge.mean.shape[0]], [0, 0])
    picture = tf.constant(REAL[:1].repeat(4, axis=0))
    assert float(tf.reduce_mean(judge.agreement(picture, embeddings, embeddings))) == pytest.approx(0.5, abs=1e-3)
