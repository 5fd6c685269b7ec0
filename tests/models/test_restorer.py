from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import copy_of, moved, pictures, shake, tiny_restorer

from models.restorer import Restorer, RestorerTraining

SIZES = [(8, 8), (16, 16), (9, 11), (37, 50), (8, 31)]


@pytest.fixture(scope="module")
def fresh() -> Restorer:
    return tiny_restorer()


def noisy(height: int, width: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_before_training_it_changes_nothing(fresh: Restorer, height: int, width: int) -> None:
    (picture,) = noisy(height, width)
    np.testing.assert_array_equal(fresh.restore(picture), picture)
    np.testing.assert_array_equal(fresh.restore(picture, noise=25.0), picture)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_keeps_its_shape(restorer: Restorer, height: int, width: int) -> None:
    batch = noisy(height, width, count=2)
    restored = restorer.restore(batch)
    assert restored.shape == batch.shape and restored.dtype == np.uint8
    assert not np.array_equal(restored, batch)


def test_before_training_holes_are_grey_and_the_rest_stays(fresh: Restorer) -> None:
    (picture,) = noisy(12, 10)
    mask = np.zeros((12, 10), bool)
    mask[3:6, 2:9] = True
    restored = fresh.restore(picture, mask=mask)
    np.testing.assert_array_equal(restored[~mask], picture[~mask])
    assert (restored[mask] == 128).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_what_is_in_a_hole_does_not_matter(restorer: Restorer, dtype: type) -> None:
    (picture,) = noisy(12, 10)
    mask = np.zeros((12, 10), dtype)
    mask[3:6, 2:9] = 1
    other = np.where(mask[..., None] != 0, 255 - picture, picture).astype(np.uint8)
    np.testing.assert_array_equal(
        restorer.restore(picture, mask=mask, noise=10.0), restorer.restore(other, mask=mask, noise=10.0)
    )
    assert not np.array_equal(restorer.restore(picture, mask=mask, noise=10.0), restorer.restore(picture, noise=10.0))


def test_a_picture_alone_is_what_it_is_in_a_batch(restorer: Restorer) -> None:
    batch, masks, noise = noisy(16, 12, count=16), np.zeros((16, 16, 12), bool), np.linspace(-1, 40, 16)
    masks[3, 2:5, 2:5] = True
    together = restorer.restore(batch, mask=masks, noise=noise)
    for i in (0, 3, 15):
        alone = restorer.restore(batch[i], mask=masks[i], noise=noise[i])
        assert alone.shape == (16, 12, 3)
        assert abs(alone.astype(int) - together[i]).max() <= 1


def test_the_noise_level_is_heard(restorer: Restorer) -> None:
    (picture,) = pictures(1)
    quiet, loud = (restorer.restore(picture, noise=noise).astype(int) for noise in (0.0, 50.0))
    assert abs(quiet - loud).max() > 1
    np.testing.assert_array_equal(restorer.restore(picture), restorer.restore(picture, noise=-1.0))


@pytest.mark.parametrize(
    "shape", [(16, 16), (16, 16, 1), (16, 16, 4), (7, 16, 3), (16, 7, 3), (2, 4, 16, 3), (1, 1, 9, 9, 3)]
)
def test_a_wrong_shape_of_pictures_is_refused(fresh: Restorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"images has shape \(.*\); it must be \(h, w, 3\) or \(n, h, w, 3\), sides fro"
    ):
        fresh.restore(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(12, 10), (10, 11), (1, 10, 12), (10, 12, 1)])
def test_a_mask_of_another_shape_is_refused(fresh: Restorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mask has shape \(.*\); for these images it must be \(10, 12\)"):
        fresh.restore(np.zeros((10, 12, 3), np.uint8), mask=np.zeros(shape, bool))


def test_another_number_of_noise_levels_is_refused(fresh: Restorer) -> None:
    with pytest.raises(ValueError, match="shape"):
        fresh.restore(noisy(8, 8, count=3), noise=[1.0, 2.0])


def test_a_saved_model_is_the_same_model(restorer: Restorer, tmp_path: Path) -> None:
    restorer.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.widths, again.depth) == (restorer.widths, restorer.depth) == ((4, 8), 1)
    np.testing.assert_array_equal(again.restore(noisy(9, 9)), restorer.restore(noisy(9, 9)))


def test_training_lowers_the_loss() -> None:
    restorer = tiny_restorer(widths=(8, 16))
    training, before = RestorerTraining(restorer), copy_of(restorer.trainable_variables)
    training.compile(optimizer=keras.optimizers.Adam(0.005), jit_compile=False)
    batch = {"image": pictures(8, 32), "seed": np.arange(8)}
    dataset = tf.data.Dataset.from_tensors(batch).repeat(5)
    history = training.fit(dataset, epochs=8, shuffle=False, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert history["psnr"][-1] > history["psnr"][0] + 1
    assert history["ssim"][-1] > history["ssim"][0]
    assert all(moved([old], [new]) for old, new in zip(before, restorer.trainable_variables, strict=True))


def test_it_learns_in_bfloat16_with_weights_in_float32() -> None:
    keras.utils.set_random_seed(0)
    restorer = Restorer(widths=(4, 8), depth=1, dtype="mixed_bfloat16")
    shake(restorer)
    training = RestorerTraining(restorer)
    training.compile(optimizer="adam", jit_compile=False)
    batch = {"image": pictures(4), "seed": np.arange(4)}
    history = training.fit(tf.data.Dataset.from_tensors(batch), shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert {variable.dtype for variable in restorer.variables} == {"float32"}
