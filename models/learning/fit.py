"""One way to train: Keras' fit in short epochs, resumed from its own backup, watched as it goes."""

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
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from models.learning.inputs import Batches
from models.learning.workers import fit_together, is_chief, worker_count

EPOCHS = 20
GRID_ROWS = 32
CONSOLE = Console(stderr=True)

Fit = Callable[..., None]
"""`fit` with its folders bound, as the recipes take it."""


class Backup(keras.callbacks.Callback):
    """The weights and the optimizer after each of the last two epochs.

    A file appears whole, under a name that says its epoch and a digest of its bytes: `07-3f2a….weights.h5`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the backup, then let go of the third last."""
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
    """Put a compiled model where its newest whole backup left it, and return that epoch, 0 where there is none."""
    for file in backups(folder):
        epoch, _, expected = file.name.removesuffix(".weights.h5").partition("-")
        if digest(file) == expected:
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            model.load_weights(file)
            return int(epoch)
        CONSOLE.print(f"  {file} is damaged: going on from the backup before it", soft_wrap=True)
        file.unlink()
    return 0


class ShowProgress(keras.callbacks.Callback):
    """A bar with the steps done, the losses and the time left; on a file instead of a terminal, a line an epoch."""

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
        """Start where the backup left off."""
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
        """Show the losses, and on a file the time left."""
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
    """One line of JSON an epoch, in `metrics.jsonl`."""

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
    """A grid of pictures on fixed noise, four times a phase, in `samples/`."""

    def __init__(self, folder: Path, label: str, draw: Callable[[], NDArray[np.uint8]]) -> None:
        super().__init__()
        self.folder = folder
        self.label = label
        self.draw = draw

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw and keep the grid."""
        if (epoch + 1) % (EPOCHS // 4) == 0:
            step = int(self.model.optimizer.iterations.numpy())
            save_grid(self.draw(), self.folder / f"{self.label}-{step:07}.png")


def save_grid(pictures: NDArray[np.uint8], file: Path, *, columns: int = 16) -> None:
    """Write uint8[n, s, s, 3] as one PNG of rows of `columns`; the last row is filled with black."""
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
    """Train a compiled model, or go on where a killed run of the same settings stopped.

    Args:
        model: Built and compiled; its optimizer counts the steps.
        batches: What it is trained on.
        label: Names the phase on the screen and in files.
        steps: Steps in all, rounded down to a multiple of 20 from 20 on.
        checkpoints: Folder of this model's backups; a phase that is complete there is not trained again. All workers
            must see it.
        run_dir: Where TensorBoard logs, `metrics.jsonl` and `samples/` go.
        samples: Draws the grid to keep.
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
    train = model.fit if worker_count() == 1 else partial(fit_together, model)
    train(
        batches.dataset(),
        initial_epoch=resumed(model, checkpoints / label),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=callbacks,
        verbose=0,
        shuffle=False,
    )
    sys.stderr.flush()
