import numpy as np
import pytest
import tensorflow as tf
from tiny_models import pictures

from models.damage import MAX_BLUR, MAX_SIGMA, Damaged, blur, damage, enlarge, rectangles, scratches, shrink
from models.restorer_network import noise_sigma
from models.tensors import to_float

COUNT, SIZE = 600, 32


def seeds(*values: int) -> tf.Tensor:
    return tf.constant(values, tf.int64)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, shape).astype(np.float32)


@pytest.fixture(scope="module")
def many() -> Damaged:
    """One sharp picture, damaged by many seeds."""
    picture = np.random.default_rng(0).uniform(-0.9, 0.9, (1, SIZE, SIZE, 3)).astype(np.float32)
    return damage(tf.constant(picture.repeat(COUNT, 0)), tf.range(COUNT, dtype=tf.int64))


def test_shapes_and_ranges(many: Damaged) -> None:
    assert [part.shape.as_list() for part in many] == [[COUNT, SIZE, SIZE, 3], [COUNT, SIZE, SIZE, 1], *[[COUNT]] * 3]
    assert {part.dtype for part in many} == {tf.float32}
    assert set(np.unique(many.masks)) == set(np.unique(many.enlarged)) == {0.0, 1.0}


def test_the_same_seed_damages_in_the_same_way() -> None:
    clean = to_float(pictures(20))
    batch = damage(clean, seeds(*range(20)))
    again = damage(clean[::-1], seeds(*range(20))[::-1])
    for first, second in zip(batch, again, strict=True):
        np.testing.assert_allclose(first, second[::-1], atol=1e-6)
    assert len(set(batch.sigmas.numpy())) > 8


def test_holes_are_emptied(many: Damaged) -> None:
    assert (many.pictures.numpy()[many.masks.numpy()[..., 0] == 1] == 0).all()


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("enlarged", 0.2),
        ("blurred", 0.8 * 0.2),
        ("holed", 0.8 * 0.35),
        ("noisy", 0.8 * (0.65 * 0.9 + 0.35 * 0.25)),
    ],
)
def test_damage_happens_as_often_as_the_docstring_says(many: Damaged, share: str, expected: float) -> None:
    happened = {
        "enlarged": many.enlarged.numpy() > 0,
        "blurred": many.blurs.numpy() > 0,
        "holed": many.masks.numpy().any(axis=(1, 2, 3)),
        "noisy": many.sigmas.numpy() > 0,
    }
    assert abs(happened[share].mean() - expected) < 0.06


def test_enlarged_pictures_have_no_other_damage(many: Damaged) -> None:
    enlarged = many.enlarged.numpy() > 0
    others = [many.sigmas.numpy(), many.blurs.numpy(), many.masks.numpy().sum(axis=(1, 2, 3))]
    assert not any(other[enlarged].any() for other in others)


def test_levels_fill_their_ranges(many: Damaged) -> None:
    sigmas, blurs = (levels.numpy()[levels.numpy() > 0] for levels in (many.sigmas, many.blurs))
    assert sigmas.min() < 2 and 48 < sigmas.max() < MAX_SIGMA == 50 and abs(sigmas.mean() - 25) < 3
    assert 0.4 <= blurs.min() < 0.5 and 1.9 < blurs.max() < MAX_BLUR == 2


def test_half_of_the_pictures_are_clipped() -> None:
    bright = tf.fill([COUNT, 8, 8, 3], 0.99)
    damaged = damage(bright, tf.range(COUNT, dtype=tf.int64))
    loud = damaged.sigmas.numpy() > 10
    beyond = abs(damaged.pictures.numpy()[loud]).max(axis=(1, 2, 3)) > 1
    assert abs(beyond.mean() - 1 / 2) < 0.08


def test_noise_has_the_level_that_is_told() -> None:
    damaged = damage(tf.zeros([60, 32, 32, 3]), tf.range(60, dtype=tf.int64))
    for picture, mask, sigma in zip(*(part.numpy() for part in damaged[:3]), strict=True):
        seen = picture[mask[..., 0] == 0]
        assert seen.std() * 127.5 == pytest.approx(sigma, rel=0.15, abs=1e-4)  # a grey picture: 1,024 draws


def test_a_grey_picture_stays_grey_and_a_coloured_one_gets_colours() -> None:
    grey = tf.constant(noise((1, 16, 16, 1)).repeat(3, axis=-1))
    both = tf.concat([grey, noise((1, 16, 16, 3))], axis=0)
    seed = next(i for i in range(99) if damage(grey, seeds(i)).sigmas[0] > 10)
    damaged = damage(both, seeds(seed, seed)).pictures.numpy()
    np.testing.assert_array_equal(damaged[0], damaged[0, ..., :1].repeat(3, axis=-1))
    assert np.ptp(damaged[1] - both[1].numpy(), axis=-1).max() > 0.05


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.3])
def test_resampling_keeps_constants(level: float) -> None:
    flat = tf.fill([2, 10, 12, 3], level)
    for other in (blur(flat, tf.constant([0.0, 2.0])), enlarge(flat), shrink(flat)):
        np.testing.assert_allclose(other, np.full(other.shape, level), atol=0.005)


def test_blur_spreads_a_point_by_its_deviation() -> None:
    point = np.zeros((3, 21, 21, 1), np.float32)
    point[:, 10, 10] = 1
    blurred = blur(tf.constant(point), tf.constant([0.0, 1.0, 2.0])).numpy()[..., 0]
    np.testing.assert_allclose(blurred.sum(axis=(1, 2)), 1, rtol=1e-5)
    across = np.arange(21) - 10
    deviations = np.sqrt((blurred.sum(axis=1) * across**2).sum(axis=1))
    np.testing.assert_allclose(deviations, [0, 1, 2], atol=0.06)


@pytest.mark.parametrize(("change", "antialias"), [(enlarge, False), (shrink, True)])
def test_resampling_is_bicubic(change: object, antialias: bool) -> None:
    smooth = tf.nn.avg_pool2d(noise((1, 40, 36, 3)), 3, 1, "SAME")
    changed = change(smooth)
    reference = tf.image.resize(smooth, changed.shape[1:3], method="bicubic", antialias=True).numpy()
    inner = np.s_[:, 6:-6, 6:-6]
    np.testing.assert_allclose(changed.numpy()[inner], reference[inner], atol=1e-5 + antialias / 255)


def test_a_ramp_survives_being_halved_and_doubled() -> None:
    ramp = np.linspace(-0.9, 0.9, 64, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 32, 3), np.float32)
    again = enlarge(shrink(tf.constant(ramp))).numpy()
    np.testing.assert_allclose(again[:, 8:-8], ramp[:, 8:-8], atol=0.01)


def test_a_rectangle_has_the_documented_size() -> None:
    chances = np.random.default_rng(0).random((200, 5)).astype(np.float32)
    masks = rectangles(tf.constant(chances), 40, 40).numpy()[..., 0]
    np.testing.assert_array_equal(masks.any(axis=(1, 2)), chances[:, 0] < 0.5)
    for mask in masks[chances[:, 0] < 0.5]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, np.outer(rows, columns))
        assert all(3 <= side.sum() <= 15 for side in (rows, columns))
    assert masks.any(axis=(0, 1)).all() and masks.any(axis=(0, 2)).all()


def test_a_scratch_is_a_thin_line_through_its_point() -> None:
    wanted, flat, thick, middle = 0.0, 0.0, 1.0, 0.5
    mask = scratches(tf.constant([[wanted, flat, thick, middle, middle]]), 100, 50).numpy()[0, ..., 0]
    assert mask[47:53].all() and mask.sum() == 6 * 50
    assert not scratches(tf.constant([[0.6, 0.0, 1.0, 0.5, 0.5]]), 100, 50).numpy().any()


@pytest.mark.parametrize("size", [8, 32, 200])
@pytest.mark.parametrize("sigma", [5.0, 15.0, 30.0])
def test_noise_on_a_flat_picture_is_estimated(sigma: float, size: int) -> None:
    flat = np.random.default_rng(0).normal(0, sigma / 127.5, (20, size, size, 3)).astype(np.float32)
    assert np.mean(noise_sigma(tf.constant(flat))) == pytest.approx(sigma, rel=0.06)


def test_noise_is_estimated_beside_texture_and_holes() -> None:
    picture = np.random.default_rng(0).normal(0, 10 / 127.5, (1, 64, 64, 3)).astype(np.float32)
    picture[:, 32:] += np.where(np.indices((32, 64)).sum(axis=0) % 2, 0.5, -0.5)[None, :, :, None]
    mask = np.zeros((1, 64, 64, 1), np.float32)
    mask[:, 4:20, 4:20] = 1
    estimate = noise_sigma(tf.constant(picture * (1 - mask)), tf.constant(mask))
    np.testing.assert_allclose(estimate, [10], rtol=0.15)


def test_clean_drawings_have_no_noise() -> None:
    fade = np.linspace(-1, 1, 32, dtype=np.float32)[None, None, :, None] * np.ones((1, 32, 1, 3), np.float32)
    disc = np.where(((np.indices((32, 32)) - 16) ** 2).sum(axis=0) < 80, 0.9, -0.7).astype(np.float32)
    drawn = np.concatenate([fade, disc[None, ..., None].repeat(3, -1), np.full((1, 32, 32, 3), 0.3, np.float32)])
    np.testing.assert_allclose(noise_sigma(tf.constant(drawn)), [0, 0, 0], atol=1e-3)


def test_a_picture_that_is_one_hole_has_no_noise() -> None:
    np.testing.assert_array_equal(noise_sigma(tf.constant(noise((1, 16, 16, 3))), tf.ones([1, 16, 16, 1])), [0])
