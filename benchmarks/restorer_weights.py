"""Train the shipped restorer, on pictures that the project draws itself.

    python -m benchmarks.restorer_weights draw DRAWINGS.npz
    python -m benchmarks.restorer_weights train WEIGHTS.npz --drawings DRAWINGS.npz --seconds 170
    python -m benchmarks.restorer_weights ship WEIGHTS.npz

`train` runs on JAX (`KERAS_BACKEND=jax`), which it needs to use a GPU, or on a CPU with TensorFlow. It draws dead
leaves itself. The drawings of the storybook are drawn beforehand, because a machine with a GPU may lack the SVG
renderer.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.learning.crops import Pictures, cropped, joined
from models.optimizers import Rate, muon
from models.restorer_network import RestorerNetwork
from models.restorer_training import RestorerTraining
from tfx_pipeline.datasets.leaves import draw_numbered

Pixels = NDArray[np.uint8]

SHAPE: dict[str, Any] = {"widths": (64, 128), "depth": 3, "half_depth": 3}
"""Shape of the network: 1.45 million weights, 2.9 MB in half precision, and 0.35 MFLOP per pixel."""
SIDE, PATCH, DRAWING = 256, 64, 64
"""Sides of the pictures, of the patches, and of the drawings, sixteen of which make a picture."""
LEAVES, SHEETS = 2000, 200
PEAK, RMSE_WEIGHT = 3e-3, 10.0
GPU_BATCH, CPU_BATCH = 128, 16
CPU_STEPS_A_MINUTE = 200


def draw_drawings(sheets: int, seed: int) -> Pixels:
    """Scenes of the storybook and of shapes in equal numbers, sixteen per sheet: uint8[sheets, SIDE, SIDE, 3]."""
    from tfx_pipeline.datasets.shapes import random_scenes
    from tfx_pipeline.datasets.shapes import render as render_shapes
    from tfx_pipeline.datasets.storybook.samples import sample
    from tfx_pipeline.datasets.storybook.scene import render

    across = SIDE // DRAWING
    each = sheets * across**2 // 2
    scenes = [render(drawn.scene, DRAWING) for drawn in sample(each, seed)]
    shapes = [render_shapes(scene, DRAWING, rng) for scene, rng in random_scenes(each, seed=seed)]
    mixed = np.stack([*scenes, *shapes])[np.random.default_rng(seed).permutation(2 * each)]
    grid = mixed.reshape(sheets, across, across, DRAWING, DRAWING, 3).transpose(0, 1, 3, 2, 4, 5)
    return grid.reshape(sheets, SIDE, SIDE, 3)


def training_of(network: RestorerNetwork, rate: Rate) -> RestorerTraining:
    """The network, compiled for training."""
    training = RestorerTraining(network, psnr_weight=0.0, rmse_weight=RMSE_WEIGHT)
    training.compile(optimizer=muon(rate), jit_compile=False)
    return training


def train_on_jax(pictures: Callable[[], list[Pixels]], count: int, *, seconds: float, seed: int) -> RestorerNetwork:
    """Train until the time is over; `pictures` is called after compilation and returns `count` pictures."""
    import jax

    from benchmarks.timed import fit_for

    on_gpu = jax.default_backend() != "cpu"
    network = RestorerNetwork(**SHAPE, dtype="mixed_bfloat16" if on_gpu else "float32")
    sizes = ((count * SIDE * SIDE, 3), np.uint8), ((count,), np.int32), ((count, 2), np.int32)
    taken = fit_for(
        training_of(network, PEAK),
        partial(cropped, size=PATCH, seed=seed),
        lambda: joined(pictures()),
        Pictures(*(jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in sizes)),
        total=count,
        batch_size=GPU_BATCH if on_gpu else CPU_BATCH,
        seconds=seconds,
        seed=seed,
        say=partial(print, flush=True),
    )
    print(json.dumps({"device": jax.devices()[0].device_kind, **taken._asdict()}), flush=True)
    return network


def train_on_tensorflow(pictures: Callable[[], list[Pixels]], *, seconds: float, seed: int) -> RestorerNetwork:
    """Train for the number of steps that two cores take in the time."""
    import tempfile

    from models.device import device_policy
    from models.learning.fit import Cosine, fit
    from models.learning.patches import patch_batches

    network = RestorerNetwork(**SHAPE, dtype=device_policy().precision)
    steps = max(1, round(CPU_STEPS_A_MINUTE * seconds / 60))
    batches = patch_batches(pictures(), size=PATCH, batch_size=CPU_BATCH, seed=seed)
    training = training_of(network, Cosine(PEAK, steps, floor=0.005))
    with tempfile.TemporaryDirectory() as folder:
        fit(training, batches, label="restorer", steps=steps, checkpoints=Path(folder, "backups"), run_dir=Path(folder))
    return network


def train(drawings: Pixels, *, leaves: int, seconds: float, seed: int) -> list[NDArray[Any]]:
    """Train on leaves, drawn on all cores, and drawings.

    Args:
        drawings: uint8[n, SIDE, SIDE, 3].
        leaves: Number of pictures of leaves.
        seconds: Duration in seconds; on JAX including compilation.
        seed: Seed of all random choices.

    Returns:
        The weights, for `set_weights` of a restorer of `SHAPE`.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(seed)
    with multiprocessing.get_context("spawn").Pool() as pool:
        drawn = pool.map_async(partial(draw_numbered, SIDE, seed), range(leaves), chunksize=4)

        def pictures() -> list[Pixels]:
            whole = [*drawn.get(), *drawings]
            print(f"{len(whole)} pictures after {time.monotonic() - started:.0f} s", flush=True)
            return whole

        if keras.backend.backend() == "jax":
            network = train_on_jax(pictures, leaves + len(drawings), seconds=seconds, seed=seed)
        else:
            network = train_on_tensorflow(pictures, seconds=seconds, seed=seed)
    return [np.asarray(weight, np.float32) for weight in network.get_weights()]


def ship(weights: list[NDArray[np.float32]], file: Path) -> None:
    """Write the restorer with these weights, in half precision."""
    from benchmarks.pretraining import save_half
    from models.restorer import Restorer

    restorer = Restorer(**SHAPE)
    restorer.set_weights(weights)
    save_half(restorer, file)


def arrays(file: Path) -> list[NDArray[Any]]:
    """The arrays that `np.savez` wrote, in their order."""
    with np.load(file) as content:
        return [content[f"arr_{number}"] for number in range(len(content.files))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("draw", "train", "ship"))
    parser.add_argument("file", type=Path, help="the drawings to write, or the weights to write or to read")
    parser.add_argument("--drawings", type=Path, help="what `draw` wrote; drawn now if left out")
    parser.add_argument("--leaves", type=int, default=LEAVES)
    parser.add_argument("--sheets", type=int, default=SHEETS)
    parser.add_argument("--seconds", type=float, default=3 * 3600)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.step == "ship":
        ship(arrays(asked.file), Path(__file__).parents[1] / "models" / "pretrained" / "restorer.keras")
        return
    drawings = np.stack(arrays(asked.drawings)) if asked.drawings else draw_drawings(asked.sheets, asked.seed)
    if asked.step == "draw":
        np.savez_compressed(asked.file, *drawings)
        return
    weights = train(drawings, leaves=asked.leaves, seconds=asked.seconds, seed=asked.seed)
    np.savez(asked.file, *weights)


if __name__ == "__main__":
    main()
