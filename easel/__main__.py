"""`easel` and `python -m easel`: the command line, where nothing hides its packages."""

import sys
from importlib.util import find_spec
from pathlib import Path

from easel import IMPORT_NAMES

INSTALLED_IN = Path(__file__).parents[1]


def hiding() -> dict[str, str]:
    """What an import would find in place of each hidden package, by import name."""
    found = {name: find_spec(name) for name in IMPORT_NAMES}
    origins = {name: str(spec and spec.origin) for name, spec in found.items()}
    return {name: origin for name, origin in origins.items() if Path(origin).parent != INSTALLED_IN / name}


def main() -> None:
    """Run the command that was typed; exit code 1 where another module has the name of a package of Easel's."""
    for name, origin in hiding().items():
        sys.exit(f"`import {name}` finds {origin}, not Easel's {name}: install Easel in an environment of its own.")
    from easel.cli import main as run

    run()


if __name__ == "__main__":
    main()
