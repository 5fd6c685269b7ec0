"""The row of photographs whose captions are their classes; classifiers evaluate the drawings."""

import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import keras
import numpy as np

from benchmarks.quality import Draw, Pictures
from benchmarks.quality.classifier import (
    Labelled,
    PictureClassifier,
    accuracy,
    class_accuracy,
    read_labelled,
    train_classifier,
    trained_classifier,
)
from benchmarks.quality.distances import covered, kid
from benchmarks.quality.drawing import drawing, train_generator
from benchmarks.quality.effort import Effort, Settings
from models.drawing import Drawer
from models.learning.fit import save_grid
from models.pretrained import HERE
from models.saving import load_model

CLASSIFIER, GENERATOR = "classifier.keras", "generator.keras"
SECOND_SEED = 1
"""Seed of the classifier whose features are used to measure distances."""
REFERENCE_MINUTES = 10.0
"""Maximum training time in minutes of the network `plane`, for comparison; it does not improve with more."""
REFINED = 500
"""Drawings that are refined at once; it bounds the memory."""

PLANE = Settings(
    cpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 300},
        "drawing": {"noise_size": 32, "warmup_steps": 8000, "adversarial_steps": 300},
    },
    gpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 300},
        "drawing": {
            "noise_size": 64,
            "width": 192,
            "style_size": 512,
            "frames": 32,
            "warmup_steps": 12000,
            "adversarial_steps": 7000,
            "batch_size": 128,
        },
    },
)
PHOTO = Settings(
    cpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 50},
        "drawing": {"network": "photo", "photo": {"steps": 2400}},
    },
    gpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 300},
        "drawing": {
            "network": "photo",
            "photo": {
                "width": 88,
                "most_width": 320,
                "block": 1,
                "critic_width": 128,
                "critic_most_width": 384,
                "batch_size": 256,
                "learning_rate": 5e-4,
                "steps": 15_000,
            },
        },
    },
)


def measure(source: Path, effort: Effort) -> dict[str, float]:
    """Train on photographs whose captions are their classes, and evaluate the drawings with classifiers.

    The classifiers are trained outside the budget. The one that judges the drawings is stored beside the data, if these
    are a folder. Distances are measured in the features of another one, on as many held-out pictures.

    Args:
        source: The folder of a dataset, or a `.tar.gz` archive of one.
        effort: The budget. If it names weights, their generator is evaluated, and only the network `plane` is trained.

    Returns:
        The figures by name:

        - `cifar_class_accuracy`: share of drawings that are classified as their caption.
        - `cifar_gan_train`: accuracy on held-out real pictures of a classifier that was trained on as many drawings as
          there are training pictures (GAN-train, Shmelkov et al., 2018).
        - `cifar_kid`, `cifar_kid_error`: kernel distance to real pictures, and its standard error.
        - `cifar_kid_ratio`: the kernel distance divided by that of the network `plane`.
        - `cifar_precision`, `cifar_recall`: see `distances.covered`.
        - `cifar_draw_ms`: milliseconds of one drawing.
        - `cifar_refined_class_accuracy`, `cifar_refined_gan_train`, `cifar_refined_kid`, `cifar_refined_recall` and so
          on: the same of drawings that the shipped restorer has refined, as a server does by default.
        - `classifier_accuracy`: accuracy on held-out real pictures.
        - `training_minutes`, unless weights were given.

    Raises:
        DataSetError: The data cannot be read, or their captions are not classes.
        FileNotFoundError: The folder of weights has no `generator.keras`.
    """
    with unpacked(source) as folder:
        data, held_out = read_labelled(folder)
        judge = trained_classifier(data, folder.with_name(CLASSIFIER))
        eye = train_classifier(data, epochs=10, seed=SECOND_SEED)
    generator, minutes_spent = evaluated(data, effort)
    draw = drawing(generator)
    if effort.keep:
        save_grid(grid(draw, data), effort.keep / "cifar.png", columns=len(data.classes))
        keras.saving.save_model(generator, effort.keep / GENERATOR)
    reference = trained(data, PLANE, effort._replace(minutes=min(effort.minutes, REFERENCE_MINUTES)).within("plane"))
    judged = partial(figures_of, data=data, held_out=held_out, judge=judge, eye=eye, reference=drawing(reference))
    return {
        **{f"cifar_{name}": value for name, value in judged(draw).items()},
        **{f"cifar_refined_{name}": value for name, value in judged(refined(draw)).items()},
        "cifar_draw_ms": milliseconds(lambda: generator.generate(data.classes[0], seed=0)),
        "classifier_accuracy": accuracy(judge, held_out),
        **minutes_spent,
    }


def figures_of(
    draw: Draw, *, data: Labelled, held_out: Labelled, judge: PictureClassifier, eye: PictureClassifier, reference: Draw
) -> dict[str, float]:
    """The figures of drawings by name, without prefix; see `measure`."""
    return {
        "class_accuracy": class_accuracy(draw, judge),
        "gan_train": gan_train(draw, data, held_out),
        **nearness(draw, reference, held_out, eye),
    }


def evaluated(data: Labelled, effort: Effort) -> tuple[Drawer, dict[str, float]]:
    """The generator to evaluate, and its `training_minutes` if it is trained here."""
    if effort.weights:
        return load_model(effort.weights / GENERATOR), {}
    return effort.timed(lambda: trained(data, PHOTO, effort))


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """The folder of a dataset; an unpacked archive is deleted afterwards."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory() as place, tarfile.open(source) as archive:
        archive.extractall(place, filter="data")
        (folder,) = Path(place).iterdir()
        yield folder


def trained(data: Labelled, settings: Settings, effort: Effort) -> Drawer:
    """A generator, trained on the pictures."""
    captions = [(data.classes[label],) for label in data.labels]
    return train_generator(data.pictures, captions, effort.config(settings), effort)


def drawn_as(labels: np.ndarray, draw: Draw, data: Labelled, *, first_seed: int = 0) -> Pictures:
    """A drawing of each label, each with its own seed."""
    return draw([data.classes[label] for label in labels], list(range(first_seed, first_seed + len(labels))))


def refined(draw: Draw) -> Draw:
    """Drawings that the shipped restorer has refined; it estimates their noise."""
    restorer = load_model(HERE / "restorer.keras")

    def drawn(captions: list[str], seeds: list[int]) -> Pictures:
        pictures = draw(captions, seeds)
        batches = (pictures[start : start + REFINED] for start in range(0, len(pictures), REFINED))
        return np.concatenate([restorer.restore(batch) for batch in batches])

    return drawn


def grid(draw: Draw, data: Labelled, *, rows: int = 10) -> Pictures:
    """Drawings of all classes, a column each; row by row, from the first seed on."""
    captions = list(data.classes) * rows
    return draw(captions, [row for row in range(rows) for _ in data.classes])


def gan_train(draw: Draw, data: Labelled, held_out: Labelled, *, epochs: int = 10) -> float:
    """Accuracy on held-out real pictures of a classifier that was trained only on drawings."""
    drawn = Labelled(drawn_as(data.labels, draw, data), data.labels, data.classes)
    return accuracy(train_classifier(drawn, epochs=epochs), held_out)


def nearness(draw: Draw, reference: Draw, held_out: Labelled, eye: PictureClassifier) -> dict[str, float]:
    """Distances between held-out pictures and drawings of their classes, compared with those of another generator."""
    real = eye.features(held_out.pictures)
    ours, theirs = (eye.features(drawn_as(held_out.labels, each, held_out)) for each in (draw, reference))
    distance = kid(real, ours)
    return {
        "kid_ratio": distance.value / kid(real, theirs).value,
        "kid": distance.value,
        "kid_error": distance.error,
        "precision": covered(real, ours),
        "recall": covered(ours, real),
    }


def milliseconds(call: Callable[[], object], *, times: int = 50) -> float:
    """The median duration of calls, after a few for warm-up."""
    spent = []
    for _ in range(times + 5):
        started = perf_counter()
        call()
        spent.append(1000 * (perf_counter() - started))
    return float(np.median(spent[5:]))
