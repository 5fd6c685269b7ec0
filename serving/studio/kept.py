"""Pictures that can be fetched for a while, for clients that ask for a URL."""

import secrets

MOST_BYTES = 64 * 2**20


class Kept:
    """The newest pictures, each under a name that nobody can guess, so that the name alone opens it.

    Args:
        most_bytes: how much all may take together; beyond it the oldest go.

    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pictures: dict[str, bytes] = {}
        self._bytes = 0

    def put(self, png: bytes) -> str:
        """Keep a picture and return its name."""
        name = f"{secrets.token_urlsafe(16)}.png"
        self._pictures[name] = png
        self._bytes += len(png)
        while self._bytes > self._most_bytes and len(self._pictures) > 1:
            self._bytes -= len(self._pictures.pop(next(iter(self._pictures))))
        return name

    def get(self, name: str) -> bytes | None:
        """Return a picture; None where it is gone."""
        return self._pictures.get(name)
