"""Documentation generated from the program: the help of the command line, and the options of a drawing."""

from collections.abc import Iterator
from typing import Any

import typer

from easel.cli import app
from models.options import OPTIONS, Option

COMMANDS, DRAWING = "<!-- commands -->", "<!-- options -->"


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
