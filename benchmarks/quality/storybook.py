"""How well captions of the storybook are obeyed, by weights that are there already: what the judge sees in drawings.

Scenes are withheld ones, captions say all that they can unless a measure leaves something open, and every drawing has a
seed of its own. Half of the captions are English, half Chinese.
"""

import contextlib
import functools
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.quality import Draw, Pictures
from benchmarks.quality.drawing import drawing
from benchmarks.quality.storybook_judge import Reading, readers, verdict
from benchmarks.quality.storybook_matching import SIZE
from benchmarks.quality.storybook_prompts import prompts_kept
from benchmarks.speed.rounds import UnsteadyError, in_turn
from models.drawing import Drawer
from models.export import export_text_to_image
from models.language_model import TEMPERATURE
from models.metrics import psnr, ssim
from models.pretrained import HERE as PRETRAINED
from models.tensors import to_uint8
from models.text_to_image import TextToImage
from tfx_pipeline.datasets.storybook.captions import captions
from tfx_pipeline.datasets.storybook.layout import Dice, Item, lay_out, lay_out_with
from tfx_pipeline.datasets.storybook.samples import sample
from tfx_pipeline.datasets.storybook.scene import Figure, Scene, render, svg
from tfx_pipeline.datasets.storybook.story import Rng, Role, Story, is_withheld_pair
from tfx_pipeline.datasets.storybook.telling import sayable
from tfx_pipeline.datasets.storybook.things import COLOURS, PLACES, THINGS, TIMES, WEATHERS

Read = Callable[[Pictures], list[Reading]]

COUNTS = {"single": 300, "pair": 300, "triple": 150, "count": 150}
"""Drawings of each kind of scene."""
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
"""What must be right of each kind of scene, as the paths of a verdict."""
LIKELIEST = 100
"""Drawings without noise."""
FINE = 256
SHARP = 48
"""Drawings of 256 pixels whose edges are looked at."""
EDGE, NEAR = 24.0, 2
"""Grey levels between two pixels that are an edge, the root of three channels' squares; and the pixels beside it."""
COLOURED, SEEDS, FEW_SEEDS = 12, 64, 16
"""Nouns whose places and colours are looked at over many seeds; of all others the variants alone, over fewer."""
IN_DATA = 300
"""Scenes that tell how far a thing's centre moves in the data."""
TIMED = ("a cat under a tree at night", "a red car", "一只可爱的猫咪", "两只绵羊")
FREE_PROMPTS = Path(__file__).with_name("free_prompts.tsv")


def measure(weights: Path | None = None, *, seed: int) -> dict[str, float]:
    """The figures of the weights that come along, or of a folder's, in at most twenty minutes on two cores.

    They are those of `measure_model`, and `training_minutes`, 0.
    """
    return measure_model(TextToImage.load(weights or PRETRAINED), seed=seed) | {"training_minutes": 0.0}


def measure_model(model: TextToImage, *, seed: int) -> dict[str, float]:
    """All figures of a model, their names behind `storybook_`.

    Args:
        model: What is judged.
        seed: Of the scenes, the noise and the prompts.

    Returns:
        `single`, `pair`, `triple`, `count`: shares of drawings that are right in all of `ASKED`;
        `psnr` in dB, `ssim`: see `likeness`; `sharpness`: see there; `spread`, `open_colours`, `variants`: see
        `openness`; `free_prompts`: see `obliging`; `prompts_kept`: see `storybook_prompts`; `64_ms`, `128_ms`,
        `256_ms`: see `milliseconds`, left out where the machine is not idle enough to tell.
    """
    generator, draw = model.generator, fitting(drawing(model.generator))
    scenes = {kind: withheld_scenes(kind, count, seed=seed) for kind, count in COUNTS.items()}
    with readers() as read:
        figures = {
            **{kind: obeyed(draw, read, some, seed=seed) for kind, some in scenes.items()},
            **likeness(generator, scenes["single"][:LIKELIEST]),
            "sharpness": sharpness(generator, read, scenes["single"][:SHARP], seed=seed),
            **openness(draw, read, seed=seed),
            "free_prompts": obliging(model, read, seed=seed),
        }
    figures["prompts_kept"] = prompts_kept(generator.language_model, seed=seed)
    with contextlib.suppress(UnsteadyError):
        figures |= milliseconds(model)
    return {f"storybook_{name}": value for name, value in figures.items()}


def withheld_scenes(kind: str, count: int, *, seed: int) -> list[Scene]:
    """Scenes of a kind that never enter training; pairs for their (noun, relation, noun), whatever the place."""
    drawn = (each.scene for each in sample(sys.maxsize, seed, withheld=True, shares={kind: 1.0}))
    chosen = (scene for scene in drawn if kind != "pair" or any(is_withheld_pair(*pair) for pair in scene.story.pairs))
    return list(itertools.islice(chosen, count))


def fitting(draw: Draw) -> Draw:
    """The same drawings at the size that the judge reads."""
    return lambda captions, seeds: fitted(draw(captions, seeds))


def fitted(pictures: Pictures) -> Pictures:
    """Pictures at 64 pixels: means over squares of finer ones, and a square for each pixel of coarser ones."""
    side = pictures.shape[1]
    if side < SIZE:
        return pictures.repeat(SIZE // side, axis=1).repeat(SIZE // side, axis=2)
    step = side // SIZE
    squares = pictures.reshape(len(pictures), SIZE, step, SIZE, step, 3)
    return np.rint(squares.mean((2, 4))).astype(np.uint8)


def complete(scenes: Sequence[Scene], *, seed: int) -> list[str]:
    """A caption of each scene that says all that it can, by turns in English and in Chinese."""
    rng = np.random.default_rng(seed)
    told = [captions(scene, rng, said=frozenset(sayable(scene))) for scene in scenes]
    return [each.chinese if number % 2 else each.english for number, each in enumerate(told)]


def obeyed(draw: Draw, read: Read, scenes: Sequence[Scene], *, seed: int) -> float:
    """The share of scenes that are drawn as their captions say, in all of `ASKED`."""
    seeds = range(seed, seed + len(scenes))
    readings = read(draw(complete(scenes, seed=seed), [*seeds]))
    verdicts = (verdict(reading, scene) for reading, scene in zip(readings, scenes, strict=True))
    return mean(all(found[path] for path in ASKED[scene.kind]) for found, scene in zip(verdicts, scenes, strict=True))


def mean(values: Iterable[float]) -> float:
    """Of any numbers, 0 of none."""
    return float(np.mean([*values] or [0.0]))


def likeness(generator: Drawer, scenes: Sequence[Scene]) -> dict[str, float]:
    """PSNR in dB and SSIM of drawings without noise, of complete captions, against the canonical picture.

    In that, everything is in its place and of its natural size. What even a complete caption leaves open, such as where
    a thing faces, which drawing of the place is behind it or which drops fall, has the value nearest to the drawing.

    Args:
        generator: What is judged.
        scenes: Single things.
    """
    drawn = fitted(to_uint8(generator.draw_likeliest(tf.constant(complete(scenes, seed=0)))).numpy())
    nearest = np.stack([nearest_canonical(picture, scene) for picture, scene in zip(drawn, scenes, strict=True)])
    return {"psnr": float(psnr(drawn, nearest).mean()), "ssim": float(ssim(drawn, nearest).mean())}


def nearest_canonical(picture: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
    """Of the canonical pictures of a scene's complete caption, the one with the least squared error."""
    pictures = [render(each, SIZE) for each in canonical_scenes(scene)]
    return min(pictures, key=lambda each: float(((each.astype(np.float32) - picture) ** 2).sum()))


class Script(Dice):
    """Chance that makes given choices and does not wobble.

    Args:
        choices: The number of each item that is picked, one after the other; the first item after the last of these.
    """

    def __init__(self, choices: Sequence[int] = ()) -> None:
        super().__init__(None)
        self.choices = choices
        self.sizes: list[int] = []

    def pick(self, items: Sequence[Item]) -> Item:
        """The next choice."""
        number = len(self.sizes)
        self.sizes.append(len(items))
        return items[self.choices[number] if number < len(self.choices) else 0]


def canonical_scenes(scene: Scene) -> list[Scene]:
    """The scenes of one thing, without jitter, that a complete caption of this scene is of."""
    first = Script()
    lay_out_with(first, scene.story)
    scripts = (Script(choices) for choices in itertools.product(*map(range, first.sizes)))
    laid = (lay_out_with(script, scene.story) for script in scripts)
    # Which rain falls makes no difference where none falls.
    return list({svg(each): each for each in laid if said_variants(each) == said_variants(scene)}.values())


def said_variants(scene: Scene) -> list[str | None]:
    """The variant of each figure, where captions can say it."""
    pairs = zip(scene.story.roles, scene.figures, strict=True)
    return [figure.variant if figure.variant in role.thing.words else None for role, figure in pairs]


def sharpness(generator: Drawer, read: Read, scenes: Sequence[Scene], *, seed: int) -> float:
    """The energy of edges at 256 pixels, as a share of that of real pictures.

    The real picture is a rendering of what the judge reads off the drawing. Energy is the sum of the squared
    differences between neighbouring pixels, over all that are within two pixels of an edge of the real picture: noise
    elsewhere gains nothing, nor does an edge in another place.

    Args:
        generator: What is judged.
        read: The judge.
        scenes: Single things.
        seed: Of the noise.

    Returns:
        The mean over the scenes: 1 is as sharp as real pictures, and half is an edge that is twice as wide.
    """
    seeds = range(seed, seed + len(scenes))
    drawn = generator.generate(complete(scenes, seed=seed), seed=[*seeds], scale=FINE // generator.picture_size)
    real = np.stack([render(reading.scene, FINE) for reading in read(fitted(drawn))])
    return mean(edge_energy(one, other) for one, other in zip(drawn, real, strict=True))


def edge_energy(drawn: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """The energy of a drawing's edges where a real picture, uint8[s, s, 3], has edges, as a share of the latter's."""
    ours, theirs = steepness(drawn), steepness(real)
    edges = np.pad(theirs > EDGE**2, NEAR)
    near = sliding_window_view(edges, (2 * NEAR + 1, 2 * NEAR + 1)).any(axis=(2, 3))
    return float(ours[near].sum() / max(1.0, theirs[near].sum()))


def steepness(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The squared differences to the pixels on the right and below, over all channels: float32[s - 1, s - 1]."""
    values = picture.astype(np.float32)
    across, down = values[:-1, 1:] - values[:-1, :-1], values[1:, :-1] - values[:-1, :-1]
    return (across**2 + down**2).sum(-1)


def openness(draw: Draw, read: Read, *, seed: int) -> dict[str, float]:
    """Whether noise decides what captions leave open: each noun by one caption that says its place, time and weather.

    Drawings without the noun are no evidence of anything.

    Returns:
        `spread`: the root mean square, over nouns, of how far a centre moves from seed to seed, in units of how far it
        moves in the data, 0 where no noun is drawn twice; `open_colours`: how many of the eight colours are drawn, the
        mean over nouns; `variants`: the share of a noun's variants that are drawn, the mean over all nouns.
    """
    stories = {noun: plain_story(noun) for noun in THINGS}
    coloured = [noun for noun, story in stories.items() if story.roles[0].colour]
    looked_at = {coloured[number * len(coloured) // COLOURED] for number in range(COLOURED)}
    rng = np.random.default_rng(seed)
    drawn = {noun: SEEDS if noun in looked_at else FEW_SEEDS for noun in stories}
    told = [open_caption(story, rng, chinese=number % 2 == 1) for number, story in enumerate(stories.values())]
    texts = [text for text, count in zip(told, drawn.values(), strict=True) for _ in range(count)]
    readings = iter(read(draw(texts, [seed + number for count in drawn.values() for number in range(count)])))
    seen = {
        noun: [figure for reading in itertools.islice(readings, count) for figure in reading.of(noun)[:1]]
        for noun, count in drawn.items()
    }
    moved = [variance(seen[noun]) / variance(laid_out(stories[noun], rng)) for noun in looked_at if len(seen[noun]) > 1]
    return {
        "spread": mean(moved) ** 0.5,
        "open_colours": mean(float(len({figure.colour for figure in seen[noun]})) for noun in looked_at),
        "variants": mean(
            len({figure.variant for figure in figures}) / len(THINGS[noun].variants) for noun, figures in seen.items()
        ),
    }


def plain_story(noun: str) -> Story:
    """A thing alone, where it is at home, at the first time of day and in the first weather that it is seen in."""
    thing = THINGS[noun]
    place = PLACES[thing.places[0]]
    time, weather = (
        next(value for value in all_of_them if value in of_place and value in of_thing)
        for all_of_them, of_place, of_thing in (
            (TIMES, place.times, thing.times),
            (WEATHERS, place.weathers, thing.weathers),
        )
    )
    role = Role(noun, next(iter(COLOURS)) if thing.part else None)
    return Story("single", (role,), (), place.name, time, weather)


def open_caption(story: Story, rng: Rng, *, chinese: bool) -> str:
    """A caption that leaves the colour and the variant open."""
    scene = lay_out(story)
    said = frozenset({"place", "time", "weather"}.intersection(sayable(scene)))
    told = captions(scene, rng, said=said)
    return told.chinese if chinese else told.english


def laid_out(story: Story, rng: Rng) -> list[Figure]:
    """Where the data have a story's thing, many times."""
    return [lay_out(story, rng).figures[0] for _ in range(IN_DATA)]


def variance(figures: Sequence[Figure]) -> float:
    """Of a centre, summed over both axes."""
    return float(np.array([(figure.x, figure.y) for figure in figures]).var(axis=0, ddof=1).sum())


def obliging(model: TextToImage, read: Read, *, seed: int) -> float:
    """The share of free prompts, expanded and refined, whose drawing has the noun that they ask for.

    They were written by hand, in English and in Chinese, and none of them is a caption.
    """
    lines = FREE_PROMPTS.read_text(encoding="utf-8").splitlines()
    prompts, nouns = zip(*(line.split("\t") for line in lines), strict=True)
    pictures = model.generate(list(prompts), seed=range(seed, seed + len(prompts)))
    return mean(float(bool(reading.of(noun))) for reading, noun in zip(read(fitted(pictures)), nouns, strict=True))


def milliseconds(model: TextToImage) -> dict[str, float]:
    """From a prompt to a PNG, expanded and refined, by the exported model in this process at batch 1: p50s.

    Returns:
        `64_ms`, `128_ms` and `256_ms`.

    Raises:
        UnsteadyError: If the machine does too much else.
    """
    with tempfile.TemporaryDirectory() as folder:
        export_text_to_image(model, Path(folder, "1"))
        scaled = tf.saved_model.load(str(Path(folder, "1"))).signatures["scaled"]
        own = model.generator.picture_size
        sides = {f"{side}_ms": functools.partial(draw_all, scaled, side // own) for side in (64, 128, 256)}
        return {name: timing.ms / len(TIMED) for name, timing in in_turn(sides).items()}


def draw_all(scaled: Callable[..., Any], scale: int) -> None:
    """Draw some prompts, one by one."""
    for seed, prompt in enumerate(TIMED):
        scaled(
            prompt=tf.constant([prompt]),
            seed=tf.constant([seed], tf.int64),
            temperature=tf.constant([TEMPERATURE]),
            expand=tf.constant([True]),
            refine=tf.constant([True]),
            candidates=tf.constant([1], tf.int64),
            scale=tf.constant([scale], tf.int64),
        )
