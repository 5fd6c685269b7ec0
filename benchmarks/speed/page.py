"""The page of results: Markdown with a plot for the documentation, or one HTML file."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from matplotlib.figure import Figure

TARGETS: Mapping[str, tuple[str, str, float, bool]] = {
    "vs_keras": ("prompt to PNG: speedup over plain Keras", "x", 3, True),
    "draw_256_ms": ("prompt to PNG, 256x256", "ms", 30, False),
    "generate_restore_ms": ("generator and restorer, 64x64, batch 1", "ms", 2, False),
    "generate_restore_peak_share": ("the same as a share of the fp32 peak", "", 0.25, True),
    "batch64_bf16_peak_share": ("the same at batch 64 as a share of the bf16 peak", "", 0.5, True),
    "decode_ms_per_token": ("a piece, with two LSTM layers of 512 units, batch 1", "ms", 0.4, False),
    "inference_served_vs_best_min": (
        "inference as served: speedup over the best other library, worst network",
        "x",
        1.0,
        True,
    ),
    "inference_vs_torch_min": (
        "inference with or without XLA: speedup over PyTorch's best, worst network",
        "x",
        1.2,
        True,
    ),
    "training_vs_torch_min": ("training step: speedup over PyTorch's best, worst network", "x", 1.0, True),
    "cold_start_s": ("from Python's start to the first picture", "s", 6, False),
    "local_start_s": ("`easel generate --local`, from Python's start to the PNG", "s", 1.5, False),
    "local_peak_mb": ("its peak memory", "MB", 250, False),
    "serving_peak_mb": ("a serving process with all four models", "MB", 900, False),
}
"""The description of a figure, its unit, the target, and whether higher is better."""
COMMAND = "easel bench speed --docs docs"
SIDES = {
    "ours": "ours",
    "ours, XLA": "ours, XLA",
    "plain Keras": "Keras",
    "PyTorch, eager": "PyTorch",
    "PyTorch, compiled": "PyTorch, compiled",
    "ONNX Runtime": "ONNX Runtime",
    "LiteRT": "LiteRT",
}
"""The sides of a comparison, with the names of their columns."""


class Table(NamedTuple):
    """A table with a title.

    Attributes:
        title: The title above it.
        head: The names of the columns.
        rows: The cells of each row.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_docs(figures: Mapping[str, Any], docs: Path) -> Path:
    """Write `speed.md`, `speed.json` (with which `make bench-check` compares) and the plot into the documentation.

    Figures of other rows from the last run are kept if the code and the machine are the same.
    """
    kept = docs / "speed.json"
    if kept.is_file():
        figures = together(json.loads(kept.read_text(encoding="utf-8")), figures)
    (docs / "images").mkdir(parents=True, exist_ok=True)
    (docs / "images" / "speed.svg").write_text(plot(figures), encoding="utf-8")
    kept.write_text(json.dumps(rounded(figures), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = docs / "speed.md"
    page.write_text(markdown(figures), encoding="utf-8")
    return page


def together(before: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of two runs; those of the second take precedence."""
    if before["machine"] != now["machine"]:
        return now
    again = {(line["what"], line["batch"]) for line in now["lines"]}
    others = [line for line in before["lines"] if (line["what"], line["batch"]) not in again]
    measured = {name: value for name, value in now.items() if value is not None}
    return {
        **before,
        **measured,
        "lines": [*others, *now["lines"]],
        "refused": {**before["refused"], **now["refused"]},
        "minutes": before["minutes"] + now["minutes"],
    }


def markdown(figures: Mapping[str, Any]) -> str:
    """The page for the documentation."""
    parts = ["# Speed", INTRODUCTION, *sentences(figures), "![Shares of the machine's peak](images/speed.svg)"]
    for title, head, rows in tables(figures):
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = f"""`{COMMAND}` wrote this page. The sides of a comparison took turns in one process, with the same
weights. A time is the median of several rounds; the spread is the distance between their quartiles, as a share of the
median. The bench refuses a row whose rounds spread by more than a quarter. A share of the peak is the rate of
floating point operations in matrix products and convolutions, divided by the highest rate that the machine reached in
large ones at the start of the run. A share of the bandwidth is the rate at which weights are read, divided by the
rate at which a product with a single row reads a matrix of the same size.

*Ours* is what is served by default. XLA has a column of its own, because TensorFlow Serving refuses graphs compiled
with it unless a flag allows them. *Plain Keras* calls one model after another from Python, as tutorials do, and the
language model once for each token of the text; each call is a `tf.function`. *A piece* is one such token."""


def sentences(figures: Mapping[str, Any]) -> Iterator[str]:
    """The machine and the versions, and what is missing."""
    machine, limits = figures["machine"], figures["limits"]
    libraries = ("tensorflow", "keras", "torch", "onnxruntime")
    versions = ", ".join(f"{name} {machine[name]}" for name in libraries if machine[name])
    cores, device = f"{machine['cores']} cores of an {machine['processor']}", machine["device"].upper()
    yield f"Machine: {cores}; networks on the {device}; {versions}; commit {machine['commit'] or 'unknown'}."
    native = "" if machine["bfloat16"] else ", which this processor does not multiply natively"
    yield (
        f"Peaks: {limits['fp32']:.0f} GFLOP/s in fp32, {limits['bf16']:.0f} in bf16{native}; "
        f"the run took {figures['minutes']:.1f} minutes."
    )
    for name, why in figures["refused"].items():
        yield f"Refused: {name}, since {why}."


def tables(figures: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of targets, of the compared libraries, and of everything that was timed."""
    yield Table("Targets", ["", "target", "measured", ""], [beside_target(name, figures[name]) for name in TARGETS])
    lines = figures["lines"]
    yield Table(
        "As served, beside other libraries", ["ms", "batch", *SIDES.values(), "best other / ours"], [*compared(lines)]
    )
    head = ["", "batch", "ms", "spread", "of the peak", "of the bandwidth"]
    for what in dict.fromkeys(line["what"] for line in lines):
        title = f"{what[0].upper()}{what[1:]}".replace("_", " ")
        yield Table(title, head, [cells(line) for line in lines if line["what"] == what])


def compared(lines: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    """A row for each piece of work that another library also did."""
    work = dict.fromkeys((line["what"], line["batch"]) for line in lines)
    for what, batch in work:
        ms = {line["side"]: line["ms"] for line in lines if (line["what"], line["batch"]) == (what, batch)}
        others = [time for side, time in ms.items() if not side.startswith("ours")]
        if "ours" in ms and others:
            times = [f"{ms[side]:.3g}" if side in ms else "" for side in SIDES]
            yield [what.replace("_", " "), str(batch), *times, f"{min(others) / ms['ours']:.2f}"]


def beside_target(name: str, value: float | None) -> list[str]:
    """A row with a figure and its target."""
    what, unit, target, more = TARGETS[name]
    bound = f"{'at least' if more else 'at most'} {with_unit(f'{target:g}', unit)}"
    if value is None:
        return [what, bound, "not measured", ""]
    reached = value >= target if more else value <= target
    number = f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return [what, bound, with_unit(number, unit), "reached" if reached else "missed"]


def with_unit(number: str, unit: str) -> str:
    """A number with its unit: `5 ms`, but `3x`."""
    return f"{number}{unit}" if unit == "x" else f"{number} {unit}".strip()


def cells(line: Mapping[str, Any]) -> list[str]:
    """A row with a timed side."""
    shares = ["" if line[name] is None else f"{line[name]:.1%}" for name in ("peak_share", "bandwidth_share")]
    return [line["side"], str(line["batch"]), f"{line['ms']:.3g}", f"{line['spread']:.0%}", *shares]


def plot(figures: Mapping[str, Any]) -> str:
    """A plot of the shares of the peak, for all sides that have one, as an SVG file."""
    lines = [line for line in figures["lines"] if line["peak_share"] is not None]
    labels = [f"{line['what']}, {line['batch']}: {line['side']}" for line in lines]
    figure = Figure(figsize=(8, 1 + 0.18 * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    colours = ["tab:blue" if line["side"].startswith("ours") else "tab:gray" for line in lines]
    axes.barh(labels, [100 * line["peak_share"] for line in lines], color=colours)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("% of the machine's peak")
    axes.spines[["top", "right"]].set_visible(False)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def html(figures: Mapping[str, Any]) -> str:
    """The page as one HTML file."""
    picture = base64.b64encode(plot(figures).encode()).decode()
    return (
        jinja2.Environment(autoescape=True)
        .from_string(HTML)
        .render(
            introduction=INTRODUCTION, sentences=list(sentences(figures)), tables=list(tables(figures)), picture=picture
        )
    )


HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Speed</title>
<style>body { font: 15px system-ui; max-width: 60rem; margin: 2rem auto }
td, th { padding: .1rem .8rem; text-align: left }
img { max-width: 100% }</style>
<h1>Speed</h1>
<p>{{ introduction }}</p>
{% for sentence in sentences %}<p>{{ sentence }}</p>
{% endfor %}
<img alt="Shares of the machine's peak" src="data:image/svg+xml;base64,{{ picture }}">
{% for table in tables %}<h2>{{ table.title }}</h2>
<table><tr>{% for name in table.head %}<th>{{ name }}{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}</html>
"""


def rounded(value: Any) -> Any:
    """A value with all floats in it rounded to four digits."""
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
