"""A classifier of pictures, for datasets in which captions are one of a few classes.

It resembles the network of Jordan ("94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024): a fixed whitening
convolution, three blocks of two convolutions, and global max pooling. It is trained once, on nine tenths of the
pictures, and stored in a file. Its accuracy is measured on the last tenth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.quality import Draw, Pictures
from benchmarks.quality.pictures import load_pictures
from models.device import device_policy
from models.learning.fit import Cosine
from models.tensors import to_float
from tfx_pipeline.datasets.entries import DataSetError
from tfx_pipeline.datasets.folder import read_folder

Labels = NDArray[np.int64]

PATCH, WHITE = 2, 24
MOST_CLASSES = 100
SHIFT, HOLE = 3, 8
BATCH = 256
PEAK_RATE, DECAY, SMOOTHING = 0.3, 5e-3, 0.1


@dataclass(frozen=True)
class Labelled:
    """Pictures of a few classes.

    Attributes:
        pictures: uint8[n, s, s, 3].
        labels: int64[n], indices into `classes`.
        classes: Captions, sorted.
    """

    pictures: Pictures
    labels: Labels
    classes: tuple[str, ...]

    def part(self, chosen: NDArray[np.bool_]) -> "Labelled":
        """The pictures selected by a mask, bool[n]."""
        return Labelled(self.pictures[chosen], self.labels[chosen], self.classes)


class Block(keras.Layer):
    """Halves the resolution, then adds the output of a second convolution."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        convolution = {"kernel_size": 3, "padding": "same", "use_bias": False, "dtype": self.dtype_policy}
        self.first = keras.layers.Conv2D(width, **convolution)
        self.pool = keras.layers.MaxPool2D(dtype=self.dtype_policy)
        self.first_norm = keras.layers.BatchNormalization(momentum=0.8, dtype=self.dtype_policy)
        self.second = keras.layers.Conv2D(width, **convolution)
        self.second_norm = keras.layers.BatchNormalization(momentum=0.8, dtype=self.dtype_policy)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[b, h, w, c] -> [b, h / 2, w / 2, width]."""
        features = tf.nn.silu(self.first_norm(self.pool(self.first(features)), training=training))
        return features + tf.nn.silu(self.second_norm(self.second(features), training=training))


@keras.saving.register_keras_serializable(package="easel")
class PictureClassifier(keras.Model):
    """Classifies pictures of at least 16x16 pixels.

    Args:
        classes: The names of the classes, in the order of the logits.
        widths: Channels of the three blocks.
    """

    def __init__(self, classes: Sequence[str], *, widths: Sequence[int] = (32, 128, 256), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = tuple(classes)
        self.widths = tuple(widths)
        self.whiten = keras.layers.Conv2D(WHITE, PATCH, trainable=False, dtype=self.dtype_policy)
        self.blocks = [Block(width, dtype=self.dtype_policy) for width in self.widths]
        self.head = keras.layers.Dense(len(self.classes), use_bias=False, dtype="float32")
        self(tf.zeros([1, 16, 16, 3]))

    def get_config(self) -> dict[str, Any]:
        """All arguments of the constructor."""
        return {**super().get_config(), "classes": self.classes, "widths": self.widths}

    def call(self, pictures: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float32[b, s, s, 3] in -1..1 -> logits, float32[b, classes]."""
        # Scaled by an eighth, so that the initial logits are small: maxima over the picture are far from zero.
        return self.head(self.see(pictures, training=training)) / 8

    def see(self, pictures: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float32[b, s, s, 3] in -1..1 -> features, from which the logits are computed, float32[b, d]."""
        features = tf.nn.relu(self.whiten(pictures))
        for block in self.blocks:
            features = block(features, training=training)
        return tf.reduce_max(tf.cast(features, tf.float32), axis=(1, 2))

    def features(self, pictures: Pictures) -> NDArray[np.float32]:
        """Features of pictures, uint8[n, s, s, 3] -> float32[n, d]."""
        see = tf.function(self.see, reduce_retracing=True)
        batches = (pictures[start : start + 500] for start in range(0, len(pictures), 500))
        return np.concatenate([see(to_float(tf.constant(batch))).numpy() for batch in batches])

    def classify(self, pictures: Pictures) -> Labels:
        """The class of each picture, averaged over the picture and its mirror image: uint8[n, s, s, 3] -> int64[n]."""
        both = (pictures, pictures[:, :, ::-1])
        logits = [self.predict(to_float(tf.constant(batch)), batch_size=500, verbose=0) for batch in both]
        return np.argmax(np.sum(logits, axis=0), axis=-1)


def read_labelled(folder: str | Path, *, size: int = 32, seed: int = 0) -> tuple[Labelled, Labelled]:
    """A folder whose captions are classes, split into training and held-out pictures.

    Args:
        folder: A dataset folder in any layout of `read_folder`.
        size: Side in pixels to which pictures are scaled, at least 16.
        seed: Seed of the split.

    Returns:
        Nine tenths and one tenth.

    Raises:
        DataSetError: The folder cannot be read, or has fewer than 2 or more than 100 different captions.
    """
    entries = read_folder(folder).entries
    classes = tuple(sorted({entry.text for entry in entries}))
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise DataSetError(
            f"{folder} has {len(classes):,} different captions; a classifier needs 2 to {MOST_CLASSES}, one a class."
        )
    pictures = load_pictures([Path(folder) / entry.file_name for entry in entries], size)
    everything = Labelled(pictures, np.array([classes.index(entry.text) for entry in entries]), classes)
    held_out = is_held_out(len(entries), seed)
    return everything.part(~held_out), everything.part(held_out)


def is_held_out(count: int, seed: int = 0) -> NDArray[np.bool_]:
    """A mask of held-out pictures, a tenth of all: bool[count]."""
    return np.random.default_rng(seed).permutation(count) < count // 10


def trained_classifier(
    data: Labelled, file: Path, *, epochs: int = 20, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> PictureClassifier:
    """The classifier stored in a file; if there is none, one is trained and stored there.

    Args:
        data: The training pictures.
        file: The `.keras` file.
        epochs: Number of epochs; `docs/results.md` gives the accuracy on held-out pictures of CIFAR-10 after 20.
        seed: Seed of the weights and the augmentation.
        progress: Called with the number of finished epochs and of all epochs.

    Raises:
        DataSetError: The file contains a classifier of other classes.
    """
    if not file.exists():
        classifier = train_classifier(data, epochs=epochs, seed=seed, progress=progress)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"part-{file.name}")
        classifier.save(part)
        part.rename(file)
    classifier = keras.models.load_model(file, compile=False)
    if classifier.classes != data.classes:
        known = ", ".join(data.classes[:3])
        raise DataSetError(f"{file} tells other classes than {known}, ...: remove it, or name another file.")
    return classifier


def train_classifier(
    data: Labelled, *, epochs: int = 20, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> PictureClassifier:
    """Train with SGD, Nesterov momentum and a cosine schedule; the arguments are those of `trained_classifier`."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    classifier = PictureClassifier(data.classes, dtype=device_policy().precision)
    classifier.whiten.set_weights(whitening(data.pictures[:5000]))
    batch = min(BATCH, len(data.pictures))
    steps = len(data.pictures) // batch
    optimizer = keras.optimizers.SGD(
        Cosine(PEAK_RATE, epochs * steps, floor=0.0), momentum=0.9, nesterov=True, weight_decay=DECAY
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta"])
    classifier.compile(
        optimizer, keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING), jit_compile=False
    )
    targets = np.eye(len(data.classes), dtype=np.float32)[data.labels]
    for epoch in range(epochs):
        for rows in rng.permutation(len(targets))[: steps * batch].reshape(steps, batch):
            classifier.train_on_batch(augmented(data.pictures[rows], rng), targets[rows])
        if progress is not None:
            progress(epoch + 1, epochs)
    return classifier


def augmented(pictures: Pictures, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mirror half of the pictures, shift all by up to 3 pixels and cut a hole of 8x8 into each.

    The holes are grey (cutout, DeVries and Taylor, 2017); without them, accuracy is a few points lower.

    Args:
        pictures: uint8[n, s, s, 3].
        rng: Source of randomness.

    Returns:
        float32[n, s, s, 3] in -1..1.
    """
    count, size = pictures.shape[:2]
    mirrored = np.where(rng.random((count, 1, 1, 1)) < 0.5, pictures, pictures[:, :, ::-1])
    padded = np.pad(mirrored, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), "reflect")
    rows, columns = rng.integers(0, 2 * SHIFT + 1, (2, count))
    windows = sliding_window_view(padded, (size, size), (1, 2))[np.arange(count), rows, columns]
    values = windows.transpose(0, 2, 3, 1).astype(np.float32) / 127.5 - 1
    starts = rng.integers(0, size - HOLE + 1, (2, count, 1))
    down, along = (np.arange(size) >= starts) & (np.arange(size) < starts + HOLE)
    values[down[:, :, None] & along[:, None, :]] = 0
    return values


def whitening(pictures: Pictures) -> list[NDArray[np.float32]]:
    """Kernel and bias of a convolution whose channels are uncorrelated and have unit variance, and their negatives."""
    values = pictures.astype(np.float32) / 127.5 - 1
    patches = sliding_window_view(values, (PATCH, PATCH), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    patches = patches.reshape(-1, 3 * PATCH**2)
    scales, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    filters = vectors / np.sqrt(scales + 5e-4)
    filters = np.concatenate([filters, -filters], axis=1).astype(np.float32)
    return [filters.reshape(PATCH, PATCH, 3, WHITE), -patches.mean(0) @ filters]


def accuracy(classifier: PictureClassifier, data: Labelled) -> float:
    """Share of pictures that are classified correctly, 0 to 1."""
    return float(np.mean(classifier.classify(data.pictures) == data.labels))


def class_accuracy(draw: Draw, classifier: PictureClassifier, *, each: int = 100) -> float:
    """Share of drawings that are classified as their caption, 0 to 1.

    Args:
        draw: Captions and seeds, n each, to uint8[n, s, s, 3].
        classifier: The classifier, whose classes are the captions.
        each: Number of drawings per caption, each with its own seed.
    """
    labels = np.repeat(np.arange(len(classifier.classes)), each)
    pictures = draw([classifier.classes[label] for label in labels], list(range(len(labels))))
    return accuracy(classifier, Labelled(pictures, labels, classifier.classes))
