"""Whether noise decides what a caption leaves open, and nothing else.

Every measure is given `draw`, which draws one picture for each caption and seed, and single scenes to ask for. Readings
are those of the judge: a drawing that shows something else than the caption says is no evidence about noise.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.quality import Draw, Pictures, judge
from tfx_pipeline.datasets import phrases
from tfx_pipeline.datasets.shapes import JITTER, Scene


def seed_spread_ratio(draw: Draw, scenes: Sequence[Scene], *, seeds: int = 32) -> float:
    """How far an object's centre moves from seed to seed, in units of how far it moves in the data.

    Args:
        draw: What is measured.
        scenes: Single objects; each is asked for by a caption that names everything.
        seeds: Drawings of each scene, at least 2.

    Returns:
        The root mean square over scenes and both axes of the centre's standard deviation over the drawings that are
        right, divided by the data's own, `JITTER` / sqrt(3) of the side: 1 is as the data, 0 is always the same place,
        and also the answer where fewer than two drawings of every scene are right.
    """
    variances = []
    for number, scene in enumerate(scenes):
        pictures = drawn(draw, scene, seeds, language=number % 2)
        right = pictures[judge.all_right(pictures, [scene] * seeds)]
        if len(right) > 1:
            variances.append(judge.centres(right).var(axis=0, ddof=1).mean() / right.shape[1] ** 2)
    return float(np.sqrt(3 * np.mean(variances or [0.0])) / JITTER)


def open_colours(draw: Draw, scenes: Sequence[Scene], *, seeds: int = 64) -> float:
    """How many of the eight colours are drawn where the caption names none: the mean over the scenes, 0 to 8.

    Args:
        draw: What is measured.
        scenes: Single objects, whose colours are not told.
        seeds: Drawings of each scene.
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
    """How far seeds agree on what the caption does name, all of it: the share that shows what most seeds show, 0 to 1.

    Args:
        draw: What is measured.
        scenes: Scenes of objects.
        seeds: Drawings of each scene.
    """
    shares = []
    for number, scene in enumerate(scenes):
        read = judge.read(drawn(draw, scene, seeds, language=number % 2))
        commonest = Counter(judge.shown(each) for each in read if each).most_common(1)
        shares.append(sum(count for _, count in commonest) / seeds)
    return float(np.mean(shares))


def drawn(draw: Draw, scene: Scene, seeds: int, *, language: int, left_open: str | None = None) -> Pictures:
    """One scene under the seeds 0, 1, 2, ..., by one caption; language 0 is English and 1 is Chinese."""
    caption = phrases.captions(scene.attributes, np.random.default_rng(0), left_open=left_open)[language]
    return draw([caption] * seeds, list(range(seeds)))
