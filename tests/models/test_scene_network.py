from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from tiny_models import PROMPTS, pictures, shake, tiny_language_model

from models.export import export_text_to_image
from models.part_prior import PartPrior
from models.restorer import Restorer
from models.scene_encoders import BackEncoder, ThingEncoder
from models.scene_generator import SceneGenerator
from models.scene_network import CLEAR_LOGIT, hats, pixel_centres, sampled, spread, visibility
from models.scene_training import SceneTraining
from models.text_to_image import TextToImage

SIZE = 16
SIZES = {"things": 2, "noise_size": 4, "components": 3, "width": 16, "canvas": 16, "back_canvas": 16, "features": 4}
RANDOM = np.random.default_rng(0)


def tiny_scenes(picture_size: int = SIZE) -> SceneGenerator:
    language_model = tiny_language_model()
    keras.utils.set_random_seed(2)
    generator = SceneGenerator(language_model, picture_size=picture_size, **SIZES)
    shake(generator)
    return generator


@pytest.fixture(scope="module")
def generator() -> SceneGenerator:
    return tiny_scenes()


def test_a_row_depends_on_its_own_caption_and_seed_alone(generator: SceneGenerator) -> None:
    together = generator.generate(PROMPTS, seed=range(len(PROMPTS)))
    alone = np.stack([generator.generate(prompt, seed=seed) for seed, prompt in enumerate(PROMPTS)])
    assert abs(together.astype(int) - alone).max() <= 1
    assert len({picture.tobytes() for picture in alone}) == len(PROMPTS)


def test_another_seed_is_another_picture(generator: SceneGenerator) -> None:
    first, second = generator.generate(["a red circle"] * 2, seed=[1, 2])
    assert abs(first.astype(int) - second).max() > 3


def test_a_finer_picture_shows_the_same_scene(generator: SceneGenerator) -> None:
    plain, finer = (generator.generate("a red circle", seed=3, scale=scale).astype(float) for scale in (1, 4))
    assert finer.shape == (4 * SIZE, 4 * SIZE, 3)
    shrunk = finer.reshape(SIZE, 4, SIZE, 4, 3).mean((1, 3))
    assert abs(shrunk - plain).mean() < 0.2 * abs(plain - plain.mean((0, 1))).mean() + 2


def test_xla_draws_the_same(generator: SceneGenerator) -> None:
    captions, seeds = tf.constant(PROMPTS), tf.range(len(PROMPTS), dtype=tf.int64)
    plain, compiled = (generator.draw(captions, seeds, compiled=compiled).numpy() for compiled in (False, True))
    np.testing.assert_allclose(plain, compiled, atol=0.05)


def test_things_that_cannot_be_seen_need_not_be_drawn(generator: SceneGenerator) -> None:
    noise = RANDOM.normal(size=(3, generator.parts, generator.noise_size)).astype(np.float32)
    layers = generator.decode(noise, generator.mix(RANDOM.normal(size=(3, 8)).astype(np.float32)))
    assert layers.things is not None
    hidden = np.zeros(len(layers.things.palettes), np.float32)
    hidden[[1, 4]] = 3 * CLEAR_LOGIT * 8
    opacity = layers.things.canvases - hidden[:, None, None, None] * np.eye(layers.things.canvases.shape[-1])[-1]
    layers = layers._replace(things=layers.things._replace(canvases=ops.cast(opacity, "float32")))
    grid = ops.convert_to_tensor(pixel_centres(SIZE))
    rows = np.flatnonzero(generator.visible(layers.things))
    assert not {1, 4} & set(rows)
    drawn = [generator.paint(layers, grid, grid, ops.convert_to_tensor(1 / SIZE), some) for some in (None, rows)]
    np.testing.assert_allclose(*drawn, atol=0.1)


def test_nearer_things_hide_what_lies_behind() -> None:
    opacity = np.array([[[1, 1, 0, 0], [1, 0, 1, 0]]], np.float32)
    seen, gap = visibility(opacity, np.array([[50, -50]], np.float32))
    np.testing.assert_allclose(seen[0], [[1, 1, 0, 0], [0, 0, 1, 0]], atol=1e-5)
    np.testing.assert_allclose(gap[0], [0, 0, 0, 1], atol=1e-5)


@pytest.mark.parametrize("width", [1.0, 2.5])
def test_hats_weigh_cells_evenly(width: float) -> None:
    weights = hats(ops.linspace(6.0, 9.0, 7), 16, width).numpy()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=0.05)
    np.testing.assert_allclose(weights @ np.arange(16), np.linspace(6, 9, 7), atol=0.2)


def test_cells_are_sampled_where_they_lie() -> None:
    canvas = RANDOM.normal(size=(2, 4, 4, 3)).astype(np.float32)
    rows, columns = np.eye(4, dtype=np.float32)[[1, 3]], np.eye(4, dtype=np.float32)[[0, 2, 3]]
    seen = sampled(canvas, np.stack([rows, rows]), np.stack([columns, columns]))
    expected = canvas[:, [1, 3]][:, :, [0, 2, 3]].transpose(0, 3, 1, 2).reshape(2, 3, 6)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_channels_spread_into_blocks() -> None:
    block = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(spread(block, 2)[0, :, :, 0], [[0, 2], [4, 6]])


def test_the_prior_gives_what_it_samples_the_density_it_says() -> None:
    """Of one component, the nats of a draw are those of the standard normal behind it and of the deviations."""
    prior, parts = PartPrior(3, 1, width=8), 4
    mixed = RANDOM.normal(size=(5, parts, 6)).astype(np.float32)
    normal = RANDOM.normal(size=(5, parts, 3)).astype(np.float32)
    prior.nats(normal, mixed)
    shake(prior, 0.3)
    draws = prior.sample(mixed, np.zeros((5, parts), np.float32), normal)
    middles = prior.likeliest(mixed)
    own = prior.nats(draws, mixed).numpy()
    assert own.shape == (5, parts)
    assert (prior.nats(middles, mixed).numpy()[:, 0] < own[:, 0] + 1e-5).all()
    standard = 0.5 * (normal**2).sum(-1)
    # The background comes first, in `nats` as in `sample`.
    deviations = own - standard[:, [parts - 1, *range(parts - 1)]]
    again = prior.nats(prior.sample(mixed, np.zeros((5, parts), np.float32), 2 * normal), mixed).numpy()
    np.testing.assert_allclose((again - own)[:, 0], 3 * standard[:, -1], rtol=1e-3)
    np.testing.assert_allclose(deviations[:, 0], deviations[:, 0].copy(), rtol=1e-6)


def test_a_model_is_the_same_after_it_was_saved(generator: SceneGenerator, tmp_path: Path) -> None:
    generator.save(tmp_path / "generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras")
    np.testing.assert_array_equal(loaded.generate(PROMPTS, seed=4), generator.generate(PROMPTS, seed=4))


def test_it_is_served_as_part_of_the_fused_model(generator: SceneGenerator, tmp_path: Path) -> None:
    export_text_to_image(TextToImage(generator, Restorer(widths=(4, 8), depth=1)), tmp_path / "1")
    serve = tf.saved_model.load(tmp_path / "1").signatures["serving_default"]
    answer = serve(prompt=tf.constant(["a red circle"]), seed=tf.constant([1], tf.int64))
    assert tf.io.decode_png(answer["image_bytes"][0]).shape == (SIZE, SIZE, 3)


def test_a_canvas_must_be_a_multiple_of_its_feature_map() -> None:
    with pytest.raises(ValueError, match="canvas 20 and back_canvas 16 must be multiples of 16"):
        SceneGenerator(tiny_language_model(), **{**SIZES, "canvas": 20})


def training_of(generator: SceneGenerator, *, steps: int) -> SceneTraining:
    encoders = (
        BackEncoder(SIZE, generator.width, generator.noise_size),
        ThingEncoder(SIZE, generator.things, generator.width, generator.noise_size),
    )
    training = SceneTraining(generator, *encoders, steps=steps, fineness=2, kl_weight=1e-4)
    training.compile(optimizer=keras.optimizers.Adam(1e-2))
    return training


def test_training_draws_a_caption_more_like_its_picture_than_like_another() -> None:
    generator, steps = tiny_scenes(), 80
    training = training_of(generator, steps=steps)
    images = pictures(2, 2 * SIZE)
    captions = ["a red circle", "a blue square"]
    embeddings = generator.language_model.embed(captions)
    batch = {"image": np.repeat(images, 4, axis=0), "embedding": np.repeat(embeddings, 4, axis=0)}
    history = training.fit(tf.data.Dataset.from_tensors(batch).repeat(), steps_per_epoch=steps, verbose=0)
    assert np.isfinite(history.history["reconstruction"][-1])
    real = images.reshape(2, SIZE, 2, SIZE, 2, 3).mean((2, 4))
    drawn = generator.generate(captions, seed=0).astype(float)
    own, other = (((drawn - pair) ** 2).mean() for pair in (real, real[::-1]))
    assert own < 0.5 * other
