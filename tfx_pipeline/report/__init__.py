"""The report of a run: one HTML file that needs neither a server nor a network."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jinja2

from tfx_pipeline.report.data import data
from tfx_pipeline.report.headline import commands, headline
from tfx_pipeline.report.numbers import curves, steps, tables
from tfx_pipeline.report.pictures import copying, films, walls
from tfx_pipeline.runs.history import Run
from tfx_pipeline.runs.root import Root


@dataclass(frozen=True)
class Remarks:
    """Facts about a run that the metadata store does not contain.

    Attributes:
        failure: Why it failed, as one sentence; empty if it did not.
        memory: Peak memory of the process in MiB, by component.
    """

    failure: str = ""
    memory: dict[str, float] = field(default_factory=dict)


def write_report(root: Root, run: Run, remarks: Remarks | None = None) -> Path:
    """Write the report of a run, complete or not, and return its file.

    Args:
        root: The root of the run.
        run: The run.
        remarks: Stored beside the report; None uses those stored there earlier.
    """
    file = root.report(run.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = file.with_suffix(".json")
    if remarks is not None:
        kept.write_text(json.dumps(asdict(remarks), ensure_ascii=False), encoding="utf-8")
    elif kept.is_file():
        remarks = Remarks(**json.loads(kept.read_text(encoding="utf-8")))
    file.write_text(page(root, run, remarks or Remarks()), encoding="utf-8")
    return file


def page(root: Root, run: Run, remarks: Remarks) -> str:
    """The report of a run as HTML."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"duration": duration, "plain": plain}
    top = headline(run, remarks.failure)
    return pages.get_template("page.html").render(
        run=run,
        headline=top,
        walls=walls(run),
        copying=copying(run),
        films=films(run),
        tables=tables(run),
        data=data(run),
        curves=curves(run),
        steps=steps(run, remarks.memory),
        commands=commands(root, run, top.state),
    )


def duration(seconds: float) -> str:
    """A duration in words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plain(name: str) -> str:
    """An identifier as words."""
    return name.replace("_", " ").capitalize()
