"""The networks of a bundle, run by LiteRT."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MOST_THREADS = 4


class Networks:
    """Networks by name; a file is loaded when the first of its networks is called.

    Args:
        folder: the folder of the files.
        files: the networks in each file, by its name.

    """

    def __init__(self, folder: Path, files: Mapping[str, Sequence[str]]) -> None:
        self._file_of = {name: folder / file for file, names in files.items() for name in names}
        self._interpreters: dict[Path, Interpreter] = {}
        self._runners: dict[str, Any] = {}
        # An interpreter holds the tensors of a single call.
        self._lock = threading.Lock()

    def __call__(self, name: str, **inputs: NDArray[Any]) -> dict[str, Floats]:
        """Run a network on inputs, and return its outputs."""
        with self._lock:
            if name not in self._runners:
                self._runners[name] = self._open(self._file_of[name]).get_signature_runner(name)
            outputs: dict[str, Floats] = self._runners[name](**inputs)
            return outputs

    def _open(self, file: Path) -> Interpreter:
        if file not in self._interpreters:
            threads = min(os.cpu_count() or 1, MOST_THREADS)
            self._interpreters[file] = Interpreter(model_path=str(file), num_threads=threads)
        return self._interpreters[file]
