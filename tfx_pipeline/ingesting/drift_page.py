"""An HTML page that compares new data with those of the last run."""

import base64
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import tensorflow_data_validation as tfdv

SAMPLES = "samples.png"
BARS = 10


class Distance(NamedTuple):
    """The distance of a feature between two datasets.

    Attributes:
        feature: The name of the feature.
        kind: `drift` from the last run, or `skew` between training and evaluation.
        value: The distance, 0 to 1.
        most: The largest allowed distance.
    """

    feature: str
    kind: str
    value: float
    most: float

    @property
    def too_far(self) -> bool:
        """Whether the distance is larger than allowed."""
        return self.value > self.most

    def __str__(self) -> str:
        """One clause with both numbers."""
        return f"{self.kind} of {self.feature} {self.value:.3f} {'>' if self.too_far else '<='} {self.most:.3f}"


def of_split(statistics: Path, split: str) -> Any:
    """The statistics of a split."""
    return tfdv.load_stats_binary(str(statistics / f"Split-{split}" / "FeatureStats.pb"))


PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Drift</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
td, th { padding: .2rem .8rem; text-align: left } .far { color: #b00020; font-weight: bold }
img { image-rendering: pixelated; max-width: 100% } figure { display: inline-block; margin: 0 1rem 1rem 0 }
svg rect { fill: #4a6fa5 }
</style>
<h1>New data beside those of the last run</h1>
<p>$verdict</p>
<figure><figcaption>last run</figcaption><img alt="pictures of the last run" src="$before"></figure>
<figure><figcaption>now</figcaption><img alt="pictures of this run" src="$now"></figure>
<table><tr><th>feature<th>compared<th>distance<th>allowed<th>last run<th>now</tr>
$rows
</table></html>
""")


def drift_page(measured: list[Distance], before: Path, now: Path) -> str:
    """The page with pictures of both datasets, and every distance with both histograms."""
    far = [distance for distance in measured if distance.too_far]
    verdict = f"Too far: {'; '.join(map(str, far))}." if far else "Nothing exceeds the limits in the settings."
    both = [
        {feature.path.step[0]: feature for feature in of_split(place, "train").datasets[0].features}
        for place in (before, now)
    ]
    return PAGE.substitute(
        verdict=escape(verdict),
        before=inline(before / SAMPLES),
        now=inline(now / SAMPLES),
        rows="\n".join(row(distance, *both) for distance in measured),
    )


def row(distance: Distance, before: dict[str, Any], now: dict[str, Any]) -> str:
    """A distance as a row of the table."""
    cells = [distance.feature, distance.kind, f"{distance.value:.3f}", f"{distance.most:.3f}"]
    text = "".join(f"<td>{escape(cell)}" for cell in cells)
    drawn = "".join(
        f"<td>{bars(heights(side[distance.feature]))}" for side in (before, now) if distance.feature in side
    )
    return f"<tr{' class=far' if distance.too_far else ''}>{text}{drawn}</tr>"


def heights(feature: Any) -> list[tuple[str, float]]:
    """Labels and counts of the buckets of a number, or of the most common names."""
    if feature.HasField("num_stats"):
        buckets = feature.num_stats.histograms[0].buckets
        return [(f"{bucket.low_value:.0f} to {bucket.high_value:.0f}", bucket.sample_count) for bucket in buckets]
    return [(value.value, value.frequency) for value in feature.string_stats.top_values][:BARS]


def bars(values: list[tuple[str, float]]) -> str:
    """A small histogram, with the labels of the bars as tooltips."""
    top = max((height for _, height in values), default=0) or 1
    drawn = (
        f'<rect x="{12 * place}" y="{30 - 30 * height / top:.1f}" width="10" height="{30 * height / top:.1f}">'
        f"<title>{escape(label)}: {height:,.0f}</title></rect>"
        for place, (label, height) in enumerate(values)
    )
    return f'<svg width="{12 * max(1, len(values))}" height="30">{"".join(drawn)}</svg>'


def inline(picture: Path) -> str:
    """A PNG as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
