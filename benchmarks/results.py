"""The page of measured results, rendered from `results.json`, in which the benches record their figures.

In `docs/results.md.jinja` each figure is a macro, such as `{{ shapes_cpu.shapes_psnr | number(".1f") }}`. After a
change of the template, `make results` renders the page again.
"""

import json
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.speed.page import rounded

Results = dict[str, dict[str, Any]]


def record(
    docs: Path,
    name: str,
    figures: Mapping[str, float | None],
    *,
    command: str,
    seed: int | None,
    machine: Mapping[str, Any],
    **more: float,
) -> Path:
    """Replace an entry of `results.json`, and render the page.

    Args:
        docs: The folder of the documentation.
        name: The name of the entry.
        figures: The figures by name; None for those that were not measured, which are left out.
        command: The command that measured them.
        seed: Its seed; None if it has none.
        machine: The result of `benchmarks.speed.rows.machine`.
        more: Further fields of the entry, such as the budget.

    Returns:
        The page.
    """
    entry = {
        "command": command,
        "seed": seed,
        "machine": f"{machine['cores']} cores of an {machine['processor']}",
        "date": date.today().isoformat(),
        "commit": machine["commit"],
        **more,
        "figures": rounded({key: value for key, value in figures.items() if value is not None}),
    }
    text = json.dumps({**read(docs), name: entry}, indent=1, ensure_ascii=False)
    (docs / "results.json").write_text(text + "\n", encoding="utf-8")
    return write_page(docs)


def read(docs: Path) -> Results:
    """The entries of `results.json` by name, each with its command, machine, date, commit and figures."""
    return dict(json.loads((docs / "results.json").read_text(encoding="utf-8")))


def write_page(docs: Path) -> Path:
    """Render `results.md`."""
    page = docs / "results.md"
    page.write_text(rendered(docs), encoding="utf-8")
    return page


def rendered(docs: Path) -> str:
    """The text of `results.md`.

    Raises:
        jinja2.UndefinedError: A macro names a figure that is not in `results.json`.
    """
    results = read(docs)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.filters.update(number=number, share=share)
    template = environment.from_string((docs / "results.md.jinja").read_text(encoding="utf-8"))
    return template.render({name: entry["figures"] for name, entry in results.items()}, runs=results)


def number(value: float, spec: str) -> str:
    """A figure in a format of Python's, such as `.1f`, `+.2f` or `.1%`."""
    return format(float(value), spec)


def share(value: float, digits: int) -> str:
    """A figure with some decimals, without a leading zero: `.945`."""
    return f"{float(value):.{digits}f}".removeprefix("0")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
