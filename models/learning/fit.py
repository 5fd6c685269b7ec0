"""The training loop: Keras' `fit` in short epochs, with checkpoints, progress and logs."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.learning.inputs import Batches
from models.learning.workers import check_start, fit_together, is_chief, worker_count
from models.tensors import Tensor

EPOCHS = 20
GRID_ROWS = 32
CONSOLE = Console(stderr=True)

Fit = Callable[..., None]
"""`fit` with its folders bound, as recipes expect it."""


class Cosine(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises over the first 100 steps, at most a tenth of all, and falls along a cosine.

    After `steps` it has reached the share `floor` of its peak.
    """

    def __init__(self, peak: float, steps: int, *, floor: float) -> None:
        self.peak = peak
        self.steps = steps
        self.floor = floor

    def __call__(self, step: Tensor) -> Tensor:
        """The rate at a step."""
        step = ops.cast(step, "float32")
        fall = 0.5 * (1 + ops.cos(np.pi * ops.minimum(step / self.steps, 1.0)))
        rise = max(1, min(100, self.steps // 10))
        return self.peak * ops.minimum(1.0, (step + 1) / rise) * (self.floor + (1 - self.floor) * fall)

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {"peak": self.peak, "steps": self.steps, "floor": self.floor}


class Backup(keras.callbacks.Callback):
    """Keeps the weights and the optimizer's state of the last two epochs.

    Files are written atomically; their names contain the epoch and a digest of the contents: `07-3f2a….weights.h5`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the backup, then delete the third last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "partial.weights.h5"
        self.model.save_weights(partial, overwrite=True)
        partial.rename(self.folder / f"{epoch + 1:02}-{digest(partial)}.weights.h5")
        for old in backups(self.folder)[2:]:
            old.unlink()


def backups(folder: Path) -> list[Path]:
    """The backups in a folder, newest first."""
    return sorted(folder.glob("[0-9]*.weights.h5"), reverse=True)


def digest(file: Path) -> str:
    """Sixteen hex digits of a file's SHA-256."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def resumed(model: keras.Model, folder: Path) -> int:
    """Restore a compiled model from its newest intact backup, and return that epoch, or 0 if there is none.

    Raises:
        WorkerError: Another worker would resume from another backup.
    """
    file = intact_backup(folder)
    epoch = int(file.name.partition("-")[0]) if file else 0
    # Before anything is restored: workers create and assign variables together, or not at all.
    check_start(epoch)
    if file:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(file)
    return epoch


def intact_backup(folder: Path) -> Path | None:
    """The newest backup whose contents have the digest in its name; newer ones are deleted."""
    for file in backups(folder):
        if digest(file) == file.name.removesuffix(".weights.h5").partition("-")[2]:
            return file
        CONSOLE.print(f"  {file} is damaged: resuming from the previous checkpoint", soft_wrap=True)
        file.unlink()
    return None


class ShowProgress(keras.callbacks.Callback):
    """Shows a bar with completed steps, losses and remaining time; if the output is a file, a line per epoch."""

    def __init__(self, label: str, steps: int) -> None:
        super().__init__()
        self.label = label
        self.steps = steps
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=CONSOLE,
            disable=not CONSOLE.is_terminal,
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start at the step of the checkpoint."""
        self.done = done = int(self.model.optimizer.iterations.numpy())
        self.started, self.start = time.monotonic(), done
        if done:
            CONSOLE.print(f"  {self.label}: resumed at step {done} of {self.steps}")
        self.task = self.bar.add_task(f"  {self.label}", total=self.steps, completed=done, losses="")
        self.bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step."""
        self.done += 1
        self.bar.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the losses and, in a file, the remaining time."""
        losses = " ".join(f"{name} {float(value):.3f}" for name, value in (logs or {}).items())
        self.bar.update(self.task, losses=losses)
        if not CONSOLE.is_terminal:
            left = (time.monotonic() - self.started) / max(1, self.done - self.start) * (self.steps - self.done)
            CONSOLE.print(
                f"  {self.label}: step {self.done} of {self.steps}, {left:.0f} s left, {losses}", soft_wrap=True
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leave the bar on the screen."""
        self.bar.stop()


class KeepMetrics(keras.callbacks.Callback):
    """Appends a line of JSON per epoch to `metrics.jsonl`."""

    def __init__(self, file: Path, label: str) -> None:
        super().__init__()
        self.file = file
        self.label = label

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Append the epoch's losses."""
        losses = {name: float(value) for name, value in (logs or {}).items()}
        line = {"phase": self.label, "step": int(self.model.optimizer.iterations.numpy()), **losses}
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")


class KeepSamples(keras.callbacks.Callback):
    """Saves a grid of pictures drawn with fixed noise to `samples/`, four times per phase."""

    def __init__(self, folder: Path, label: str, draw: Callable[[], NDArray[np.uint8]]) -> None:
        super().__init__()
        self.folder = folder
        self.label = label
        self.draw = draw

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw and save the grid."""
        if (epoch + 1) % (EPOCHS // 4) == 0:
            step = int(self.model.optimizer.iterations.numpy())
            save_grid(self.draw(), self.folder / f"{self.label}-{step:07}.png")


def save_grid(pictures: NDArray[np.uint8], file: Path, *, columns: int = 16) -> None:
    """Write uint8[n, s, s, 3] as one PNG with rows of `columns` pictures; the last row is padded with black."""
    missing = -len(pictures) % columns
    padded = np.concatenate([pictures, np.zeros_like(pictures[:1]).repeat(missing, 0)])
    rows = [np.concatenate(list(padded[i : i + columns]), axis=1) for i in range(0, len(padded), columns)]
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(file)


def fit(
    model: keras.Model,
    batches: Batches,
    *,
    label: str,
    steps: int,
    checkpoints: Path,
    run_dir: Path,
    samples: Callable[[], NDArray[np.uint8]] | None = None,
) -> None:
    """Train a compiled model, or resume an interrupted training with the same settings.

    Args:
        model: A built and compiled model; its optimizer counts the steps.
        batches: The training data.
        label: Name of the phase on the screen and in files.
        steps: Total number of steps; from 20 on, rounded down to a multiple of 20.
        checkpoints: Folder of this model's backups, shared by all workers; a phase that is complete there is not
            trained again.
        run_dir: Folder for TensorBoard logs, `metrics.jsonl` and `samples/`.
        samples: Draws the grid of pictures to save.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    epochs = EPOCHS if steps >= EPOCHS else 1
    steps_per_epoch = steps // epochs
    callbacks = [keras.callbacks.TerminateOnNaN()]
    if is_chief():
        callbacks += [
            Backup(checkpoints / label),
            ShowProgress(label, steps_per_epoch * epochs),
            KeepMetrics(run_dir / "metrics.jsonl", label),
            keras.callbacks.TensorBoard(str(run_dir / "tensorboard" / label)),
        ]
        if samples is not None:
            callbacks.append(KeepSamples(run_dir / "samples", label, samples))
    alone = worker_count() == 1
    train = model.fit if alone else partial(fit_together, model)
    train(
        batches.dataset() if alone else batches,
        initial_epoch=resumed(model, checkpoints / label),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=callbacks,
        verbose=0,
        shuffle=False,
    )
    sys.stderr.flush()
