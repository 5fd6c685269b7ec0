"""The signatures for evaluation: `evaluate` maps raw examples to metrics by row, `exhibit` to pictures.

Each row is evaluated once, in the model's own graph; TFMA would evaluate it again for each metric and slice. The
signatures take raw examples rather than transformed ones, so that the last blessed model can be compared with the new
one even if the vocabulary or the picture size has changed.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.baselines import MeanPictures
from models.caption_judge import CaptionJudge
from models.damage import damage
from models.drawing import Drawer
from models.language_model import LanguageModel
from models.pictures import decode_squares
from models.restorer import Restorer
from models.tensors import to_float, to_uint8

Evaluate = Callable[[tf.Tensor], dict[str, tf.Tensor]]
Judged = tuple[Evaluate, Evaluate]
Measures = Mapping[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]
"""Measures of similarity by name, from two batches of pictures, uint8[b, s, s, 3], to float32[b]."""
BASELINE = "baseline_"
"""Prefix of the metrics of the baseline."""
MEAN, WORDS = "mean_", "words_"
"""Prefixes of the metrics of the mean training picture, and of the picture predicted from a caption's words."""
RAW = {
    name: tf.io.FixedLenFeature([], tf.string, default_value="") for name in ("image", "text", "text_zh", "language")
}
PICTURES_OUTPUT = "pictures"
AGREEMENT = "agreement"
"""Name of the output that measures how well drawings match their captions."""


def evaluate_language_model(model: LanguageModel) -> Evaluate:
    """`evaluate` for a language model: returns `model_nats`, `unigram_nats` and `pieces`, float32[b] each.

    They refer to the caption in the example's `language`, or to both captions if it has none.
    """

    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, RAW)
        english = counted(model, in_language(raw["text"], raw["language"] != "zh"))
        chinese = counted(model, in_language(raw["text_zh"], raw["language"] != "en"))
        names = ("model_nats", "unigram_nats", "pieces")
        return {name: sum(both) for name, *both in zip(names, english, chinese, strict=True)}

    return evaluate


def in_language(texts: tf.Tensor, asked: tf.Tensor) -> tf.Tensor:
    """The texts, string[b], of the selected rows, bool[b]; empty strings elsewhere."""
    return tf.where(asked, texts, "")


def counted(model: LanguageModel, texts: tf.Tensor) -> list[tf.Tensor]:
    """The results of `negative_log_likelihood` for captions, string[b]: three float32[b]; zeros for empty captions."""
    scores = model.negative_log_likelihood(model.tokenizer.tokenize(texts))
    return [tf.where(tf.strings.length(texts) > 0, score, 0.0) for score in scores]


def evaluate_generator(
    model: Drawer, other_captions: Sequence[str], measures: Measures, judge: CaptionJudge, means: MeanPictures
) -> Judged:
    """The signatures of a generator.

    `exhibit` returns three pictures per row, uint8[b, 3, s, s, 3]: drawn from the row's caption, drawn from another
    row's caption, and the real one. The second is the text-blind baseline. `evaluate` also measures the mean pictures,
    with the prefixes `MEAN` and `WORDS`, and returns the judge's `AGREEMENT`, float32[b].
    """
    others = tf.constant(list(other_captions))

    def exhibit(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, RAW)
        captions, seeds = captions_of(raw), seeds_of(raw["image"])
        other = tf.gather(others, seeds % len(other_captions))
        drawn = [to_uint8(model.draw(texts, seeds)) for texts in (captions, other)]
        return {PICTURES_OUTPUT: tf.stack([*drawn, decode_squares(raw["image"], model.picture_size)], axis=1)}

    def further(examples: tf.Tensor, drawn: tf.Tensor, truth: tf.Tensor) -> dict[str, tf.Tensor]:
        captions = captions_of(tf.io.parse_example(examples, RAW))
        own, theirs = (model.language_model.embed_texts(texts) for texts in (captions, others))
        ids = model.language_model.tokenizer.tokenize(captions)
        of_all, of_words = means.of_all(ids), means.of_words(ids)
        return {
            AGREEMENT: judge.agreement(drawn, own, theirs),
            **{MEAN + name: measure(of_all, truth) for name, measure in measures.items()},
            **{WORDS + name: measure(of_words, truth) for name, measure in measures.items()},
        }

    return exhibit, measured(exhibit, measures, further)


def captions_of(raw: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The caption of each raw example, string[b]: the English one, unless its language is Chinese or it has none."""
    is_english = (tf.strings.length(raw["text"]) > 0) & (raw["language"] != "zh")
    return tf.where(is_english, raw["text"], raw["text_zh"])


def evaluate_restorer(model: Restorer, picture_size: int, measures: Measures) -> Judged:
    """The signatures of a restorer; `exhibit` returns restored, damaged and clean pictures, uint8[b, 3, s, s, 3].

    The restorer estimates the noise level itself.
    """

    def exhibit(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, RAW)
        clean = decode_squares(raw["image"], picture_size)
        damaged = damage(to_float(clean), seeds_of(raw["image"]))
        restored = model.repair(damaged._replace(sigmas=tf.fill(tf.shape(damaged.sigmas), -1.0)))
        return {PICTURES_OUTPUT: tf.stack([to_uint8(restored), to_uint8(damaged.pictures), clean], axis=1)}

    return exhibit, measured(exhibit, measures)


def measured(
    exhibit: Evaluate,
    measures: Measures,
    further: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]] | None = None,
) -> Evaluate:
    """`evaluate` for a picture model: compares its picture and the baseline's with the real one, float32[b] each.

    Args:
        exhibit: Returns the model's picture, the baseline's and the real one.
        measures: Measures of similarity to the real picture.
        further: Further metrics, computed from examples, the model's pictures and the real ones.
    """

    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        candidate, baseline, truth = tf.unstack(exhibit(examples)[PICTURES_OUTPUT], axis=1)
        own = {name: measure(candidate, truth) for name, measure in measures.items()}
        of_baseline = {BASELINE + name: measure(baseline, truth) for name, measure in measures.items()}
        return own | of_baseline | (further(examples, candidate, truth) if further else {})

    return evaluate


def seeds_of(images: tf.Tensor) -> tf.Tensor:
    """A seed for each encoded picture, int64[b], which depends only on its bytes."""
    return tf.strings.to_hash_bucket_fast(images, 2**31 - 1)


def some_captions(captions: NDArray[np.int64], model: LanguageModel, count: int = 64) -> list[str]:
    """Up to `count` training captions, int64[n, k, t], spread over the data, as text."""
    rows = captions[:: max(1, len(captions) // count)][:count]
    texts = [model.tokenizer.detokenize(tf.constant(rows[:, column])).numpy() for column in (0, 1)]
    return [(english or chinese).decode() for english, chinese in zip(*texts, strict=True)]
