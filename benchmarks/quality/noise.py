"""Measures of whether the noise determines what a caption leaves open, and nothing else.

Every measure takes `draw`, which draws a picture for each caption and seed, and scenes of single objects. The judge
reads the drawings; those that do not match their caption are no evidence about the noise and do not count.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.quality import Draw, Pictures, judge
from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import JITTER, Scene


def seed_spread_ratio(draw: Draw, scenes: Sequence[Scene], *, seeds: int = 32) -> float:
    """The variation of an object's centre over seeds, relative to that in the data.

    Args:
        draw: The generator under test.
        scenes: Scenes of single objects; each is requested with a complete caption.
        seeds: Number of drawings per scene, at least 2.

    Returns:
        The standard deviation of the centre over correct drawings, as the root mean square over scenes and both axes,
        divided by that of the data, `JITTER` / sqrt(3) of the side. 1 is the variation of the data; 0 is always the
        same place, or no scene has two correct drawings.
    """
    variances = []
    for number, scene in enumerate(scenes):
        pictures = drawn(draw, scene, seeds, language=number % 2)
        right = pictures[judge.all_right(pictures, [scene] * seeds)]
        if len(right) > 1:
            variances.append(judge.centres(right).var(axis=0, ddof=1).mean() / right.shape[1] ** 2)
    return float(np.sqrt(3 * np.mean(variances or [0.0])) / JITTER)


def open_colours(draw: Draw, scenes: Sequence[Scene], *, seeds: int = 64) -> float:
    """The number of the eight colours that are drawn if the caption names none: the mean over scenes, 0 to 8.

    Args:
        draw: The generator under test.
        scenes: Scenes of single objects, whose colours the captions leave open.
        seeds: Number of drawings per scene.
    """
    counts = []
    for number, scene in enumerate(scenes):
        read = judge.read(drawn(draw, scene, seeds, language=number % 2, left_open="colour"))
        understood = [scene_read.attributes for scene_read in read if scene_read]
        counts.append(
            len({each["colour"] for each in understood if each == scene.attributes | {"colour": each.get("colour")}})
        )
    return float(np.mean(counts))


def seed_agreement(draw: Draw, scenes: Sequence[Scene], *, seeds: int = 16) -> float:
    """The agreement of seeds for complete captions: the share of drawings that show what most of them show, 0 to 1.

    Args:
        draw: The generator under test.
        scenes: Scenes of objects.
        seeds: Number of drawings per scene.
    """
    shares = []
    for number, scene in enumerate(scenes):
        read = judge.read(drawn(draw, scene, seeds, language=number % 2))
        commonest = Counter(judge.shown(each) for each in read if each).most_common(1)
        shares.append(sum(count for _, count in commonest) / seeds)
    return float(np.mean(shares))


def drawn(draw: Draw, scene: Scene, seeds: int, *, language: int, left_open: str | None = None) -> Pictures:
    """Drawings of one scene's caption with the seeds 0, 1, 2, ...; language 0 is English, 1 is Chinese."""
    caption = phrases.captions(scene.attributes, np.random.default_rng(0), left_open=left_open)[language]
    return draw([caption] * seeds, list(range(seeds)))
