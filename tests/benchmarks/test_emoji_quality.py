from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import Pictures
from benchmarks.quality.emoji import Captioned, held_out_psnr, read_captioned, retrieval
from tfx_pipeline.datasets.entries import Entry, write_metadata

SIZE = 8


@pytest.fixture
def known() -> Captioned:
    pictures = np.random.default_rng(0).integers(0, 256, (50, SIZE, SIZE, 3)).astype(np.uint8)
    return Captioned(tuple(f"number {number}" for number in range(50)), pictures)


def number_of(caption: str) -> int:
    return int(caption.rpartition(" ")[2])


def test_a_folder_is_split_by_what_it_withholds(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGBA", (64, 64), (10 * number, 0, 0, 255)).save(tmp_path / f"{number}.png")
    entries = (Entry(f"{number}.png", f"number {number}", withheld=number == 3) for number in range(5))
    write_metadata(tmp_path / "metadata.jsonl", entries)
    seen, withheld = read_captioned(tmp_path, size=SIZE)
    assert (seen.captions, withheld.captions) == (("number 0", "number 1", "number 2", "number 4"), ("number 3",))
    assert seen.pictures[:, 0, 0, 0].tolist() == [0, 10, 20, 40]
    assert withheld.pictures.shape == (1, SIZE, SIZE, 3)


def test_the_psnr_is_that_of_a_known_error(known: Captioned) -> None:
    dark = Captioned(known.captions, known.pictures // 2)
    assert held_out_psnr(lambda captions, seeds: dark.pictures + 10, dark) == pytest.approx(20 * np.log10(25.5))


def test_the_psnr_is_a_mean_of_decibels(known: Captioned) -> None:
    two = Captioned(known.captions[:2], np.zeros((2, SIZE, SIZE, 3), np.uint8))
    drawn = np.stack([np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (1, 10)])
    assert held_out_psnr(lambda captions, seeds: drawn, two) == pytest.approx(20 * np.log10(255) - 10)


def test_no_withheld_pictures_are_told() -> None:
    with pytest.raises(ValueError, match="No picture is withheld: name a dataset that marks some"):
        held_out_psnr(
            lambda captions, seeds: np.zeros((0, 8, 8, 3), np.uint8), Captioned((), np.zeros((0, 8, 8, 3), np.uint8))
        )


def test_drawings_like_their_pictures_are_retrieved(known: Captioned) -> None:
    def damaged(captions: list[str], seeds: list[int]) -> Pictures:
        pictures = known.pictures[[number_of(caption) for caption in captions]]
        noise = np.random.default_rng(1).normal(0, 30, pictures.shape)
        return np.clip(pictures + noise, 0, 255).astype(np.uint8)

    assert retrieval(damaged, known) == 1


def test_drawings_of_the_next_picture_are_not(known: Captioned) -> None:
    def shifted(captions: list[str], seeds: list[int]) -> Pictures:
        return known.pictures[[(number_of(caption) + (number_of(caption) < 10)) % 50 for caption in captions]]

    assert retrieval(shifted, known) == pytest.approx(0.8)


def test_grey_retrieves_one_in_all(known: Captioned) -> None:
    assert retrieval(lambda captions, seeds: np.full((len(captions), SIZE, SIZE, 3), 128, np.uint8), known) == 1 / 50


def test_only_as_many_as_told_are_searched(known: Captioned) -> None:
    asked: list[str] = []

    def draw(captions: list[str], seeds: list[int]) -> Pictures:
        asked.extend(captions)
        return known.pictures[[number_of(caption) for caption in captions]]

    assert retrieval(draw, known, count=20) == 1
    assert len(set(asked)) == 20


def test_twins_count_as_found(known: Captioned) -> None:
    twins = Captioned(known.captions, np.repeat(known.pictures[:25], 2, axis=0))

    def draw(captions: list[str], seeds: list[int]) -> Pictures:
        return twins.pictures[[number_of(caption) for caption in captions]]

    assert retrieval(draw, twins) == 1
