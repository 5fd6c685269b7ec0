"""All rows of the quality bench, each with the data that it needs; what `easel bench quality` runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.quality import captions, drawing, language, restoration, storybook
from benchmarks.quality.effort import Effort
from benchmarks.quality.programs import ElsewhereError

Figures = dict[str, float]

KEYS = (
    "shapes_all_five",
    "shapes_psnr",
    "shapes_ssim",
    "scenes_all_right",
    "seed_spread_ratio",
    "emoji_psnr",
    "emoji_r1",
    "cifar_class_accuracy",
    "set12_sigma25_psnr",
    "set5_x2_psnr",
    "inpaint_gain_db",
    "refine_psnr_gain",
    "shakespeare_nats",
    "prompt_attributes_kept",
    "storybook_single",
    "storybook_pair",
    "storybook_triple",
    "storybook_count",
    "storybook_psnr",
    "storybook_ssim",
    "storybook_sharpness",
    "storybook_spread",
    "storybook_open_colours",
    "storybook_variants",
    "storybook_free_prompts",
    "storybook_prompts_kept",
    "storybook_64_ms",
    "storybook_128_ms",
    "storybook_256_ms",
    "training_minutes",
)
"""What the answer always has; a figure that was not measured is None."""


class BenchError(Exception):
    """A bench that cannot be run; the message is one sentence."""


class Row(NamedTuple):
    """A group of figures that one training gives.

    Attributes:
        needs: What the data folder must hold, relative to it; None where the row draws its own data.
        measure: From that file or folder and what it may spend to figures, among them `training_minutes`.
    """

    needs: str | None
    measure: Callable[[Path, Effort], Figures]


ROWS: dict[str, Row] = {
    "pretrained": Row(None, lambda _, effort: drawing.measure_pretrained(effort.weights, seed=effort.seed)),
    "storybook": Row(None, lambda _, effort: storybook.measure(effort.weights, seed=effort.seed)),
    "shapes": Row(None, lambda _, effort: drawing.measure_singles(effort, trainings=1 if effort.programs else 3)),
    "scenes": Row(None, lambda _, effort: drawing.measure_scenes(effort)),
    "prompts": Row(None, lambda _, effort: drawing.measure_prompts(effort)),
    "emoji": Row("emoji", captions.measure_emoji),
    "cifar": Row("cifar10", captions.measure_classes),
    "photos": Row("photos", restoration.measure),
    "text": Row("tinyshakespeare.txt", language.measure),
}


def measure(
    data: Path | None,
    *,
    effort: Effort,
    rows: Sequence[str] = tuple(ROWS),
    say: Callable[[str], None] = print,
) -> dict[str, float | None]:
    """Run rows, one training after the other.

    Args:
        data: Folder of `emoji`, `cifar10`, `photos` and `tinyshakespeare.txt`, as far as there are; rows whose data are
            missing are not run, and `say` is told.
        effort: What each row may spend; with a folder of programs, rows whose programs wait there are not measured
            yet, and `say` is told what to do.
        rows: Which ones.
        say: Told what is going on.

    Returns:
        The figures by name, flat, and `<row>_minutes`; those of `KEYS` that were not measured are None.
        `training_minutes` is the longest training.

    Raises:
        BenchError: If a row does not exist.
    """
    unknown = [name for name in rows if name not in ROWS]
    if unknown:
        raise BenchError(f"There is no row {unknown[0]!r}: choose among {', '.join(ROWS)}.")
    figures: Figures = {}
    spent: Figures = {}
    for name in rows:
        row = ROWS[name]
        path = (data or Path()) / (row.needs or "")
        if row.needs and (data is None or not path.exists()):
            say(f"{name}: not run, for want of {row.needs} in the data folder.")
            continue
        say(f"{name}: training for about {effort.minutes:g} minutes a model set.")
        try:
            found = row.measure(path, effort.within(name))
        except ElsewhereError as waiting:
            say(f"{name}: {waiting}")
            continue
        say(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
        spent[name] = found.pop("training_minutes")
        figures |= {**found, f"{name}_minutes": spent[name]}
    return {**dict.fromkeys(KEYS), **figures, "training_minutes": max(spent.values(), default=None)}
