import numpy as np
import pytest

from benchmarks.quality.distances import covered, kid, squared_mmd


def normal(count: int, *, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, (count, 4)).astype(np.float32)


def test_sets_of_one_kind_are_at_no_distance() -> None:
    found = kid(normal(3000), normal(3000, seed=1))
    assert abs(found.value) < 4 * found.error + 0.02


def test_the_distance_grows_with_the_difference() -> None:
    near, far = (kid(normal(1000), normal(1000, mean=mean, seed=1)).value for mean in (0.5, 1.0))
    assert 0.1 < near < far


def test_the_estimate_by_hand() -> None:
    first, second = np.array([[1.0], [2.0]], np.float32), np.array([[0.0], [3.0]], np.float32)
    across = np.mean([1, 4**3, 1, 7**3])
    assert squared_mmd(first, second) == pytest.approx(3**3 + 1 - 2 * across)


def test_what_lies_among_a_set_is_within_its_reach() -> None:
    assert covered(normal(500), normal(500, seed=1)) > 0.9
    assert covered(normal(500), normal(500, mean=20.0, seed=1)) == 0.0


def test_copies_of_one_picture_cover_little() -> None:
    real, copies = normal(500), np.repeat(normal(1, seed=1), 500, axis=0)
    assert covered(copies, real) < 0.05
    assert covered(real, copies) in (0.0, 1.0)
