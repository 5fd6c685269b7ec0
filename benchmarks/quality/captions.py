"""Rows of pictures that others drew or took: emoji by their names, photographs by their classes."""

from pathlib import Path

from benchmarks.quality import emoji
from benchmarks.quality.classifier import accuracy, class_accuracy, read_labelled, trained_classifier
from benchmarks.quality.drawing import drawing, train_generator
from benchmarks.quality.effort import Effort, Settings

CLASSIFIER = "classifier.keras"

EMOJI = Settings(
    cpu={
        "data": {"picture_size": 32, "unknown_words": 0.5},
        "language": {"slots": 1, "steps": 1000},
        "drawing": {"width": 96, "style_size": 256, "noiseless": 1, "warmup_steps": 8000, "adversarial_steps": 0},
    },
    gpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 3000},
        "drawing": {
            "width": 192,
            "style_size": 512,
            "kl_weight": 1e-2,
            "warmup_steps": 16000,
            "adversarial_steps": 0,
            "batch_size": 128,
        },
    },
)
CLASSES = Settings(
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


def measure_emoji(folder: Path, effort: Effort) -> dict[str, float]:
    """Train on the emoji that are not withheld.

    Returns:
        `emoji_psnr`: dB of drawings of the withheld ones; `emoji_r1`: how often the drawing of a training emoji is
        nearest to its own picture, among 1,000; `training_minutes`.

    Raises:
        DataSetError: If the folder cannot be read.
    """
    config = effort.config(EMOJI)
    seen, withheld = emoji.read_captioned(folder, size=config.data.picture_size)
    captions = [(text,) for text in seen.captions]
    generator, minutes_spent = effort.timed(lambda: train_generator(seen.pictures, captions, config, effort))
    draw = drawing(generator)
    return {
        "emoji_psnr": emoji.held_out_psnr(draw, withheld),
        "emoji_r1": emoji.retrieval(draw, seen, seed=effort.seed),
        **minutes_spent,
    }


def measure_classes(folder: Path, effort: Effort) -> dict[str, float]:
    """Train on photographs whose captions are their classes, and ask a classifier what the drawings show.

    The classifier is trained outside the budget and kept beside the folder.

    Returns:
        `cifar_class_accuracy`: share of drawings that get the class of their caption; `classifier_accuracy`: the share
        of real pictures, held out, that do; `training_minutes`.

    Raises:
        DataSetError: If the folder cannot be read or its captions are not classes.
    """
    config = effort.config(CLASSES)
    data, held_out = read_labelled(folder, size=config.data.picture_size)
    captions = [(data.classes[label],) for label in data.labels]
    generator, minutes_spent = effort.timed(lambda: train_generator(data.pictures, captions, config, effort))
    classifier = trained_classifier(data, folder.with_name(CLASSIFIER))
    return {
        "cifar_class_accuracy": class_accuracy(drawing(generator), classifier),
        "classifier_accuracy": accuracy(classifier, held_out),
        **minutes_spent,
    }
