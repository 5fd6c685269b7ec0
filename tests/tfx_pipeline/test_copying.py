import numpy as np
import pytest
from numpy.typing import NDArray

from tfx_pipeline.copying import Neighbours, differences, neighbours
from tfx_pipeline.history import Artifact, Run, Step
from tfx_pipeline.verdict import copying, refusal

RNG = np.random.default_rng(0)
TRAINING = RNG.integers(0, 256, (200, 8, 8, 3), np.uint8)
FRESH = RNG.integers(0, 256, (20, 8, 8, 3), np.uint8)


def among(pictures: NDArray[np.uint8], training: NDArray[np.uint8] = TRAINING, batch: int = 64) -> Neighbours:
    return neighbours(pictures, (training[start : start + batch] for start in range(0, len(training), batch)))


def near(pictures: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    noisy = pictures + RNG.normal(0, deviation, pictures.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_differences_are_root_mean_squares() -> None:
    pairs = FRESH[:, None].astype(float) - TRAINING[None].astype(float)
    expected = np.sqrt((pairs**2).mean(axis=(2, 3, 4)))
    np.testing.assert_allclose(differences(FRESH, TRAINING), expected, rtol=1e-4)


def test_copies_are_found_and_traced() -> None:
    found = among(near(TRAINING[60:80], 4))
    np.testing.assert_array_equal(found.nearest, TRAINING[60:80])
    assert found.copied == 1


def test_fresh_pictures_are_no_copies() -> None:
    assert among(FRESH).copied == 0


def test_a_picture_of_which_the_data_has_many_is_no_copy() -> None:
    many = near(np.repeat(TRAINING[:1], 60, axis=0), 4)
    assert among(near(TRAINING[:1], 4), np.concatenate([TRAINING, many])).copied == 0


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_batches_of_any_size_give_the_same(batch: int) -> None:
    first, second = among(FRESH), among(FRESH, batch=batch)
    np.testing.assert_array_equal(first.nearest, second.nearest)
    np.testing.assert_allclose(first.isolation, second.isolation, rtol=1e-5)


def test_a_handful_of_training_pictures_is_enough() -> None:
    assert among(FRESH, TRAINING[:3]).copied == 0
    assert among(TRAINING[:1], TRAINING[:3]).copied == 1


def checked(share: float, usual: float, most: float) -> Run:
    properties = {"blessed": int(share - usual <= most), "share": share, "usual": usual, "most": most}
    blessing = Artifact("blessing", "ModelBlessing", "", properties)
    return Run("2026-01-01", (Step("CopyCheck", "ran", 1.0, {}, (blessing,)),))


def test_copying_is_refused_with_both_numbers() -> None:
    assert refusal(checked(0.75, 0.05, 0.5), []) == "generator not blessed: share of copies 0.70 > 0.50"


def test_what_the_data_does_itself_is_no_copying() -> None:
    assert copying(checked(0.75, 0.5, 0.5)) == ""
    assert copying(Run("2026-01-01", ())) == ""
