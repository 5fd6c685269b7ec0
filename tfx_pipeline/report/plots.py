"""Plots as inline SVG in the colours of the page, so that they follow its dark mode."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, FIRST, SECOND = "#010101", "#010102", "#010103"
OF_THE_PAGE = {INK: "currentColor", FIRST: "var(--first)", SECOND: "var(--second)"}
METADATA = ("Creator", "Date", "Format", "Type")
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "easel",
    "font.size": 9,
    "axes.labelsize": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def curve(steps: Sequence[int], values: Sequence[float]) -> Markup:
    """A quantity over the steps of a training."""

    def plot(axes: Axes) -> None:
        axes.plot(steps, values, color=FIRST, linewidth=1.8)
        axes.plot(steps[-1:], values[-1:], "o", color=FIRST, markersize=4)

    return drawn(plot, "over the steps of training", size=(3, 1.7))


def histograms(rows: dict[str, NDArray[Any]], *, unit: str, bins: Any = 30) -> Markup:
    """A histogram; the first row of values is filled, a second one is a line."""

    def plot(axes: Axes) -> None:
        (first, values), *others = rows.items()
        _, edges, _ = axes.hist(values, bins=bins, color=FIRST, alpha=0.8, label=first)
        for label, more in others:
            axes.hist(more, bins=list(edges), histtype="step", color=SECOND, linewidth=1.8, label=label)
        axes.set_xlabel(unit)

    return drawn(plot, f"how {unit} is distributed", size=(4.2, 2.2))


def drawn(plot: Callable[[Axes], None], label: str, *, size: tuple[float, float]) -> Markup:
    """The plot that a function draws on axes, as a scalable SVG element; the label is for screen readers."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        plot(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(axis="both", nbins=5)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    return Markup(as_element(out.getvalue(), label))


def as_element(svg: str, label: str) -> str:
    """An SVG file as an element of a page: without prologue, size and ids of groups, in the page's colours."""
    element = svg[svg.index("<svg ") :]
    box = re.search(r'viewBox="([^"]*)"', element)
    opening = f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="{box[1] if box else ""}">'
    element = opening + element[element.index(">") + 1 :]
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r"font-family: [^;\"]*; ?|<style.*?</style>", "", element, flags=re.S)
    for sentinel, colour in OF_THE_PAGE.items():
        element = element.replace(sentinel, colour)
    return element
