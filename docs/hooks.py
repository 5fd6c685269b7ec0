"""What the documentation takes from the program itself: the command line's own help."""

from collections.abc import Iterator
from typing import Any

import typer

from easel.cli import app

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the commands where a page asks for them."""
    if MARK not in markdown:
        return markdown
    return markdown.replace(MARK, "\n".join(described(typer.main.get_command(app), "easel")))


def described(command: Any, words: str) -> Iterator[str]:
    """A command and those below it, as Markdown."""
    inner = getattr(command, "commands", {})
    if words != "easel" and (not inner or command.invoke_without_command):
        yield f"## {words}\n\n{command.help}\n"
        yield from options(command)
    for name, each in inner.items():
        yield from described(each, f"{words} {name}")


def options(command: Any) -> Iterator[str]:
    """What a command takes, as a table."""
    rows = [row for parameter in command.params if (row := option(parameter))]
    if rows:
        yield "\n".join(["| | | default |", "|---|---|---|", *rows, ""])


def option(parameter: Any) -> str:
    """One option or argument as a row; --help is left out."""
    if parameter.name == "help":
        return ""
    flags = [*parameter.opts, *parameter.secondary_opts]
    names = flags if parameter.param_type_name == "option" else [parameter.metavar or parameter.name.upper()]
    default = "" if parameter.required or parameter.default in (None, False) else f"`{parameter.default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {parameter.help or ''} | {default} |"
