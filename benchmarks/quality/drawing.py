"""The rows of the dataset of shapes: how well drawings match their captions, after training on one kind of scene."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.quality import Draw, Pictures, judge, noise
from benchmarks.quality.effort import Effort, Settings
from benchmarks.quality.prompts import attributes_kept
from models.drawing import Drawer
from models.learning.inputs import Captioned
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.settings import LearningConfig
from models.metrics import psnr, ssim
from models.tensors import to_uint8
from models.text import Tokenizer, characters, pieces
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED
from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import SHARES, Scene, Thing, is_withheld_pair, pick_open, random_scenes, render

PICTURES = 16_000
ROWS, NOISE_ROWS, BATCH = 500, 12, 128

SINGLES = Settings(
    cpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 1500},
        "drawing": {"warmup_steps": 9000, "adversarial_steps": 300},
        "restoration": {"steps": 400},
    },
    gpu={
        "data": {"picture_size": 64},
        "language": {"slots": 1, "steps": 3000},
        "drawing": {"width": 96, "warmup_steps": 20000, "adversarial_steps": 0, "batch_size": 128},
        "restoration": {"steps": 3000},
    },
)
SCENES = Settings(
    cpu={
        "data": {"picture_size": 64},
        "language": {"slots": 2, "steps": 2000},
        "drawing": {"block": 4, "warmup_steps": 8000, "adversarial_steps": 0},
    },
    gpu={
        "data": {"picture_size": 64},
        "language": {"slots": 2, "steps": 5000},
        "drawing": {"width": 96, "warmup_steps": 24000, "adversarial_steps": 0, "batch_size": 128},
    },
)
PROMPTS = Settings(
    cpu={"data": {"picture_size": 32}, "language": {"steps": 3500}},
    gpu={"data": {"picture_size": 32}, "language": {"steps": 10000}},
)


class CaptionedScenes(NamedTuple):
    """Scenes, each with an English and a Chinese caption.

    Attributes:
        scenes: The scenes.
        pictures: uint8[n, size, size, 3].
        captions: n pairs (English, Chinese).
    """

    scenes: list[Scene]
    pictures: Pictures
    captions: list[tuple[str, str]]

    def part(self, chosen: Sequence[bool]) -> "CaptionedScenes":
        """The selected scenes."""
        keep = np.flatnonzero(chosen)
        return CaptionedScenes([self.scenes[i] for i in keep], self.pictures[keep], [self.captions[i] for i in keep])


def sample_scenes(
    count: int, *, size: int, seed: int, shares: Mapping[str, float], withheld: bool, canonical: bool = False
) -> CaptionedScenes:
    """Draw scenes of some kinds; canonical ones have no jitter, and their captions leave nothing open."""
    drawn = list(random_scenes(count, seed=seed, shares=shares, withheld=withheld))
    pictures = np.stack([render(scene, size, None if canonical else rng) for scene, rng in drawn])
    captions = [
        phrases.captions(scene.attributes, rng, left_open=None if canonical else pick_open(scene.kind, rng))
        for scene, rng in drawn
    ]
    return CaptionedScenes([scene for scene, _ in drawn], pictures, captions)


def vocabulary_of(texts: Sequence[str]) -> list[str]:
    """The reserved pieces, and the pieces and characters of texts, the most frequent first."""
    strings = tf.constant(list(texts))
    counts = Counter(pieces(strings).flat_values.numpy().tolist() + characters(strings).flat_values.numpy().tolist())
    return [*RESERVED, *(piece.decode() for piece, _ in counts.most_common())]


def captioned(
    pictures: Pictures, captions: Sequence[Sequence[str]], config: LearningConfig
) -> tuple[Captioned, list[str]]:
    """The arrays that the recipes train on, and the vocabulary of the captions."""
    vocabulary = vocabulary_of([text for row in captions for text in row])
    texts = tf.constant([text for row in captions for text in (*row, "")[:2]])
    length = config.data.caption_length
    ids = Tokenizer(vocabulary, length).tokenize(texts).numpy()
    return Captioned(pictures, ids.reshape(len(captions), 2, length)), vocabulary


def train_generator(pictures: Pictures, captions: Sequence[Sequence[str]], config: RunConfig, effort: Effort) -> Drawer:
    """Train a language model and a generator.

    Args:
        pictures: uint8[n, s, s, 3].
        captions: One or two captions of each picture.
        config: All settings; the random generators are seeded with its seed.
        effort: Where to train.
    """
    keras.utils.set_random_seed(config.seed)
    arrays, vocabulary = captioned(pictures, captions, config)
    with effort.fitting() as bound:
        language_model = learn_language(arrays, no_lines(config), vocabulary, config, fit=bound)
        return learn_to_draw(arrays, language_model, config, fit=bound)


def train(data: CaptionedScenes, config: RunConfig, effort: Effort) -> TextToImage:
    """Train all three models and fuse them."""
    generator = train_generator(data.pictures, data.captions, config, effort)
    with effort.fitting() as bound:
        return TextToImage(generator, learn_to_restore(data.pictures, config, fit=bound))


def no_lines(config: LearningConfig) -> NDArray[np.int64]:
    """No lines of text without a picture."""
    return np.zeros([0, config.data.caption_length], np.int64)


def measure_singles(effort: Effort, *, trainings: int = 3) -> dict[str, float]:
    """Evaluate single objects of withheld (shape, colour, background) triples; figures are means over trainings.

    Args:
        effort: The budget of each training, for all three models.
        trainings: Number of trainings, each with its own seed.

    Returns:
        The figures by name:

        - `shapes_all_five`: share of drawings with all five attributes correct, with random noise, in both languages.
        - `shapes_psnr` in dB, `shapes_ssim`: the likeliest drawing compared with the canonical picture.
        - `seed_spread_ratio`, `open_colours`, `seed_agreement`: see `noise`.
        - `refine_psnr_gain` in dB, `refine_ssim_gain`: the effect of the restorer on the fused model's picture.
        - `training_minutes`: of the longest training.
    """
    seeds = range(effort.seed, effort.seed + trainings)
    return means([measure_singles_once(effort.within(f"seed-{seed}")._replace(seed=seed)) for seed in seeds])


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means by name; for minutes, the maximum."""
    return {
        name: float((max if name.endswith("minutes") else np.mean)([row[name] for row in rows])) for name in rows[0]
    }


def measure_singles_once(effort: Effort) -> dict[str, float]:
    """`measure_singles` for one training."""
    config, seed = effort.config(SINGLES), effort.seed
    kind: dict[str, Any] = {"size": config.data.picture_size, "shares": {"single": 1.0}}
    data = sample_scenes(PICTURES, seed=seed, withheld=False, **kind)
    model, minutes_spent = effort.timed(lambda: train(data, config, effort))
    asked = sample_scenes(ROWS, seed=seed + 1000, withheld=True, canonical=True, **kind)
    seen = sample_scenes(NOISE_ROWS, seed=seed + 2000, withheld=False, canonical=True, **kind).scenes
    draw = drawing(model.generator)
    return {
        "shapes_all_five": obeyed(draw, asked),
        **likeness(model.generator, asked),
        **noise_figures(draw, seen),
        **refinement(model, asked),
        **minutes_spent,
    }


def measure_scenes(effort: Effort) -> dict[str, float]:
    """Evaluate two objects in a relation at 64x64, of withheld (object, relation, object) pairs.

    Returns:
        `scenes_all_right`: share of drawings with both objects, their places and the background correct, with random
        noise, in both languages; `training_minutes`, without a restorer.
    """
    config, seed = effort.config(SCENES), effort.seed
    kind: dict[str, Any] = {"size": config.data.picture_size, "shares": {"pair": 1.0}}
    data = sample_scenes(PICTURES, seed=seed, withheld=False, **kind)
    generator, minutes_spent = effort.timed(lambda: train_generator(data.pictures, data.captions, config, effort))
    asked = sample_scenes(ROWS, seed=seed + 1000, withheld=True, canonical=True, **kind)
    pairs = [is_withheld_pair(*pair_of(scene)) for scene in asked.scenes]
    return {"scenes_all_right": obeyed(drawing(generator), asked.part(pairs)), **minutes_spent}


def pair_of(scene: Scene) -> tuple[Thing, str, Thing]:
    """The first object, relation and second object of a pair."""
    first, second = (
        (scene.attributes[name]["shape"], scene.attributes[name]["colour"]) for name in ("first", "second")
    )
    return first, scene.attributes["relation"], second


def measure_prompts(effort: Effort) -> dict[str, float]:
    """Evaluate the language model on the default mixture of scenes.

    Returns:
        `prompt_attributes_kept`: see `prompts.attributes_kept`; `training_minutes`.
    """
    config, seed = effort.config(PROMPTS), effort.seed
    keras.utils.set_random_seed(seed)
    data = sample_scenes(PICTURES, size=config.data.picture_size, seed=seed, shares=SHARES, withheld=False)
    arrays, vocabulary = captioned(data.pictures, data.captions, config)
    with effort.fitting() as bound:
        model, minutes_spent = effort.timed(
            lambda: learn_language(arrays, no_lines(config), vocabulary, config, fit=bound)
        )
    return {"prompt_attributes_kept": attributes_kept(model, seed=seed), **minutes_spent}


def noise_figures(draw: Draw, scenes: Sequence[Scene]) -> dict[str, float]:
    """The figures of noise; see `noise`."""
    return {
        "seed_spread_ratio": noise.seed_spread_ratio(draw, scenes),
        "open_colours": noise.open_colours(draw, scenes),
        "seed_agreement": noise.seed_agreement(draw, scenes),
    }


def drawing(generator: Drawer) -> Draw:
    """The generator, as a function that the measures call."""

    def draw(captions: list[str], seeds: list[int]) -> Pictures:
        starts = range(0, len(captions), BATCH)
        return np.concatenate([generator.generate(captions[i : i + BATCH], seed=seeds[i : i + BATCH]) for i in starts])

    return draw


def obeyed(draw: Draw, asked: CaptionedScenes) -> float:
    """Share of correctly drawn scenes; each is requested in English and in Chinese, with its own seed."""
    count = len(asked.scenes)
    captions = [pair[language] for language in (0, 1) for pair in asked.captions]
    return float(judge.all_right(draw(captions, list(range(2 * count))), asked.scenes * 2).mean())


def likeness(generator: Drawer, asked: CaptionedScenes) -> dict[str, float]:
    """PSNR and SSIM of the likeliest drawings of English captions, compared with canonical pictures."""
    captions = tf.constant([english for english, _ in asked.captions])
    drawn = to_uint8(generator.draw_likeliest(captions)).numpy()
    return {
        "shapes_psnr": float(psnr(drawn, asked.pictures).mean()),
        "shapes_ssim": float(ssim(drawn, asked.pictures).mean()),
    }


def refinement(model: TextToImage, asked: CaptionedScenes) -> dict[str, float]:
    """How much the restorer improves the fused model's pictures in PSNR and SSIM."""
    captions, seeds = [english for english, _ in asked.captions], list(range(len(asked.scenes)))
    drawn, refined = (model.generate(captions, seed=seeds, expand=False, refine=each) for each in (False, True))

    def gain(measure: Callable[..., NDArray[Any]]) -> float:
        return float((measure(refined, asked.pictures) - measure(drawn, asked.pictures)).mean())

    return {"refine_psnr_gain": gain(psnr), "refine_ssim_gain": gain(ssim)}
