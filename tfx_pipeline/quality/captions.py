"""Rows of pictures that others drew or took: emoji by their names, photographs by their classes."""

from pathlib import Path
from typing import Any

from tfx_pipeline.quality import emoji, timed
from tfx_pipeline.quality.classifier import accuracy, class_accuracy, read_labelled, trained_classifier
from tfx_pipeline.quality.drawing import budgeted, drawing, train_generator

CLASSIFIER = "classifier.keras"

# Steps are those of ten minutes on two idle CPU cores.
EMOJI: dict[str, dict[str, Any]] = {
    "data": {"picture_size": 32},
    "language": {"slots": 1, "steps": 1000},
    "drawing": {"width": 96, "style_size": 256, "warmup_steps": 6000, "adversarial_steps": 0},
}
CLASSES: dict[str, dict[str, Any]] = {
    "data": {"picture_size": 32},
    "language": {"slots": 1, "steps": 300},
    "drawing": {"noise_size": 32, "warmup_steps": 8000, "adversarial_steps": 300},
}


def measure_emoji(folder: Path, *, minutes: float, seed: int) -> dict[str, float]:
    """Train on the emoji that are not withheld.

    Returns:
        `emoji_psnr`: dB of drawings of the withheld ones; `emoji_r1`: how often the drawing of a training emoji is
        nearest to its own picture, among 1,000; `training_minutes`.

    Raises:
        DataSetError: If the folder cannot be read.
    """
    config = budgeted(EMOJI, minutes=minutes, seed=seed)
    seen, withheld = emoji.read_captioned(folder, size=config.data.picture_size)
    captions = [(text,) for text in seen.captions]
    generator, minutes_spent = timed(lambda: train_generator(seen.pictures, captions, config))
    draw = drawing(generator)
    return {
        "emoji_psnr": emoji.held_out_psnr(draw, withheld),
        "emoji_r1": emoji.retrieval(draw, seen, seed=seed),
        **minutes_spent,
    }


def measure_classes(folder: Path, *, minutes: float, seed: int) -> dict[str, float]:
    """Train on photographs whose captions are their classes, and ask a classifier what the drawings show.

    The classifier is trained beforehand, outside the budget, and kept beside the folder.

    Returns:
        `cifar_class_accuracy`: share of drawings that get the class of their caption; `classifier_accuracy`: the share
        of real pictures, held out, that do; `training_minutes`.

    Raises:
        DataSetError: If the folder cannot be read or its captions are not classes.
    """
    config = budgeted(CLASSES, minutes=minutes, seed=seed)
    data, held_out = read_labelled(folder, size=config.data.picture_size)
    classifier = trained_classifier(data, folder.with_name(CLASSIFIER))
    captions = [(data.classes[label],) for label in data.labels]
    generator, minutes_spent = timed(lambda: train_generator(data.pictures, captions, config))
    return {
        "cifar_class_accuracy": class_accuracy(drawing(generator), classifier),
        "classifier_accuracy": accuracy(classifier, held_out),
        **minutes_spent,
    }
