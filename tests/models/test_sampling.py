from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from models.sampling import normal_rows, uniform_rows

Draw = Callable[..., tf.Tensor]
DRAWS = pytest.mark.parametrize("draw", [normal_rows, uniform_rows])


def rows(draw: Draw, seeds: list[int], size: int = 5, *, stream: int = 0) -> NDArray[np.float32]:
    return draw(tf.constant(seeds, tf.int64), size, stream=stream).numpy()


@DRAWS
def test_a_row_depends_on_its_own_seed_alone(draw: Draw) -> None:
    batch = rows(draw, [3, 1, 4, 1, 5])
    for row, seed in zip(batch, [3, 1, 4, 1, 5], strict=True):
        np.testing.assert_array_equal(rows(draw, [seed])[0], row)
    assert len({row.tobytes() for row in batch}) == 4


@DRAWS
def test_streams_of_a_seed_differ(draw: Draw) -> None:
    drawn = [rows(draw, [7], stream=stream)[0] for stream in range(4)]
    assert len({row.tobytes() for row in drawn}) == 4


@DRAWS
def test_any_seed_is_taken(draw: Draw) -> None:
    drawn = rows(draw, [-(2**63), -1, 0, 2**32, 2**63 - 1])
    assert np.isfinite(drawn).all()
    assert len({row.tobytes() for row in drawn}) == 5


def test_moments_of_normal_rows() -> None:
    drawn = rows(normal_rows, list(range(100)), 1000)
    assert abs(drawn.mean()) < 0.015
    assert abs(drawn.std() - 1) < 0.01
    assert abs((drawn**4).mean() - 3) < 0.15


def test_moments_of_uniform_rows() -> None:
    drawn = rows(uniform_rows, list(range(100)), 1000)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.005
    assert abs(drawn.var() - 1 / 12) < 0.002


@DRAWS
def test_neighbouring_seeds_and_streams_are_uncorrelated(draw: Draw) -> None:
    drawn = np.concatenate([rows(draw, [0, 1, 2], 4000), rows(draw, [0, 1], 4000, stream=1)])
    correlations = np.corrcoef(drawn)[np.triu_indices(5, 1)]
    assert abs(correlations).max() < 0.06
