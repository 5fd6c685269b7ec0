"""Which pieces exclude each other."""

import numpy as np
import pytest

from models import exclusion
from models.exclusion import exclusive_pairs
from models.vocabulary import END, PAD, RESERVED, START

CAT, DOG, SEA, BUS, AND = range(len(RESERVED), len(RESERVED) + 5)
SIZE = AND + 1


def captions(*rows: tuple[int, ...]) -> np.ndarray:
    """Captions of these pieces, int64[n, t]."""
    return np.array([[START, *row, END, *[PAD] * (4 - len(row))] for row in rows])


def test_frequent_pieces_that_never_meet_exclude_each_other() -> None:
    pairs = exclusive_pairs(captions(*[(CAT, AND), (SEA, BUS)] * 20), SIZE)
    assert pairs[CAT, SEA] and pairs[SEA, CAT] and pairs[CAT, BUS] and pairs[AND, SEA]
    assert not pairs[CAT, AND] and not pairs[SEA, BUS]


@pytest.mark.parametrize(("meetings", "exclusive"), [(1, True), (8, False)])
def test_a_pair_may_meet_seldom(meetings: int, exclusive: bool) -> None:
    pairs = exclusive_pairs(captions(*[(CAT, AND), (SEA, BUS)] * 20, *[(SEA, CAT)] * meetings), SIZE)
    assert pairs[CAT, SEA] == pairs[SEA, CAT] == exclusive and pairs[CAT, BUS]


def test_pieces_too_rare_to_meet_by_chance_exclude_none() -> None:
    rows = [(CAT, AND)] * 4 + [(SEA, BUS)] * 4 + [(AND, BUS)] * 92
    assert not exclusive_pairs(captions(*rows), SIZE)[CAT, SEA]


def test_a_piece_that_is_never_repeated_excludes_itself() -> None:
    pairs = exclusive_pairs(captions(*[(CAT, AND, AND), (CAT, AND)] * 20), SIZE)
    assert pairs[CAT, CAT] and not pairs[AND, AND]


def test_reserved_pieces_exclude_none_although_no_caption_repeats_them() -> None:
    pairs = exclusive_pairs(captions(*[(CAT, AND)] * 40), SIZE)
    assert pairs[CAT, CAT] and not pairs[: len(RESERVED)].any() and not pairs[:, : len(RESERVED)].any()


def test_pieces_beyond_the_size_are_left_out() -> None:
    rows = captions(*[(CAT, AND), (SEA, BUS)] * 20)
    np.testing.assert_array_equal(exclusive_pairs(rows, BUS), exclusive_pairs(rows, SIZE)[:BUS, :BUS])


def test_of_many_captions_some_of_every_kind_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = captions(*[(CAT, AND), (SEA, BUS)] * 100)
    monkeypatch.setattr(exclusion, "MANY", 100)
    pairs = exclusive_pairs(rows, SIZE)
    assert pairs[CAT, SEA] and not pairs[CAT, AND] and not pairs[SEA, BUS]


def test_without_captions_there_are_no_pairs() -> None:
    assert not exclusive_pairs(np.zeros([0, 4], np.int64), SIZE).any()
