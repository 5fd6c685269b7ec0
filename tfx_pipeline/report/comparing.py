"""The comparison of two runs: their data, settings, metrics and pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tfx_pipeline.judging.verdict import verdicts
from tfx_pipeline.kinds import KINDS
from tfx_pipeline.runs.history import Run

Pairs = dict[str, list[Any]]
GAP, TITLE = 8, 16


def compared(first: Run, second: Run) -> dict[str, Pairs]:
    """Pairs of values by name: those of the data and settings that differ, and all metrics."""
    metrics = [flat({verdict.model: verdict.measured for verdict in verdicts(run)}) for run in (first, second)]
    return {
        "data": differing(flat(first.data), flat(second.data)),
        "config": differing(flat(first.config), flat(second.config)),
        "metrics": pairs(*metrics),
    }


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as a flat one with dotted names."""
    leaves: dict[str, Any] = {}
    for name, value in nested.items():
        leaves |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return leaves


def pairs(first: dict[str, Any], second: dict[str, Any]) -> Pairs:
    """Both values of every name; None for a missing one."""
    return {name: [first.get(name), second.get(name)] for name in {**first, **second}}


def differing(first: dict[str, Any], second: dict[str, Any]) -> Pairs:
    """The pairs that differ."""
    return {name: pair for name, pair in pairs(first, second).items() if pair[0] != pair[1]}


def side_by_side(first: Run, second: Run, out: Path) -> bool:
    """Write a PNG of the last samples of both runs, one row per model; return False if there are none."""
    rows = [(name, [last_samples(run, name) for run in (first, second)]) for name in KINDS]
    drawn = [row for name, sheets in rows if any(sheets) for row in [titled(name, (first, second), sheets)]]
    if not drawn:
        return False
    canvas = Image.new("RGB", (max(row.width for row in drawn), sum(row.height for row in drawn)), "white")
    top = 0
    for row in drawn:
        canvas.paste(row, (0, top))
        top += row.height
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out, "PNG")
    return True


def last_samples(run: Run, model: str) -> Path | None:
    """The last grid of pictures drawn by a run's Trainer, if it still exists."""
    step = run.step(f"Trainer.{model}")
    folders = [Path(item.uri) / "samples" for item in step.outputs if item.name == "model_run"] if step else []
    grids = [file for folder in folders for file in folder.glob("*.png")]
    return max(grids, key=lambda file: file.stat().st_mtime_ns, default=None)


def titled(model: str, runs: tuple[Run, Run], sheets: list[Path | None]) -> Image.Image:
    """The grids of both runs side by side, with their names."""
    opened = list(grids(sheets))
    height = TITLE + max(grid.height for grid in opened) + GAP
    row = Image.new("RGB", (sum(grid.width + GAP for grid in opened) - GAP, height), "white")
    left = 0
    for run, grid in zip(runs, opened, strict=True):
        ImageDraw.Draw(row).text((left, 2), f"{model}, {run.id[:19]}", "black")
        row.paste(grid, (left, TITLE))
        left += grid.width + GAP
    return row


def grids(sheets: list[Path | None]) -> Iterator[Image.Image]:
    """The grids as pictures; a missing one is grey."""
    for file in sheets:
        yield Image.new("RGB", (256, 64), "lightgrey") if file is None else Image.open(file).convert("RGB")
