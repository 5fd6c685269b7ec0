import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import Pictures
from benchmarks.quality.classes import gan_train, grid, milliseconds, nearness, unpacked
from benchmarks.quality.classifier import Labelled, PictureClassifier, train_classifier

CLASSES = ("a dark picture", "a light picture")


def some(count: int, seed: int) -> Labelled:
    """Noise, dark or light."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    return Labelled(of_labels(labels, random), labels, CLASSES)


def of_labels(labels: np.ndarray, random: np.random.Generator) -> Pictures:
    grey = 60 + 120 * labels[:, None, None, None]
    return np.clip(random.normal(grey, 25, (len(labels), 16, 16, 3)), 0, 255).astype(np.uint8)


def draw(captions: list[str], seeds: list[int]) -> Pictures:
    labels = np.array([CLASSES.index(caption) for caption in captions])
    return of_labels(labels, np.random.default_rng(seeds[0] + 100))


def mixed_up(captions: list[str], seeds: list[int]) -> Pictures:
    return draw([CLASSES[1 - CLASSES.index(caption)] for caption in captions], seeds)


@pytest.fixture(scope="module")
def eye() -> PictureClassifier:
    return train_classifier(some(512, seed=0), epochs=4)


def test_a_classifier_taught_by_drawings_is_as_good_as_they_are() -> None:
    data, held_out = some(512, seed=1), some(100, seed=2)
    assert gan_train(draw, data, held_out, epochs=6) > 0.9
    assert gan_train(mixed_up, data, held_out, epochs=6) < 0.1


def test_drawings_like_the_real_ones_are_nearer_than_others(eye: PictureClassifier) -> None:
    def always_grey(captions: list[str], seeds: list[int]) -> Pictures:
        return np.full((len(captions), 16, 16, 3), 128, np.uint8)

    figures = nearness(draw, always_grey, some(200, seed=3), eye)
    assert figures["kid_ratio"] < 0.1
    assert figures["recall"] > 0.5
    assert nearness(always_grey, draw, some(200, seed=3), eye)["recall"] < 0.1


def test_the_grid_has_a_column_for_each_class_and_a_row_for_each_seed() -> None:
    asked: list[tuple[str, int]] = []

    def remember(captions: list[str], seeds: list[int]) -> Pictures:
        asked.extend(zip(captions, seeds, strict=True))
        return draw(captions, seeds)

    assert grid(remember, some(4, seed=0), rows=2).shape == (4, 16, 16, 3)
    assert asked == [(CLASSES[0], 0), (CLASSES[1], 0), (CLASSES[0], 1), (CLASSES[1], 1)]


def test_an_archive_is_unpacked_and_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("a")
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "data", "data")
    with unpacked(tmp_path / "data.tar.gz") as folder:
        assert (folder / "a.txt").read_text() == "a"
    assert not folder.exists()
    with unpacked(tmp_path / "data") as folder:
        assert folder == tmp_path / "data"


def test_every_call_is_timed() -> None:
    calls: list[int] = []
    assert milliseconds(lambda: calls.append(1), times=3) >= 0
    assert len(calls) == 8
