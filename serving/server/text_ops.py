"""The text operations that SavedModels need in order to load.

Importing tensorflow_text would register them, but it also imports Keras, which takes as long as loading two models.
Each of its twenty libraries takes 5 MB, so only those are loaded that a model needs.
"""

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework import op_def_registry


def register(operations: Iterable[str]) -> None:
    """Register the operations that TensorFlow does not know, if tensorflow_text has them."""
    found = importlib.util.find_spec("tensorflow_text")
    unknown = _unknown(operations)
    if not unknown or not found:
        return
    folder = Path(found.origin).parent / "python" / "ops" if found.origin else Path()
    for library in sorted(folder.glob("_*.so")):
        content = library.read_bytes()
        if any(name.encode() + b"\0" in content for name in unknown):
            tf.load_op_library(str(library))
    if _unknown(unknown):
        importlib.import_module("tensorflow_text")


def _unknown(operations: Iterable[str]) -> list[str]:
    return [name for name in operations if op_def_registry.get(name) is None]
