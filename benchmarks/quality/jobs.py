"""A phase of training as a job for another machine, which has JAX and no TensorFlow: Keras trains on either.

    KERAS_BACKEND=jax python -m benchmarks.quality.jobs FOLDER [--minutes M]

FOLDER is one job's. Beside JAX, this needs Keras and a checkout of the project. What was learned is written into the
folder, also when the time is over before the steps are: then the same command goes on.
"""

import argparse
import json
import pickle
from pathlib import Path
from time import monotonic
from typing import Any

import keras

from models.language_network import LanguageNetwork
from models.learning.inputs import Batches
from models.learning.optimizing import Cosine
from models.optimizers import Adam, KernelMuon
from models.plane_network import PlaneNetwork
from models.restorer_network import RestorerNetwork
from models.saving import load_model

TRAINING, BATCHES = "training.keras", "batches.pickle"
PARTLY, TRAINED, FIGURES = "partly.weights.h5", "trained.weights.h5", "figures.json"
CLASSES = {
    # The classes that texts and pictures go through need TensorFlow; the weights of their networks are the same.
    "easel>LanguageModel": LanguageNetwork,
    "easel>Generator": PlaneNetwork,
    "easel>Restorer": RestorerNetwork,
    **{f"easel>{each.__name__}": each for each in (Adam, KernelMuon, Cosine)},
}
"""What is made of the classes that a training names."""


class ElsewhereError(Exception):
    """A phase waits for a machine that trains it; the message says where its job lies and what to do."""


def fit_elsewhere(training: keras.Model, batches: Batches, *, folder: Path, label: str, steps: int, **_: Any) -> None:
    """Train a compiled model elsewhere: what `models.learning.fit.fit` does, in two calls.

    Args:
        training: Compiled.
        batches: What it is trained on.
        folder: Of the jobs, one folder a phase.
        label: Names the phase.
        steps: Steps in all.

    Raises:
        ElsewhereError: If the phase is not through yet; its job has been written.
    """
    job = folder / label
    training.optimizer.build(training.trainable_variables)
    if not (job / TRAINED).exists():
        job.mkdir(parents=True, exist_ok=True)
        training.save(job / TRAINING)
        (job / BATCHES).write_bytes(pickle.dumps((batches, steps)))
        raise ElsewhereError(
            f"{label} waits in {job}: copy it to a machine with JAX and this project, run KERAS_BACKEND=jax python -m "
            f"benchmarks.quality.jobs on it, bring {TRAINED} and {FIGURES} back, and give this command again."
        )
    training.load_weights(job / TRAINED)


class Watch(keras.callbacks.Callback):
    """Stops a training when its time is over, and keeps what it has learned so far.

    Attributes:
        losses: The last ones.
    """

    def __init__(self, job: Path, *, steps: int, until: float) -> None:
        super().__init__()
        self.job = job
        self.steps = steps
        self.until = until
        self.losses: dict[str, float] = {}

    @property
    def done(self) -> int:
        """Steps that the model has behind it."""
        return int(self.model.optimizer.iterations.numpy())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the clock."""
        self.model.stop_training = monotonic() > self.until

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the weights as they are: at the end of its fit Keras replaces them by their average."""
        self.losses = {name: float(loss) for name, loss in (logs or {}).items()}
        if self.done < self.steps:
            self.model.save_weights(self.job / PARTLY, overwrite=True)


def run(job: Path, *, minutes: float) -> dict[str, Any]:
    """Do a job, from where it was left.

    Args:
        job: Its folder.
        minutes: Most time to take, compilation included.

    Returns:
        `device`, `steps` done, `seconds` spent in all and the last losses by name.
    """
    started = monotonic()
    batches, steps = pickle.loads((job / BATCHES).read_bytes())
    with keras.saving.custom_object_scope(CLASSES):
        training = load_model(job / TRAINING)
    training.compile(optimizer=training.optimizer)
    if (job / PARTLY).exists():
        training.load_weights(job / PARTLY)
    watch = Watch(job, steps=steps, until=started + 60 * minutes)
    watch.set_model(training)
    left = steps - watch.done
    training.fit(batches.dataset(), steps_per_epoch=left, callbacks=[watch], verbose=0, shuffle=False)
    if watch.done == steps:
        training.save_weights(job / TRAINED, overwrite=True)
    return report(job / FIGURES, watch, monotonic() - started)


def report(file: Path, watch: Watch, seconds: float) -> dict[str, Any]:
    """What was done, in a file too."""
    before = json.loads(file.read_text(encoding="utf-8"))["seconds"] if file.exists() else 0.0
    device = keras.distribution.list_devices()[0]
    figures = {"device": device, "steps": watch.done, "seconds": round(before + seconds, 1), **watch.losses}
    file.write_text(json.dumps(figures), encoding="utf-8")
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    print(json.dumps(run(options.folder, minutes=options.minutes)))


if __name__ == "__main__":
    main()
