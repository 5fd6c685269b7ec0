"""Which rows of a bench to run."""

from collections.abc import Collection, Iterable


class RowError(Exception):
    """A row that a bench does not have; the message is one sentence."""


def check_rows(named: Iterable[str], rows: Collection[str]) -> None:
    """Refuse a name that no row has.

    Raises:
        RowError: For the first such name.
    """
    for name in named:
        if name not in rows:
            raise RowError(f"There is no row {name!r}: choose among {', '.join(rows)}.")
