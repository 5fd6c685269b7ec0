import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import restorer_weights
from benchmarks.restorer_weights import SHAPE, SIDE, arrays, draw_drawings, ship
from models.restorer import Restorer
from models.saving import load_model

ROOT = Path(__file__).parents[2]
TINY = {"widths": (8, 8), "depth": 1, "half_depth": 1}
# As on a machine with a GPU: JAX, and no TensorFlow.
PROGRAM = f"""
import sys
from pathlib import Path
sys.modules["tensorflow"] = None
from benchmarks import restorer_weights
restorer_weights.SHAPE.update({TINY})
restorer_weights.PATCH, restorer_weights.CPU_BATCH = 32, 4
if __name__ == "__main__":
    sys.argv = ["restorer_weights", "train", sys.argv[1], "--drawings", sys.argv[2], "--leaves", "2", "--seconds", "0"]
    restorer_weights.main()
"""


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "drawings.npz", *draw_drawings(2, seed=0))
    return tmp_path / "drawings.npz"


def test_sixteen_drawings_lie_in_a_sheet() -> None:
    sheets = draw_drawings(2, seed=0)
    assert (sheets.shape, sheets.dtype) == ((2, SIDE, SIDE, 3), np.uint8)
    corners = sheets[:, ::64, ::64].reshape(-1, 3)
    assert len(np.unique(corners, axis=0)) > 4


@pytest.mark.slow
def test_it_trains_without_tensorflow_and_the_restorer_has_the_weights(drawings: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    env = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, tmp_path / "program.py", tmp_path / "weights.npz", drawings]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    taken = json.loads(done.stdout.splitlines()[-1])
    assert (taken["device"], taken["steps"]) == ("cpu", 25) and np.isfinite(taken["losses"]["loss"])
    restorer = Restorer(**TINY)
    before = restorer.get_weights()
    restorer.set_weights(arrays(tmp_path / "weights.npz"))
    assert all(np.isfinite(weight).all() for weight in restorer.get_weights())
    assert any(not np.array_equal(*pair) for pair in zip(before, restorer.get_weights(), strict=True))


def test_what_is_shipped_is_small_and_loads(tmp_path: Path) -> None:
    whole = Restorer(**SHAPE)
    ship(whole.get_weights(), tmp_path / "restorer.keras")
    assert (tmp_path / "restorer.keras").stat().st_size < 3e6
    loaded = load_model(tmp_path / "restorer.keras")
    assert (loaded.widths, loaded.depth, loaded.half_depth) == ((64, 128), 3, 3)
    for ours, theirs in zip(loaded.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_two_cores_train_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restorer_weights, "SHAPE", TINY)
    monkeypatch.setattr(restorer_weights, "PATCH", 32)
    monkeypatch.setattr(restorer_weights, "CPU_BATCH", 4)
    pictures = list(draw_drawings(2, seed=0))
    network = restorer_weights.train_on_tensorflow(lambda: pictures, seconds=1, seed=0)
    assert np.abs(network.get_weights()[-2]).max() > 0
