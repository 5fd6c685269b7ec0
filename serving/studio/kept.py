"""Temporary storage of pictures, for clients that ask for URLs."""

import secrets

MOST_BYTES = 64 * 2**20


class Kept:
    """The newest pictures, each under an unguessable name, which serves as the permission to read it.

    Args:
        most_bytes: maximum total size; beyond it, the oldest pictures are removed.

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
        """Return a picture; None if it was removed."""
        return self._pictures.get(name)
