"""What `keras.ops` leaves to the backend, as the same functions in a module for each."""

import importlib

import keras

backend = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
