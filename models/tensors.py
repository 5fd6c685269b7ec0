"""The tensor type of Keras's backend, and conversion of pictures between uint8 and -1..1."""

from typing import Any, TypeAlias

from keras import ops

Tensor: TypeAlias = Any
"""A tensor of Keras's backend; the suffix of a variable's name gives its shape."""


def to_uint8(pictures: Tensor) -> Tensor:
    """float32[...] in -1..1 -> uint8[...]; values outside are clipped."""
    return ops.cast(ops.round((ops.clip(pictures, -1.0, 1.0) + 1.0) * 127.5), "uint8")


def to_float(pictures: Tensor) -> Tensor:
    """uint8[...] -> float32[...] in -1..1."""
    return ops.cast(pictures, "float32") / 127.5 - 1.0
