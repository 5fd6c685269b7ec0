"""Documentation generated from the program: the help of the command line, the options of a drawing, the notebooks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

from easel.cli import app
from models.options import OPTIONS, Option

COMMANDS, DRAWING = "<!-- commands -->", "<!-- options -->"
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the notebooks as pages, with the outputs that are committed."""
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        for name, content in page(notebook):
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def page(notebook: Path) -> Iterator[tuple[str, str | bytes]]:
    """A notebook as a Markdown page and the pictures on it, each with its path."""
    pictures = {"unique_key": "picture", "output_files_dir": notebook.stem}
    text, resources = MarkdownExporter().from_filename(notebook, resources=pictures)
    # Material does not style tables that have a class.
    text = text.replace('<table border="1" class="dataframe">', "<table>")
    yield f"{notebook.stem}.md", re.sub(r"!\[(?:png|jpeg)\]", "![Output of the cell above]", text)
    yield from resources["outputs"].items()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert the commands and the options of a drawing into the pages that ask for them."""
    if DRAWING in markdown:
        head = ["| | type | default | range | |", "|---|---|---|---|---|"]
        markdown = markdown.replace(DRAWING, "\n".join([*head, *map(drawing_option, OPTIONS.values())]))
    if COMMANDS in markdown:
        commands = described(typer.main.get_command(app), "easel")
        markdown = markdown.replace(COMMANDS, "\n".join(commands))
    return markdown


def drawing_option(option: Option[Any]) -> str:
    """One option of a drawing as a table row."""
    default = "" if option.default is None else f"`{option.default}`"
    bounds = " to ".join(f"`{bound}`" for bound in option.bounds.values())
    return f"| `{option.name}` | {option.dtype} | {default} | {bounds} | {option.help} |"


def described(command: Any, words: str) -> Iterator[str]:
    """A command and its subcommands, as Markdown."""
    inner = getattr(command, "commands", {})
    if words != "easel" and (not inner or command.invoke_without_command):
        yield f"## {words}\n\n{command.help}\n"
        yield from options(command)
    for name, each in inner.items():
        yield from described(each, f"{words} {name}")


def options(command: Any) -> Iterator[str]:
    """The options of a command, as a table."""
    rows = [row for parameter in command.params if (row := option(parameter))]
    if rows:
        yield "\n".join(["| | | default |", "|---|---|---|", *rows, ""])


def option(parameter: Any) -> str:
    """One option or argument as a table row; --help is left out."""
    if parameter.name == "help":
        return ""
    flags = [*parameter.opts, *parameter.secondary_opts]
    names = flags if parameter.param_type_name == "option" else [parameter.metavar or parameter.name.upper()]
    default = "" if parameter.required or parameter.default in (None, False) else f"`{parameter.default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {parameter.help or ''} | {default} |"
