"""One line of JSON for each request, without prompts unless they are requested."""

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
        with_prompts: include text inputs; inputs whose names end in `_bytes`, such as pictures, are never included.
        out: the stream to write to; None for standard error.

    """

    def __init__(self, *, with_prompts: bool = False, out: TextIO | None = None) -> None:
        self._with_prompts = with_prompts
        self._out = out or sys.stderr

    def write(self, fields: Mapping[str, object], inputs: Mapping[str, np.ndarray]) -> None:
        """Write the line of one request; if the disk is full, the line is dropped, and the request is answered."""
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
