"""Measured quality: one module a group of rows, each with a `measure` function, and what they share."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
"""uint8[n, s, s, 3]: RGB."""
Draw = Callable[[list[str], list[int]], Pictures]
"""What is measured: n captions and n seeds to n pictures, each from its own caption and seed alone."""
