from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tfx_pipeline.datasets.entries import Entry
from tfx_pipeline.ingesting.slices import (
    MOST_VALUES,
    attributes_to_slice_by,
    eval_slices,
    language,
    size_class,
    slices_of,
)


def entries(count: int, **attributes: Sequence[object]) -> list[Entry]:
    """Entries kept from training, whose attributes take turns."""
    turns = [{name: values[number % len(values)] for name, values in attributes.items()} for number in range(count)]
    return [Entry(f"{number}.png", "a", "一", turn, withheld=True) for number, turn in enumerate(turns)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), "up to 32"),
        ((32, 8), "up to 32"),
        ((33, 8), "33 to 64"),
        ((8, 64), "33 to 64"),
        ((65, 65), "65 to 128"),
        ((4000, 3000), "2049 to 4096"),
    ],
)
def test_pictures_are_classed_by_their_longer_side(size: tuple[int, int], expected: str) -> None:
    assert size_class(*size) == expected


def test_a_caption_alone_decides_the_language() -> None:
    assert (language(Entry("a", "one")), language(Entry("a", "", "一"))) == ("en", "zh")


def test_two_captions_are_judged_half_and_half() -> None:
    found = [language(Entry(f"{number}.png", "one", "一")) for number in range(1000)]
    assert 450 < found.count("zh") < 550
    assert found == [language(Entry(f"{number}.png", "one", "一")) for number in range(1000)]


def test_only_attributes_of_one_plain_value_make_slices() -> None:
    plain = {"kind": "pair", "count": 2, "new": True}
    attributes = {**plain, "first": {"shape": "disc"}, "open": [], "odd name": "x", "none": None}
    assert list(slices_of(Entry("a", "one", attributes=attributes)))[1:] == [
        ("attribute.kind", "pair"),
        ("attribute.count", "2"),
        ("attribute.new", "True"),
    ]


def test_slices_large_enough_to_be_judged_are_found(tmp_path: Path) -> None:
    for number in range(40):
        Image.new("RGB", (16, 16) if number % 2 else (48, 48)).save(tmp_path / f"{number}.png")
    found = eval_slices(tmp_path, entries(40, kind=["a", "b", "b", "b"], one=["same"], id=list(range(40))), 10)
    assert [name for name in found if name[0] != "language"] == [
        ("attribute.kind", "a"),
        ("attribute.kind", "b"),
        ("size", "33 to 64"),
        ("size", "up to 32"),
    ]
    assert eval_slices(tmp_path, entries(40, kind=["a", "b", "b", "b"]), 21) == ()


def test_what_is_trained_on_makes_no_slice(tmp_path: Path) -> None:
    trained = [Entry(f"{number}.png", "a", "", {"kind": str(number % 2)}) for number in range(200)]
    kept = [Entry("kept.png", "a", "", {"kind": "0"}, withheld=True)]
    assert eval_slices(tmp_path, trained + kept, 1) == ()


def test_a_picture_that_cannot_be_read_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"not a picture")
    found = eval_slices(tmp_path, entries(2, kind=["a", "b"]), 1)
    assert [name for name in found if name[0] != "language"] == [("attribute.kind", "a"), ("attribute.kind", "b")]


VALUES = {
    "kind": ["a", "b"],
    "one": ["same"],
    "id": list(range(200)),
    "sixteen": list(range(MOST_VALUES)),
    "seventeen": list(range(MOST_VALUES + 1)),
    "uneven": [0, 0, 0, 1, 1, *range(2, 37)],
}


def test_attributes_are_kept_that_may_be_sliced_by_whatever_is_the_smallest_slice(tmp_path: Path) -> None:
    shown = entries(200, **VALUES)
    kept = attributes_to_slice_by(shown)
    assert set(kept) == {"kind", "sixteen", "seventeen", "uneven"}
    found = {name for smallest in range(1, 101) for name, _ in eval_slices(tmp_path, shown, smallest)}
    assert found - {"language", "size"} == {f"attribute.{name}" for name in kept}
