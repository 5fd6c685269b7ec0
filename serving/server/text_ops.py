"""The text operations that a SavedModel may hold; without them such a model does not load.

Importing tensorflow_text would bring them, and Keras with it, which takes as long to import as two models take to load.
"""

import importlib
import importlib.util
from pathlib import Path

import tensorflow as tf


def register() -> None:
    """Register the operations with TensorFlow; a second time does nothing."""
    found = importlib.util.find_spec("tensorflow_text")
    folder = Path(found.origin).parent / "python" / "ops" if found and found.origin else Path()
    libraries = sorted(folder.glob("_*.so"))
    for library in libraries:
        tf.load_op_library(str(library))
    if not libraries:
        importlib.import_module("tensorflow_text")
