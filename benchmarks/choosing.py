"""The choice of a bench's rows."""

from collections.abc import Collection, Iterable


class RowError(Exception):
    """A bench has no such row; the message is one sentence."""


def check_rows(named: Iterable[str], rows: Collection[str]) -> None:
    """Check that all names are rows.

    Raises:
        RowError: There is no row of a name.
    """
    for name in named:
        if name not in rows:
            raise RowError(f"There is no row {name!r}: choose among {', '.join(rows)}.")
