"""The rows of `easel bench quality`, each with the data that it needs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.choosing import check_rows
from benchmarks.quality import captions, classes, drawing, language, restoration, storybook
from benchmarks.quality.effort import Effort
from benchmarks.quality.programs import ElsewhereError
from benchmarks.results import record
from benchmarks.speed.rows import machine
from models.pretrained import HERE as PRETRAINED

Figures = dict[str, float]


class Row(NamedTuple):
    """A group of figures that are measured together.

    Attributes:
        keys: Its figures; those that it cannot measure are None in the result.
        measure: From the data and the budget to the figures; includes `training_minutes` if it trains.
        needs: A path in the data folder, or an archive whose name begins with it and ends in `.tar.gz`; None if the row
            draws its own data.
        trains: Whether it trains models; other rows evaluate existing ones.
        weights: Whether it evaluates those in `Effort.weights` if they are given.
    """

    keys: tuple[str, ...]
    measure: Callable[[Path, Effort], Figures]
    needs: str | None = None
    trains: bool = True
    weights: bool = False

    def trains_with(self, effort: Effort) -> bool:
        """Whether it trains models in this case."""
        return self.trains and not (self.weights and effort.weights)


def keys(prefix: str, names: str) -> tuple[str, ...]:
    """Names with a prefix added."""
    return tuple(f"{prefix}_{name}" for name in names.split())


ROWS: dict[str, Row] = {
    "storybook": Row(
        keys(
            "storybook",
            "single pair triple count psnr ssim sharpness spread open_colours variants free_prompts prompts_kept "
            "64_ms 128_ms 256_ms",
        ),
        lambda _, effort: storybook.measure(effort.weights, seed=effort.seed),
        trains=False,
        weights=True,
    ),
    "storybook_judge": Row(
        keys("storybook_judge", "noun variant colour count relation place time weather strangers seconds"),
        lambda _, effort: storybook.measure_judge(effort.pictures, seed=effort.seed),
        trains=False,
    ),
    "shapes": Row(
        ("shapes_all_five", "shapes_psnr", "shapes_ssim", "seed_spread_ratio", "refine_psnr_gain"),
        lambda _, effort: drawing.measure_singles(effort, trainings=1 if effort.programs else 3),
    ),
    "scenes": Row(("scenes_all_right",), lambda _, effort: drawing.measure_scenes(effort)),
    "prompts": Row(("prompt_attributes_kept",), lambda _, effort: drawing.measure_prompts(effort)),
    "emoji": Row(("emoji_psnr", "emoji_r1"), captions.measure_emoji, needs="emoji"),
    "cifar": Row(
        keys("cifar", "class_accuracy gan_train kid_ratio recall draw_ms"),
        classes.measure,
        needs="cifar10",
        weights=True,
    ),
    "photos": Row(
        ("set12_sigma25_psnr", "set5_x2_psnr", "inpaint_gain_db"),
        restoration.measure,
        needs="photos",
    ),
    "restorer": Row(
        keys("shipped", "set12_sigma25_psnr set5_x2_psnr inpaint_gain_db 512_s"),
        lambda path, effort: restoration.measure_shipped(path, effort.weights or PRETRAINED, seed=effort.seed),
        needs="photos",
        trains=False,
        weights=True,
    ),
    "text": Row(("shakespeare_nats",), language.measure, needs="tinyshakespeare.txt"),
}


def needed(data: Path, name: str) -> Path:
    """The path of a name in a folder, or of an archive of it."""
    path = data / name
    archives = sorted(data.glob(f"{name}*.tar.gz")) if name else []
    return path if path.exists() or not archives else archives[0]


def measure(
    data: Path | None,
    *,
    effort: Effort,
    rows: Sequence[str] = tuple(ROWS),
    say: Callable[[str], None] = print,
    keep: Callable[[str, Mapping[str, float]], None] = lambda name, figures: None,
) -> dict[str, float | None]:
    """Run rows, one after the other.

    Args:
        data: A folder with `emoji`, `cifar10` (or an archive of it), `photos` and `tinyshakespeare.txt`, or some of
            them; rows whose data are missing are skipped, with a message.
        effort: The budget of each row. With a folder of programs, rows whose programs have not been run yet are not
            measured; a message says what to do.
        rows: Names of rows.
        say: Called with messages of progress.
        keep: Called with the name and the figures of each measured row, and the `minutes` it took.

    Returns:
        The figures of all rows by name; `keys` of these rows that were not measured are None. If something was trained,
        also `<row>_minutes` and `training_minutes`, that of the longest training.

    Raises:
        RowError: A row does not exist.
    """
    check_rows(rows, ROWS)
    figures: Figures = {}
    spent: Figures = {}
    for name in rows:
        row = ROWS[name]
        path = needed(data or Path(), row.needs or "")
        if row.needs and (data is None or not path.exists()):
            say(f"{name}: not run, because {row.needs} is not in the data folder.")
            continue
        trains = row.trains_with(effort)
        say(f"{name}: training for about {effort.minutes:g} minutes." if trains else f"{name}: nothing to train.")
        started = time.monotonic()
        try:
            measured = row.measure(path, effort.within(name))
        except ElsewhereError as waiting:
            say(f"{name}: {waiting}")
            continue
        say(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in measured.items()))
        if trains:
            spent[name] = measured.pop("training_minutes")
            measured[f"{name}_minutes"] = spent[name]
        keep(name, measured | {"minutes": (time.monotonic() - started) / 60})
        figures |= measured
    longest = {"training_minutes": max(spent.values())} if spent else {}
    return {**dict.fromkeys(key for name in rows for key in ROWS[name].keys), **figures, **longest}


def record_row(docs: Path, name: str, figures: Mapping[str, float], effort: Effort) -> None:
    """Record a row in the page of measured results; see `benchmarks.results`.

    The entry of a row that trains is `<name>_cpu`, or `<name>_gpu` if programs were trained elsewhere.
    """
    row = ROWS[name]
    trains = row.trains_with(effort)
    options = {
        "--data DATA": row.needs,
        f"--budget-minutes {effort.minutes:g}": trains,
        "--programs FOLDER": trains and effort.programs,
        "--weights FOLDER": row.weights and effort.weights,
    }
    command = " ".join(["easel bench quality --json --rows", name, *(text for text, used in options.items() if used)])
    entry = f"{name}_{'gpu' if effort.programs else 'cpu'}" if trains else name
    budget = {"budget_minutes": effort.minutes} if trains else {}
    record(docs, entry, figures, command=command, seed=effort.seed, machine=machine(), **budget)
