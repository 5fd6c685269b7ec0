"""The row of the table of networks for the toy, which the tests put there for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from models.learning.networks import NETWORKS, Network

TOY = Network("toy", recipe="toy_network:learn", fineness=2)


@contextmanager
def registered() -> Iterator[None]:
    """The toy among the networks that `drawing.network` may name."""
    with patch.dict(NETWORKS, {TOY.name: TOY}):
        yield
