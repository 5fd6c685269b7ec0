"""One line of JSON for each request, without what people wrote unless that is asked for."""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

import numpy as np

_LONGEST_TEXT = 1000


class RequestLog:
    """Writes the lines.

    Args:
        with_prompts: let them hold the text inputs; names that end in `_bytes`, such as pictures, never appear.
        out: where to; the standard error when None.

    """

    def __init__(self, *, with_prompts: bool = False, out: TextIO | None = None) -> None:
        self._with_prompts = with_prompts
        self._out = out or sys.stderr

    def write(self, fields: Mapping[str, object], inputs: Mapping[str, np.ndarray]) -> None:
        """Write the line of one request; one that a full disk cannot take is left out, and the request is answered."""
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
        line["rows"] = max((tensor.shape[0] for tensor in inputs.values() if tensor.ndim), default=0)
        if self._with_prompts:
            line["texts"] = {name: _texts(each) for name, each in inputs.items() if _is_text(name, each)}
        with suppress(OSError):
            print(json.dumps(line, ensure_ascii=False), file=self._out, flush=True)


def _is_text(name: str, tensor: np.ndarray) -> bool:
    return tensor.dtype == object and not name.endswith("_bytes")


def _texts(tensor: np.ndarray) -> list[str]:
    return [value.decode(errors="replace")[:_LONGEST_TEXT] for value in tensor.ravel().tolist()]
