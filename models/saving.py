"""Models in `.keras` files, which say of what class they are."""

import importlib
import json
import zipfile
from pathlib import Path

import keras

PACKAGE = __name__.partition(".")[0]


def load_model(file: Path) -> keras.Model:
    """Load a model, whichever of this package's networks it is.

    Keras takes a class from no module that is not imported yet, lest a file run code of its own choice. So this imports
    modules of this package where a file names one; the module of any other network has to be imported before.

    Args:
        file: A `.keras` file.

    Raises:
        TypeError: If its class is not known.
    """
    with zipfile.ZipFile(file) as archive:
        module = json.loads(archive.read("config.json"))["module"]
    if module.partition(".")[0] == PACKAGE:
        importlib.import_module(module)
    return keras.saving.load_model(file)
