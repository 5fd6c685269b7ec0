"""The quality bench: one module per group of rows, each with a `measure` function, and shared helpers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]
"""uint8[n, s, s, 3]: RGB."""
Draw = Callable[[list[str], list[int]], Pictures]
"""The generator under test: n captions and n seeds to n pictures; each depends only on its caption and seed."""
