"""Loading models from `.keras` files, which name their class."""

import importlib
import json
import zipfile
from pathlib import Path

import keras

PACKAGE = __name__.partition(".")[0]


def load_model(file: Path) -> keras.Model:
    """Load a model of any of this package's classes.

    Keras uses only classes of imported modules, so that a file cannot run code of its choice. This function imports the
    module that a file names if it belongs to this package; other modules have to be imported before.

    Args:
        file: A `.keras` file.

    Raises:
        TypeError: The class is unknown.
    """
    with zipfile.ZipFile(file) as archive:
        module = json.loads(archive.read("config.json"))["module"]
    if module.partition(".")[0] == PACKAGE:
        importlib.import_module(module)
    return keras.saving.load_model(file)
