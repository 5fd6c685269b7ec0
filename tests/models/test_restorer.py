from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import copy_of, moved, pictures, shake, tiny_restorer

from models.damage import damage, enlarge
from models.metrics import psnr
from models.optimizers import muon
from models.restorer import TILE, Restorer, oriented
from models.restorer_network import LEAST_SIGMA, filled
from models.restorer_training import RestorerTraining
from models.tensors import to_float, to_uint8

SIZES = [(8, 8), (16, 16), (9, 11), (37, 50), (8, 31)]


@pytest.fixture(scope="module")
def fresh() -> Restorer:
    return tiny_restorer()


@pytest.fixture(scope="module")
def trained() -> Restorer:
    """Enough steps on smooth pictures to tell what is clean from what is not."""
    restorer = tiny_restorer(widths=(16, 32))
    training = RestorerTraining(restorer)
    training.compile(optimizer=muon(0.005), jit_compile=False)
    batches = [{"image": pictures(16, 32, seed=i), "seed": np.arange(16) + 16 * i} for i in range(8)]
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in ("image", "seed")}
    training.fit(tf.data.Dataset.from_tensor_slices(rows).batch(16), epochs=12, shuffle=False, verbose=0)
    return restorer


def noisy(height: int, width: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_before_training_it_changes_nothing(fresh: Restorer, height: int, width: int) -> None:
    (picture,) = noisy(height, width)
    for options in ({}, {"noise": 25.0}, {"blur": 1.0}):
        np.testing.assert_array_equal(fresh.restore(picture, **options), picture)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_before_training_it_enlarges_bicubically(fresh: Restorer, height: int, width: int) -> None:
    batch = noisy(height, width, count=2)
    large = fresh.enlarge(batch)
    assert large.shape == (2, 2 * height, 2 * width, 3)
    np.testing.assert_allclose(large, to_uint8(enlarge(to_float(batch))), atol=1)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_keeps_its_shape(restorer: Restorer, height: int, width: int) -> None:
    batch = noisy(height, width, count=2)
    restored = restorer.restore(batch)
    assert restored.shape == batch.shape and restored.dtype == np.uint8
    assert not np.array_equal(restored, batch)


def test_grey_pictures_come_back_grey(restorer: Restorer) -> None:
    grey = noisy(13, 10)[0, ..., 0]
    restored, large = restorer.restore(grey, noise=20.0), restorer.enlarge(grey)
    assert (restored.shape, large.shape) == ((13, 10), (26, 20))
    coloured = restorer.restore(np.repeat(grey[..., None], 3, axis=-1), noise=20.0)
    np.testing.assert_allclose(restored, coloured.mean(axis=-1), atol=0.51)


@pytest.mark.parametrize(("height", "width"), [(TILE + 40, 24), (24, 2 * TILE + 13), (TILE + 1, TILE + 6)])
def test_tiles_leave_no_seams(restorer: Restorer, height: int, width: int) -> None:
    (picture,) = noisy(height, width)
    mask = np.zeros((height, width), bool)
    mask[5:20, ::7] = True
    holes = tf.constant(mask[None, ..., None], tf.float32)
    margins = [(0, 0), (0, -height % 4), (0, -width % 4), (0, 0)]
    whole, wholes = (tf.pad(x, margins, "SYMMETRIC") for x in (filled(to_float(picture)[None], holes), holes))
    untiled = to_uint8(restorer([whole, wholes, tf.constant([[20 / 50, 0.0, 0.0]])])).numpy()[0, :height, :width]
    tiled = restorer.restore(picture, mask=mask, noise=20.0)
    assert abs(tiled.astype(int) - untiled).max() <= 1


def test_nothing_beyond_its_reach_matters(restorer: Restorer) -> None:
    picture = noisy(100, 100)
    other = picture.copy()
    other[:, 50:52, 50:52] ^= 255
    known, masks = tf.constant([[0.4, 0.0, 0.0]]), tf.zeros([1, 100, 100, 1])
    first, second = (restorer([to_float(x), masks, known]).numpy() for x in (picture, other))
    rows, columns = np.nonzero(abs(first - second).max(axis=(0, 3)) > 0)
    for changed in (rows, columns):
        assert changed.min() >= 50 - restorer.reach and changed.max() <= 51 + restorer.reach
        assert changed.min() < 50 - restorer.reach / 3


def test_before_training_holes_are_filled_from_around_and_the_rest_stays(fresh: Restorer) -> None:
    picture = np.full((12, 10, 3), 60, np.uint8)
    picture[:, 5:] = 100
    mask = np.zeros((12, 10), bool)
    mask[3:6, 2:9] = True
    restored = fresh.restore(picture, mask=mask)
    np.testing.assert_array_equal(restored[~mask], picture[~mask])
    assert restored[mask].min() >= 60 and restored[mask].max() <= 100
    assert (np.diff(restored[4, 2:9, 0].astype(int)) >= 0).all() and restored[4, 2, 0] < restored[4, 8, 0]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_what_is_in_a_hole_does_not_matter(restorer: Restorer, dtype: type) -> None:
    (picture,) = noisy(12, 10)
    mask = np.zeros((12, 10), dtype)
    mask[3:6, 2:9] = 1
    other = np.where(mask[..., None] != 0, 255 - picture, picture).astype(np.uint8)
    for noise in (10.0, None):
        np.testing.assert_array_equal(
            restorer.restore(picture, mask=mask, noise=noise), restorer.restore(other, mask=mask, noise=noise)
        )
    assert not np.array_equal(restorer.restore(picture, mask=mask, noise=10.0), restorer.restore(picture, noise=10.0))


def test_a_hole_of_one_pixel_is_filled(fresh: Restorer) -> None:
    picture = np.full((9, 9, 3), 70, np.uint8)
    picture[4, 4] = 255
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    np.testing.assert_array_equal(fresh.restore(picture, mask=mask, noise=0.0), np.full((9, 9, 3), 70))


def test_a_picture_that_is_all_hole_is_the_same_whatever_was_in_it(restorer: Restorer, fresh: Restorer) -> None:
    mask = np.ones((20, 13), bool)
    assert (fresh.restore(noisy(20, 13)[0], mask=mask) == 128).all()
    drawn = [restorer.restore(picture, mask=mask) for picture in (noisy(20, 13)[0], np.zeros((20, 13, 3), np.uint8))]
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("noise", [0.0, 255.0, None])
def test_extremes_are_defined(restorer: Restorer, noise: float | None, fill: int) -> None:
    flat = np.full((11, 8, 3), fill, np.uint8)
    assert restorer.restore(flat, noise=noise, blur=99.0).shape == flat.shape
    np.testing.assert_array_equal(restorer.restore(flat, noise=255.0), restorer.restore(flat, noise=50.0))


def test_a_picture_alone_is_what_it_is_in_a_batch(restorer: Restorer) -> None:
    batch, masks, noise = noisy(16, 12, count=16), np.zeros((16, 16, 12), bool), np.linspace(-1, 40, 16)
    masks[3, 2:5, 2:5] = True
    blur = np.linspace(0, 2, 16)
    together, large = restorer.restore(batch, mask=masks, noise=noise, blur=blur), restorer.enlarge(batch)
    for i in (0, 3, 15):
        alone = restorer.restore(batch[i], mask=masks[i], noise=noise[i], blur=blur[i])
        assert alone.shape == (16, 12, 3)
        assert abs(alone.astype(int) - together[i]).max() <= 1
        assert abs(restorer.enlarge(batch[i]).astype(int) - large[i]).max() <= 1


def test_a_batch_of_large_pictures_goes_in_chunks(restorer: Restorer) -> None:
    batch = noisy(8, 40_000, count=5)
    restored = restorer.restore(batch, noise=10.0)
    np.testing.assert_array_equal(restored[4], restorer.restore(batch[4], noise=10.0))


def test_levels_are_heard(restorer: Restorer) -> None:
    (picture,) = pictures(1)
    base = restorer.restore(picture, noise=0.0).astype(int)
    for other in ({"noise": 50.0}, {"noise": 0.0, "blur": 2.0}):
        assert abs(base - restorer.restore(picture, **other)).max() > 1
    np.testing.assert_array_equal(restorer.restore(picture), restorer.restore(picture, noise=-1.0))


def test_the_eight_orientations_differ_and_turn_back() -> None:
    picture = to_float(noisy(5, 7))
    views = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]
    seen = [oriented(picture, *view) for view in views]
    assert len({(view.shape[1], view.numpy().tobytes()) for view in seen}) == 8
    for view, each in zip(views, seen, strict=True):
        np.testing.assert_array_equal(oriented(each, *view, back=True), picture)


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"noise": 20.0}, {"noise": 0.0, "blur": 1.0}, {}])
def test_thorough_restoring_does_not_care_how_a_picture_lies(restorer: Restorer, how: dict[str, float]) -> None:
    (picture,) = noisy(18, 13)
    mask = np.zeros((18, 13), bool)
    mask[3:6, 2:9] = True

    def turned(thorough: bool) -> tuple[np.ndarray, np.ndarray]:
        upright = restorer.restore(picture, mask=mask, thorough=thorough, **how)
        lying = restorer.restore(np.rot90(picture), mask=np.rot90(mask), thorough=thorough, **how)
        return np.rot90(upright).astype(int), lying.astype(int)

    np.testing.assert_allclose(*turned(thorough=True), atol=1)
    one, other = turned(thorough=False)
    assert abs(one - other).max() > 1


@pytest.mark.slow
def test_thorough_enlarging_does_not_care_either(restorer: Restorer, fresh: Restorer) -> None:
    (picture,) = noisy(18, 13)
    large = restorer.enlarge(picture, thorough=True).astype(int)
    np.testing.assert_allclose(np.flip(large, 1), restorer.enlarge(np.flip(picture, 1), thorough=True), atol=1)
    np.testing.assert_allclose(fresh.enlarge(picture, thorough=True), fresh.enlarge(picture), atol=1)


def test_clean_pictures_stay_as_they_are(trained: Restorer) -> None:
    clean = pictures(8, 32, seed=99)
    assert psnr(trained.restore(clean), clean).min() > 40


def test_what_is_told_to_be_whole_is_not_touched(restorer: Restorer) -> None:
    (picture,) = noisy(12, 10)
    np.testing.assert_array_equal(restorer.restore(picture, noise=0.0), picture)
    mask = np.zeros((12, 10), bool)
    mask[3:6, 2:9] = True
    np.testing.assert_array_equal(restorer.restore(picture, mask=mask, noise=0.0)[~mask], picture[~mask])
    assert not np.array_equal(restorer.restore(picture, noise=0.0, blur=1.0), picture)


def test_noise_that_nobody_sees_is_none(restorer: Restorer) -> None:
    picture = tf.constant(to_float(noisy(12, 10)))
    sigmas = tf.constant([LEAST_SIGMA / 2, LEAST_SIGMA * 2])
    alone = [restorer.restore_batch(picture, None, sigmas[row : row + 1]) for row in range(2)]
    np.testing.assert_array_equal(alone[0], picture)
    assert float(tf.reduce_max(abs(alone[1] - picture))) > 0
    beside = restorer.restore_batch(tf.repeat(picture, 2, axis=0), None, sigmas)
    np.testing.assert_array_equal(beside[0], picture[0])
    np.testing.assert_allclose(beside[1], alone[1][0], atol=1e-5)


def test_a_little_noise_changes_little(restorer: Restorer) -> None:
    (picture,) = noisy(12, 10)
    changes = [abs(restorer.restore(picture, noise=noise).astype(int) - picture).mean() for noise in (0.6, 1.0, 2.0)]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_damage_is_undone(trained: Restorer) -> None:
    clean = pictures(32, 32, seed=99)
    damaged = damage(to_float(clean), tf.range(1000, 1032, dtype=tf.int64))
    estimated = damaged._replace(sigmas=tf.fill([32], -1.0))
    before, after = (psnr(to_uint8(x).numpy(), clean) for x in (damaged.pictures, trained.repair(estimated)))
    assert np.mean(after - before) > 5


@pytest.mark.parametrize(
    "shape", [(7, 16), (16, 16, 1), (16, 16, 4), (7, 16, 3), (16, 7, 3), (2, 4, 16, 3), (1, 1, 9, 9, 3)]
)
def test_a_wrong_shape_of_pictures_is_refused(fresh: Restorer, shape: tuple[int, ...]) -> None:
    told = r"images has shape \(.*\); it must be \(h, w\), \(h, w, 3\) or \(n, h, w, 3\), sides from 8"
    for verb in (fresh.restore, fresh.enlarge):
        with pytest.raises(ValueError, match=told):
            verb(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(12, 10), (10, 11), (1, 10, 12), (10, 12, 1)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_mask_of_another_shape_is_refused(fresh: Restorer, channels: tuple[int, ...], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mask has shape \(.*\); for these images it must be \(10, 12\)"):
        fresh.restore(np.zeros((10, 12, *channels), np.uint8), mask=np.zeros(shape, bool))


def test_another_number_of_noise_levels_is_refused(fresh: Restorer) -> None:
    with pytest.raises(ValueError, match="noise has 2 values; give one for all 3 images, or one for each"):
        fresh.restore(noisy(8, 8, count=3), noise=[1.0, 2.0])


@pytest.mark.parametrize("name", ["noise", "blur"])
def test_a_level_that_is_no_number_is_refused(fresh: Restorer, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is nan; it must be a finite number"):
        fresh.restore(noisy(8, 8), **{name: float("nan")})


def test_a_saved_model_is_the_same_model(restorer: Restorer, tmp_path: Path) -> None:
    restorer.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (
        (again.widths, again.depth, again.half_depth)
        == ((4, 8), 1, 1)
        == (
            restorer.widths,
            restorer.depth,
            restorer.half_depth,
        )
    )
    np.testing.assert_array_equal(again.restore(noisy(9, 9)), restorer.restore(noisy(9, 9)))


@pytest.mark.slow
@pytest.mark.parametrize("ssim_weight", [0.0, 0.5])
def test_training_lowers_the_loss(ssim_weight: float) -> None:
    restorer = tiny_restorer(widths=(16, 16))
    training, before = RestorerTraining(restorer, ssim_weight=ssim_weight), copy_of(restorer.trainable_variables)
    training.compile(optimizer=muon(0.005), jit_compile=False)
    batch = {"image": pictures(8, 32), "seed": np.arange(8)}
    dataset = tf.data.Dataset.from_tensors(batch).repeat(5)
    history = training.fit(dataset, epochs=8, shuffle=False, verbose=0).history
    assert history["psnr"][-1] > history["psnr"][0] + 1
    assert history["loss"][-1] < history["loss"][0] - 0.25
    assert ("ssim" in history) == (ssim_weight > 0)
    if ssim_weight:
        assert history["ssim"][-1] > history["ssim"][0]
    assert all(moved([old], [new]) for old, new in zip(before, restorer.trainable_variables, strict=True))


@pytest.mark.slow
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
