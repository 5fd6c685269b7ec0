from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import Pictures
from benchmarks.quality.classifier import (
    Labelled,
    PictureClassifier,
    accuracy,
    augmented,
    class_accuracy,
    read_labelled,
    train_classifier,
    trained_classifier,
    whitening,
)
from tfx_pipeline.datasets.entries import DataSetError, Entry, write_metadata
from tfx_pipeline.datasets.shapes import random_scenes, render

CLASSES = ("a circle", "a cross")


def some(count: int, seed: int) -> Labelled:
    """Circles and crosses in many colours and places, 16x16."""
    scenes = random_scenes(12 * count, seed=seed, shares={"single": 1})
    kinds = [(scene, rng) for scene, rng in scenes if scene.attributes["shape"] in ("circle", "cross")][:count]
    labels = np.array([CLASSES.index(f"a {scene.attributes['shape']}") for scene, _ in kinds])
    return Labelled(np.stack([render(scene, 16, rng) for scene, rng in kinds]), labels, CLASSES)


@pytest.fixture(scope="module")
def trained() -> PictureClassifier:
    return train_classifier(some(512, seed=0), epochs=12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty pictures of two sizes under two captions."""
    (tmp_path / "data").mkdir()
    for number in range(40):
        side = 32 if number % 3 else 48
        Image.new("RGB", (side, 32), (number, 200 * (number % 2), 0)).save(tmp_path / f"data/{number}.png")
    write_metadata(
        tmp_path / "data/metadata.jsonl", (Entry(f"{number}.png", CLASSES[number % 2]) for number in range(40))
    )
    return tmp_path / "data"


def test_it_learns_to_tell_pictures_it_has_not_seen(trained: PictureClassifier) -> None:
    assert accuracy(trained, some(200, seed=1)) > 0.9


def test_drawings_are_counted_by_their_captions(trained: PictureClassifier) -> None:
    known = some(200, seed=2)

    def draw(captions: list[str], seeds: list[int]) -> Pictures:
        of_class = [known.pictures[known.labels == CLASSES.index(caption)] for caption in captions]
        return np.stack([pictures[seed % len(pictures)] for pictures, seed in zip(of_class, seeds, strict=True)])

    assert class_accuracy(draw, trained, each=50) > 0.9
    assert class_accuracy(lambda captions, seeds: draw(captions[::-1], seeds), trained, each=50) < 0.1


def test_a_mirrored_picture_is_of_the_same_class(trained: PictureClassifier) -> None:
    pictures = some(20, seed=3).pictures
    assert np.array_equal(trained.classify(pictures), trained.classify(pictures[:, :, ::-1]))


def test_the_same_seed_trains_the_same_classifier() -> None:
    data = some(64, seed=4)
    one, other = (train_classifier(data, epochs=1, seed=5) for _ in range(2))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-3)


def test_it_is_trained_once_and_kept(tmp_path: Path) -> None:
    data, file, told = some(64, seed=6), tmp_path / "kept" / "classifier.keras", []
    first = trained_classifier(data, file, epochs=2, progress=lambda done, of: told.append((done, of)))
    second = trained_classifier(data, file, epochs=2, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]
    assert np.array_equal(first.classify(data.pictures), second.classify(data.pictures))
    assert [path.name for path in file.parent.iterdir()] == ["classifier.keras"]


def test_a_kept_classifier_of_other_classes_is_refused(tmp_path: Path) -> None:
    PictureClassifier(("a cat", "a dog", "a frog")).save(tmp_path / "kept.keras")
    with pytest.raises(DataSetError, match=r"kept\.keras tells other classes than .*: remove it, or name another file"):
        trained_classifier(some(8, seed=7), tmp_path / "kept.keras")


def test_a_folder_is_split_the_same_way_each_time(folder: Path) -> None:
    (seen, held_out), (again, _) = read_labelled(folder), read_labelled(folder)
    assert (seen.pictures.shape, held_out.pictures.shape) == ((36, 32, 32, 3), (4, 32, 32, 3))
    assert seen.classes == CLASSES
    assert np.array_equal(seen.pictures, again.pictures)
    # The green channel was painted by the caption.
    assert np.array_equal(seen.pictures[:, 5, 5, 1] // 200, seen.labels)
    assert len({*seen.pictures[:, 5, 5, 0].tolist(), *held_out.pictures[:, 5, 5, 0].tolist()}) == 40


def test_captions_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text("always the same")
    with pytest.raises(DataSetError, match="has 1 different captions; a classifier needs 2 to 100, one a class"):
        read_labelled(tmp_path)


def test_whitened_patches_are_uncorrelated() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype(np.uint8) // 3 + 60
    classifier = PictureClassifier(CLASSES)
    classifier.whiten.set_weights(whitening(pictures))
    channels = np.asarray(classifier.whiten(pictures / np.float32(127.5) - 1)).reshape(-1, 24)
    assert np.abs(channels.mean(axis=0)).max() < 0.01
    assert np.cov(channels[:, :12], rowvar=False) == pytest.approx(np.eye(12), abs=0.05)
    assert np.allclose(channels[:, :12], -channels[:, 12:], atol=1e-4)


def test_augmentation_keeps_the_range() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    values = augmented(pictures, np.random.default_rng(0))
    assert (values.shape, values.dtype, values.min(), values.max()) == (pictures.shape, np.float32, -1, 1)


def test_augmentation_shifts_and_mirrors() -> None:
    pictures = np.zeros((200, 32, 32, 3), np.uint8)
    pictures[:, :, 5] = 255
    bright = augmented(pictures, np.random.default_rng(0))[:, :, :, 0].max(axis=1).argmax(axis=1)
    assert set(bright.tolist()) == {*range(2, 9), *range(23, 30)}
    assert 70 < (bright < 16).sum() < 130
