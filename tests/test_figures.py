"""Measured figures in the documentation: each is in `docs/results.json`, and none is typed by hand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.results import read, rendered
from tfx_pipeline.config import PROFILES

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
ENGLISH = re.findall(r"\w+", WORDS)
CHINESE = [*"零一二三四五六七八九十", "十一", "十二", "十三", "十四", "十五"]
UNITS = r"(?:[GMK]i?B|m?s|dB|milliseconds?|seconds?|minutes?|hours?|times|percent)\b|%"
FIGURE = re.compile(
    rf"(?<![\w.])(?:\d[\d,.]*|\.\d+)[\s-]?(?:{UNITS})"
    rf"|\b(?:{'|'.join(ENGLISH)}|twenty|thirty|forty|fifty|sixty|half an?|quarter of an|an)[\s-](?:{UNITS})"
    rf"|\b(?:{'|'.join(ENGLISH)}) (?:of|in) (?:{'|'.join(ENGLISH)})\b"
    r"|(?<![\w.])\d*\.\d+(?![\w.])"
    r"|(?:\d[\d,.]*\s*|[一二三四五六七八九十百半]+\s*)个?(?:分钟|毫秒|秒|小时|倍|分之[一二三四五六七八九十])"
)
NOT_MEASURED = re.compile(r"`[^`\n]*`|https?://\S*|Python 3\.\d+|Apache (?:License )?2\.0")


class Claim(NamedTuple):
    """A sentence with a figure.

    Attributes:
        words: The sentence with one group, the figure.
        figure: What it must be, from the entries of `results.json`.
    """

    words: str
    figure: Callable[[dict[str, Any]], str]


def minutes(entry: str) -> Callable[[dict[str, Any]], str]:
    return lambda results: f"{ENGLISH[round(results[entry]['minutes'])]} minutes"


def minutes_in_chinese(entry: str) -> Callable[[dict[str, Any]], str]:
    return lambda results: f"{CHINESE[round(results[entry]['minutes'])]}分钟"


def disk(results: dict[str, Any]) -> str:
    return f"{results['install']['disk_gb']:.1f} GB"


def of_ten(results: dict[str, Any]) -> int:
    return round(10 * min(results["storybook"][f"storybook_{kind}"] for kind in ("pair", "triple")))


CLAIMS = {
    "README.md": [
        Claim(r"installation takes (\S+ GB)", disk),
        Claim(r"takes about (\w+ minutes) on two cores", minutes("demo")),
        Claim(r"--profile standard takes (an hour)", lambda _: PROFILES["standard"].time[: len("an hour")]),
        Claim(r"\(about (\w+) out of ten drawings are correct\)", lambda results: ENGLISH[of_ten(results)]),
        Claim(r"tutorial\S+ which takes (\w+ minutes)", minutes("tutorial")),
    ],
    "README.zh.md": [
        Claim(r"安装占用 (\S+ GB)", disk),
        Claim(r"在两个核心上大约需要(\S+分钟)", minutes_in_chinese("demo")),
        Claim(r"--profile standard takes (an hour)", lambda _: PROFILES["standard"].time[: len("an hour")]),
        Claim(r"约(十分之\S)正确", lambda results: f"十分之{CHINESE[of_ten(results)]}"),
        Claim(r"教程\S+大约需要(\S+分钟)", minutes_in_chinese("tutorial")),
    ],
    "docs/index.md": [Claim(r"first pictures, in (\w+ minutes)", minutes("tutorial"))],
    "docs/tutorial.md": [
        Claim(r"your own model in (\w+ minutes)", minutes("tutorial")),
        Claim(
            r"draws with, which takes (half a minute)",
            lambda results: {30: "half a minute"}[results["tutorial"]["convert_s"]],
        ),
        Claim(r"It takes about (\w+ seconds)", lambda results: f"{ENGLISH[results['tutorial']['ready_s']]} seconds"),
    ],
    "docs/troubleshooting.md": [],
}


def figures_of(text: str) -> list[re.Match[str]]:
    """Every figure with a unit or a decimal point, outside of code other than its comments."""
    text = re.sub(r"^```.*?^```$", lambda block: comments(block[0]), text, flags=re.MULTILINE | re.DOTALL)
    return list(FIGURE.finditer(NOT_MEASURED.sub(blank, text)))


def comments(block: str) -> str:
    """A block of code, blank but for comments, with its length."""
    return "".join(" " * len(code) + comment for code, comment in re.findall(r"([^#\n]*)(#.*|\n?)", block))


def blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {name: entry["figures"] for name, entry in read(DOCS).items()}


def test_the_page_of_results_is_up_to_date() -> None:
    assert (DOCS / "results.md").read_text(encoding="utf-8") == rendered(DOCS), "Run `make results`."


def test_every_entry_says_where_it_comes_from() -> None:
    for name, entry in read(DOCS).items():
        assert {"command", "seed", "machine", "date", "commit", "figures"} <= set(entry), name
        assert entry["command"] and entry["commit"] and re.fullmatch(r"\d{4}-\d\d-\d\d", entry["date"]), name


def test_the_page_of_results_uses_every_row() -> None:
    template = (DOCS / "results.md.jinja").read_text(encoding="utf-8")
    elsewhere = {"install", "demo", "tutorial"}
    assert {name for name in read(DOCS) if not re.search(rf"\b{name}\.", template)} == elsewhere


def test_no_figure_of_the_page_of_results_is_typed() -> None:
    typed, target = [], False
    for line in (DOCS / "results.md.jinja").read_text(encoding="utf-8").splitlines():
        cells = re.sub(r"{{.*?}}", "@", line).split("|")
        target = (target and len(cells) > 1) or " target " in cells
        # Targets are chosen, not measured; they are in the second column.
        typed += figures_of(" ".join(cells[:2] + cells[3:] if target else cells))
    assert [match[0] for match in typed] == []


@pytest.mark.parametrize("page", CLAIMS)
def test_every_figure_of_a_page_is_measured(page: str, results: dict[str, Any]) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    claimed = {}
    for words, figure in CLAIMS[page]:
        found = re.search(words, text)
        assert found, f"{page} no longer says {words!r}"
        assert found[1] == figure(results)
        claimed[found.start(1)] = found.end(1)
    assert [match[0] for match in figures_of(text) if claimed.get(match.start(), -1) < match.end()] == []


@pytest.mark.parametrize(
    "text",
    [
        "It takes 12 ms.",
        "It takes 12ms.",
        "It draws .945 of them.",
        "SSIM 0.61 and",
        "within forty seconds",
        "half an hour",
        "| 97% |",
        "3.9 GB",
        "two of three",
        "```sh\nmake demo  # takes eleven minutes\n```\n",
        "大约需要十二分钟",
        "三分之二",
    ],
)
def test_a_figure_is_found(text: str) -> None:
    assert figures_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "Python 3.11",
        "Apache 2.0",
        "`SSIM 0.61 < 0.70`",
        "at 64, 128 and 256 pixels",
        "```sh\nsleep 2.5\n```\n",
        "a second terminal",
    ],
)
def test_what_is_not_measured_is_no_figure(text: str) -> None:
    assert not figures_of(text)
