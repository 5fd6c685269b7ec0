"""Functions that `keras.ops` lacks, implemented in a module for each backend."""

import importlib

import keras

backend = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
