"""Evaluation of trained weights on the storybook: the judge reads their drawings, and nothing is trained.

All scenes are withheld ones. Every drawing has its own seed; half of the captions are English, half Chinese.
"""

import functools
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import Draw, Pictures
from benchmarks.quality.drawing import drawing
from benchmarks.quality.storybook_canonical import likeness
from benchmarks.quality.storybook_judge import Reading, readers, reliability, verdict
from benchmarks.quality.storybook_prompts import free_prompts, prompts_kept
from benchmarks.speed.rounds import UnsteadyError, in_turn
from benchmarks.speed.ways import Fused
from models.export import export_text_to_image
from models.pretrained import HERE as PRETRAINED
from models.text_to_image import TextToImage
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.layout import lay_out
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import Figure, Scene
from tfx_pipeline.datasets.storybook.story import Rng, Role, Story, is_withheld_pair
from tfx_pipeline.datasets.storybook.telling import sayable
from tfx_pipeline.datasets.storybook.things import COLOURS, PLACES, THINGS, TIMES, WEATHERS

Read = Callable[[Pictures], list[Reading]]

ASKED = {
    "single": ("first.noun", "first.colour", "place", "time", "weather"),
    "pair": ("first.noun", "first.colour", "second.noun", "second.colour", "relation", "place"),
    "triple": (
        *(f"{ordinal}.{path}" for ordinal in ("first", "second", "third") for path in ("noun", "colour")),
        "relation",
        "third_relation",
        "place",
    ),
    "count": ("first.count", "first.colour", "place"),
}
"""What must be correct in each kind of scene, as paths of a verdict."""
SIDES = (64, 128, 256)
"""Sides of the timed pictures in pixels."""
TIMED = ("a cat under a tree at night", "a red car", "一只可爱的猫咪", "两只绵羊")


@dataclass(frozen=True)
class Counts:
    """The numbers of drawings from which the figures are computed.

    Attributes:
        single: Withheld scenes of one thing.
        pair: Withheld scenes of two things.
        triple: Withheld scenes of three things.
        count: Withheld scenes of several of one thing.
        likeliest: Drawings without noise.
        sharp: Those of them that are also drawn at 256 pixels.
        nouns: Painted nouns, whose colours and positions are evaluated over `seeds` seeds.
        seeds: Drawings of each of these nouns.
        few_seeds: Drawings of each other noun, for which only the variants are evaluated.
        in_data: Scenes of each noun from which the variation of its centre in the data is computed.
        free: Free prompts, beginning with the first; all by default.
        partial: Partial prompts.
    """

    single: int = 200
    pair: int = 200
    triple: int = 100
    count: int = 100
    likeliest: int = 100
    sharp: int = 48
    nouns: int = 6
    seeds: int = 64
    few_seeds: int = 8
    in_data: int = 300
    free: int | None = None
    partial: int = 1000


def measure(weights: Path | None = None, *, seed: int, counts: Counts | None = None) -> dict[str, float]:
    """Evaluate the pretrained weights, or those of a folder, in about four minutes on two idle cores.

    Args:
        weights: A folder of a `generator.keras` and a `restorer.keras`.
        seed: Seed of the scenes, the prompts and the noise.
        counts: The numbers of drawings.

    Returns:
        The figures, each with the prefix `storybook_`:
        `single`, `pair`, `triple`, `count`: see `obeyed`;
        `psnr`, `ssim`, `sharpness`: see `storybook_canonical.likeness`;
        `spread`, `open_colours`, `variants`: see `openness`;
        `free_prompts`: see `nouns_drawn`; `prompts_kept`: see `storybook_prompts`;
        `64_ms`, `128_ms`, `256_ms`: see `milliseconds`.

    Raises:
        FileNotFoundError: One of the files is missing.
    """
    model, counts = TextToImage.load(weights or PRETRAINED), counts or Counts()
    figures = drawn_as_asked(model, seed=seed, counts=counts)
    figures["prompts_kept"] = prompts_kept(model.generator.language_model, count=counts.partial, seed=seed)
    return {f"storybook_{name}": value for name, value in (figures | milliseconds(model)).items()}


def measure_judge(count: int, *, seed: int) -> dict[str, float]:
    """Evaluate the judge itself; see `storybook_judge.reliability`."""
    return {f"storybook_judge_{name}": value for name, value in reliability(count, seed=seed).items()}


def drawn_as_asked(model: TextToImage, *, seed: int, counts: Counts) -> dict[str, float]:
    """The figures that need drawings, with the arguments and names of `measure`."""
    draw = drawing(model.generator)
    scenes = {kind: withheld_scenes(kind, getattr(counts, kind), seed=seed) for kind in ASKED}
    alone = withheld_scenes("single", counts.likeliest, seed=seed)
    with readers() as read:
        return {
            **{kind: obeyed(draw, read, some, seed=seed) for kind, some in scenes.items()},
            **likeness(model.generator, complete(alone, seed=seed), alone, sharp=counts.sharp),
            **openness(draw, read, seed=seed, counts=counts),
            "free_prompts": nouns_drawn(model, read, free_prompts()[: counts.free], seed=seed),
        }


def withheld_scenes(kind: str, count: int, *, seed: int) -> list[Scene]:
    """Scenes of a kind that are withheld from training; pairs because of their (noun, relation, noun), at any place."""
    drawn = (each.scene for each in sample(sys.maxsize, seed, withheld=True, shares={kind: 1.0}))
    chosen = (scene for scene in drawn if kind != "pair" or any(is_withheld_pair(*pair) for pair in scene.story.pairs))
    return list(itertools.islice(chosen, count))


def complete(scenes: Sequence[Scene], *, seed: int) -> list[str]:
    """A complete caption of each scene, alternately in English and in Chinese."""
    rng = np.random.default_rng(seed)
    pairs = [captions(scene, rng, said=frozenset(sayable(scene))) for scene in scenes]
    return [pair.chinese if number % 2 else pair.english for number, pair in enumerate(pairs)]


def obeyed(draw: Draw, read: Read, scenes: Sequence[Scene], *, seed: int) -> float:
    """The share of scenes whose drawing from a complete caption is correct in all of `ASKED`."""
    pictures = draw(complete(scenes, seed=seed), [*range(seed, seed + len(scenes))])
    verdicts = (verdict(reading, scene) for reading, scene in zip(read(pictures), scenes, strict=True))
    return mean(all(right[path] for path in ASKED[scene.kind]) for right, scene in zip(verdicts, scenes, strict=True))


def mean(values: Iterable[float]) -> float:
    """The mean; 0 if there are no values."""
    return float(np.mean([*values] or [0.0]))


def openness(draw: Draw, read: Read, *, seed: int, counts: Counts) -> dict[str, float]:
    """Whether the noise determines what captions leave open.

    Each noun is drawn with several seeds, alone and at its first place, from a caption that leaves its colour and its
    variant open. Drawings that do not show it are ignored.

    Returns:
        The figures by name:

        - `spread`: the variation of a noun's centre over seeds relative to that in the data, as the root mean square
          over nouns; 0 if no noun is recognized twice.
        - `open_colours`: how many of the eight colours appear, the mean over nouns.
        - `variants`: the share of a noun's variants that appear, the mean over all nouns.
    """
    stories, rng = {noun: plain_story(noun) for noun in THINGS}, np.random.default_rng(seed)
    coloured = [noun for noun, story in stories.items() if story.roles[0].colour]
    nouns = coloured[:: -(-len(coloured) // counts.nouns)]
    texts = {
        noun: open_caption(story, rng, chinese=number % 2 == 1) for number, (noun, story) in enumerate(stories.items())
    }
    asked = [
        (noun, seed + number)
        for noun in stories
        for number in range(counts.seeds if noun in nouns else counts.few_seeds)
    ]
    readings = read(draw([texts[noun] for noun, _ in asked], [each for _, each in asked]))
    seen: dict[str, list[Figure]] = {noun: [] for noun in stories}
    for (noun, _), reading in zip(asked, readings, strict=True):
        seen[noun] += reading.of(noun)[:1]
    moved = [
        variance(seen[noun]) / variance(in_data(stories[noun], rng, counts.in_data))
        for noun in nouns
        if len(seen[noun]) > 1
    ]
    return {
        "spread": mean(moved) ** 0.5,
        "open_colours": mean(len({figure.colour for figure in seen[noun]}) for noun in nouns),
        "variants": mean(
            len({figure.variant for figure in figures}) / len(THINGS[noun].variants) for noun, figures in seen.items()
        ),
    }


def plain_story(noun: str) -> Story:
    """A thing alone at its first place, at the first possible time of day and in the first possible weather."""
    thing = THINGS[noun]
    place = PLACES[thing.places[0]]
    time = next(time for time in TIMES if time in place.times and time in thing.times)
    weather = next(weather for weather in WEATHERS if weather in place.weathers and weather in thing.weathers)
    role = Role(noun, next(iter(COLOURS)) if thing.part else None)
    return Story("single", (role,), (), place.name, time, weather)


def open_caption(story: Story, rng: Rng, *, chinese: bool) -> str:
    """A caption that leaves the colour and the variant open."""
    scene = lay_out(story)
    said = frozenset({"place", "time", "weather"}.intersection(sayable(scene)))
    pair = captions(scene, rng, said=said)
    return pair.chinese if chinese else pair.english


def in_data(story: Story, rng: Rng, count: int) -> list[Figure]:
    """Figures of a story, placed as in the dataset."""
    return [lay_out(story, rng).figures[0] for _ in range(count)]


def variance(figures: Sequence[Figure]) -> float:
    """The variance of the figures' centres, summed over both axes."""
    return float(np.array([(figure.x, figure.y) for figure in figures]).var(axis=0, ddof=1).sum())


def nouns_drawn(model: TextToImage, read: Read, asked: Sequence[tuple[str, str]], *, seed: int) -> float:
    """The share of prompts whose drawing, expanded and refined, shows their noun.

    Args:
        model: The model under test.
        read: The judge.
        asked: Prompts, each with the noun that it requests.
        seed: Seed of the first prompt; it increases by one for each further prompt.
    """
    prompts, nouns = zip(*asked, strict=True)
    pictures = model.generate(list(prompts), seed=range(seed, seed + len(prompts)))
    return mean(bool(reading.of(noun)) for reading, noun in zip(read(pictures), nouns, strict=True))


def milliseconds(model: TextToImage) -> dict[str, float]:
    """Median times from a prompt to a PNG, expanded and refined, by the exported model in process at batch size 1.

    Returns:
        `64_ms`, `128_ms` and `256_ms`, without sizes that the model cannot draw or whose times vary too much because
        the machine is busy.
    """
    own = model.generator.picture_size
    with tempfile.TemporaryDirectory() as folder:
        export_text_to_image(model, Path(folder, "1"))
        fused = Fused(Path(folder, "1"))
        calls = {f"{side}_ms": functools.partial(fused.finer, TIMED, side // own) for side in SIDES if side >= own}
        try:
            timings = in_turn(calls)
        except UnsteadyError as error:
            timings = error.steady
    return {name: timing.ms / len(TIMED) for name, timing in timings.items()}
