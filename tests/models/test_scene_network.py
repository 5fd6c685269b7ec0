from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray
from tiny_models import PROMPTS, pictures, shake, tiny_language_model

from models.export import export_text_to_image
from models.learning.inputs import Batches, Captioned
from models.learning.scenes import READINGS, learn_prior, learn_scenes, readings
from models.learning.settings import LearningConfig
from models.noise import Mixture
from models.part_prior import NoiseSizes, PartPrior
from models.restorer import Restorer
from models.scene_generator import SceneGenerator
from models.scene_network import (
    WHERE,
    Placement,
    SlotMixer,
    hats,
    noise_of_boxes,
    pixel_centres,
    sampled,
    visibility,
)
from models.scene_training import Encoders, SceneTraining
from models.text_to_image import TextToImage

SIZE = 16
SMALL = {
    "width": 16,
    "canvas": 16,
    "back_canvas": 16,
    "features": 4,
    "back_features": 4,
    "memory": 16,
    "back_memory": 16,
}
SIZES = {"things": 2, "shape_size": 2, "colour_size": 1, "components": 3, **SMALL}
SETTINGS = {**SMALL, "batch_size": 4}
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


def test_xla_draws_the_same(generator: SceneGenerator) -> None:
    embeddings = generator.language_model.embed(PROMPTS)
    chances = generator.chances(tf.range(len(PROMPTS), dtype=tf.int64))

    def draw() -> tf.Tensor:
        return generator.sketch(embeddings, generator.noise(embeddings, *chances))

    np.testing.assert_allclose(draw(), tf.function(draw, jit_compile=True)(), atol=0.05)


def test_a_caption_of_nothing_but_a_place_is_drawn() -> None:
    generator = tiny_scenes()
    generator.presence.bias.assign([-100.0])
    picture = generator.generate("a red circle", seed=1)
    assert picture.shape == (SIZE, SIZE, 3)
    generator.palette.kernel.assign(generator.palette.kernel + 1)
    np.testing.assert_array_equal(generator.generate("a red circle", seed=1), picture)


def test_parts_without_noise_look_as_captions_alone_say(generator: SceneGenerator) -> None:
    noise = RANDOM.normal(size=(2, generator.parts, generator.noise_size)).astype(np.float32)
    noise[1, :, :WHERE] = noise[0, :, :WHERE]
    mixed = generator.mix(np.repeat(RANDOM.normal(size=(1, 8)), 2, axis=0).astype(np.float32))

    def styles(kept: float) -> list[NDArray[np.float32]]:
        layers = generator.decode(noise, mixed, kept=ops.full([2, generator.parts, 1], kept))
        assert layers.things is not None
        return [np.asarray(layers.back), *np.split(np.asarray(layers.things.palettes), 2)]

    (back, first, second), (mute_back, mute_first, mute_second) = styles(1.0), styles(0.0)
    assert abs(first - second).max() > 1e-3
    np.testing.assert_allclose(mute_first, mute_second, atol=1e-5)
    assert abs(back[0] - back[1]).max() > 1e-3
    assert abs(mute_back[0, ..., :2] - back[0, ..., :2]).max() > 1e-3


def test_things_that_are_not_there_need_not_be_drawn(generator: SceneGenerator) -> None:
    noise = RANDOM.normal(size=(3, generator.parts, generator.noise_size)).astype(np.float32)
    mixed = generator.mix(RANDOM.normal(size=(3, 8)).astype(np.float32))
    present = np.array([[True, False], [False, False], [True, True]])
    grid = ops.convert_to_tensor(pixel_centres(SIZE))

    def drawn(rows: list[int] | None, present: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        layers = generator.decode(noise, mixed, None if rows is None else ops.convert_to_tensor(rows), present=present)
        return np.asarray(generator.paint(layers, grid, grid, ops.convert_to_tensor(1 / SIZE)))

    np.testing.assert_allclose(drawn([0, 4, 5], None), drawn(None, present), atol=2e-3)
    np.testing.assert_allclose(drawn([5, 4, 0, 1], present), drawn(None, present), atol=2e-3)
    assert abs(drawn(None, None) - drawn(None, present)).max() > 0.01


def test_boxes_become_noise_and_noise_boxes() -> None:
    boxes = np.array([[0.3, 0.7, 0.2, 0.5, -1.0], [0.5, 0.5, 0.9, 0.1, 0.5]], np.float32)
    place = Placement.of_noise(noise_of_boxes(boxes))
    np.testing.assert_allclose(np.stack([place.x, place.y], axis=1), boxes[:, :2], rtol=1e-5)
    sides = np.stack([place.width, place.height], axis=1)
    np.testing.assert_allclose(sides / boxes[:, 2:4], 1.08, rtol=1e-4)
    assert place.nearness[0] < place.nearness[1]


def test_nearer_things_hide_what_lies_behind() -> None:
    opacity = np.array([[[1, 1, 0, 0], [1, 0, 1, 0]]], np.float32)
    seen, gap = visibility(opacity, np.array([[50, -50]], np.float32))
    np.testing.assert_allclose(seen[0], [[1, 1, 0, 0], [0, 0, 1, 0]], atol=1e-5)
    np.testing.assert_allclose(gap[0], [0, 0, 0, 1], atol=1e-5)


@pytest.mark.parametrize("width", [1.0, 2.5])
def test_hats_weigh_cells_evenly(width: float) -> None:
    weights = hats(ops.linspace(6.0, 9.0, 7), 16, width).numpy()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=0.05)
    np.testing.assert_allclose(weights @ np.arange(16) / weights.sum(-1), np.linspace(6, 9, 7), atol=0.1)


def test_cells_are_sampled_where_they_lie() -> None:
    canvas = RANDOM.normal(size=(2, 4, 4, 3)).astype(np.float32)
    rows, columns = np.eye(4, dtype=np.float32)[[1, 3]], np.eye(4, dtype=np.float32)[[0, 2, 3]]
    seen = sampled(canvas, np.stack([rows, rows]), np.stack([columns, columns]))
    expected = canvas[:, [1, 3]][:, :, [0, 2, 3]].transpose(0, 3, 1, 2).reshape(2, 3, 6)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_channels_spread_into_blocks() -> None:
    block = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(ops.depth_to_space(block, 2).numpy()[0, :, :, 0], [[0, 2], [4, 6]])


@pytest.mark.filterwarnings("ignore:You are using a softmax")
def test_the_prior_gives_what_it_samples_the_density_it_says() -> None:
    """Of one component, the nats of a draw are those of the standard normal behind it and of the deviations."""
    sizes, parts = NoiseSizes(place=2, shape=1, colour=1), 4
    prior = PartPrior(sizes, 1, width=8)
    mixed = RANDOM.normal(size=(5, parts, 6)).astype(np.float32)
    normal = RANDOM.normal(size=(5, parts, sum(sizes))).astype(np.float32)
    prior.nats(normal, mixed)
    shake(prior, 0.3)
    every, uniform = np.ones((5, parts - 1), bool), np.zeros((5, parts, len(sizes)), np.float32)
    draws, middles = prior.sample(mixed, every, uniform, normal), prior.likeliest(mixed, every)
    own = prior.nats(draws, mixed).numpy()
    assert own.shape == (5, parts)
    np.testing.assert_allclose(middles, prior.sample(mixed, every, uniform, 0 * normal), atol=1e-6)
    # The background comes first in `nats`; its colour comes last, so nothing else depends on it there.
    further = prior.sample(mixed, every, uniform, normal * np.float32([1, 1, 1, 2]))
    again = prior.nats(further, mixed).numpy()
    np.testing.assert_allclose((again - own)[:, 0], 1.5 * normal[:, -1, -1] ** 2, rtol=1e-3, atol=1e-4)


def test_the_likeliest_place_is_the_middle_of_the_components_that_share_a_mode() -> None:
    means = np.array([[[0.0], [0.2], [9.0]]], np.float32)
    mixture = Mixture(np.log([[0.4, 0.3, 0.3]]).astype(np.float32), means, np.zeros_like(means))
    assert float(mixture.likeliest()[0, 0]) == 0
    near = 0.3 * np.exp(-0.5 * (0.2 / 0.4) ** 2)
    assert float(mixture.likeliest(close=0.4)[0, 0]) == pytest.approx(0.2 * near / (0.4 + near), rel=1e-3)


def test_shapes_do_not_depend_on_colours(generator: SceneGenerator) -> None:
    noise = RANDOM.normal(size=(2, generator.parts, generator.noise_size)).astype(np.float32)
    noise[1, :, : -generator.colour_size] = noise[0, :, : -generator.colour_size]
    mixed = generator.mix(np.repeat(RANDOM.normal(size=(1, 8)), 2, axis=0).astype(np.float32))
    things = generator.decode(noise, mixed).things
    assert things is not None
    canvases, palettes = (np.split(np.asarray(each), 2) for each in (things.canvases, things.palettes))
    np.testing.assert_allclose(*canvases, atol=1e-5)
    assert abs(palettes[0] - palettes[1]).max() > 1e-3


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


def training_of(generator: SceneGenerator, *, steps: int, tags: int = 2) -> SceneTraining:
    training = SceneTraining(generator, Encoders.of(generator), steps=steps, fineness=2, kl_weight=1e-4, tags=tags)
    training.compile(optimizer=keras.optimizers.Adam(3e-3))
    return training


BOXES = np.array([[[0.5, 0.5, 0.6, 0.6, 0.0], [np.nan] * WHERE]] * 2, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("boxes", [BOXES, np.zeros_like(BOXES)], ids=["boxes", "no boxes"])
def test_training_draws_a_caption_more_like_its_picture_than_like_another(boxes: NDArray[np.float32]) -> None:
    generator, steps = tiny_scenes(), 200
    training = training_of(generator, steps=steps)
    images = pictures(2, 2 * SIZE)
    captions = ["a red circle", "a blue square"]
    embeddings = generator.language_model.embed(captions)
    batch = {"image": np.repeat(images, 4, axis=0), "embedding": np.repeat(embeddings, 4, axis=0)}
    tags = np.eye(2, dtype=bool)[:, None].repeat(3, axis=1)
    batch |= {"boxes": np.repeat(boxes, 4, axis=0), "tags": np.repeat(tags, 4, axis=0)}
    history = training.fit(
        tf.data.Dataset.from_tensors(batch).repeat(), steps_per_epoch=steps, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["reconstruction"][-1])
    real = images.reshape(2, SIZE, 2, SIZE, 2, 3).mean((2, 4))
    drawn = generator.generate(captions, seed=0).astype(float)
    own, other = (((drawn - pair) ** 2).mean() for pair in (real, real[::-1]))
    assert own < 0.5 * other
    finer = generator.generate(captions, seed=0, scale=4).astype(float)
    shrunk = finer.reshape(2, SIZE, 4, SIZE, 4, 3).mean((2, 4))
    assert abs(shrunk - drawn).mean() < 0.5 * abs(drawn - drawn.mean((1, 2), keepdims=True)).mean()


def test_what_is_there_and_where_comes_from_boxes_where_they_are_known() -> None:
    generator = tiny_scenes()
    training = training_of(generator, steps=10)
    picture = RANDOM.uniform(-1, 1, size=(2, SIZE, SIZE, 3)).astype(np.float32)
    mixed = generator.mix(generator.language_model.embed(["a red circle", "a blue square"]))
    found = training.find(picture, mixed, BOXES)
    np.testing.assert_array_equal(found.present, [[True, False]] * 2)
    np.testing.assert_array_equal(found.noise[:, 0], found.things[:, 0])
    np.testing.assert_array_equal(found.noise[:, -1], found.back)
    np.testing.assert_allclose(found.things[:, 0, :WHERE], noise_of_boxes(BOXES[:, 0]), atol=0.1)
    assert not np.any(found.things[:, 1])
    unknown = training.find(picture, mixed, np.zeros_like(BOXES))
    np.testing.assert_array_equal(unknown.present, np.asarray(generator.presences(mixed)) > 0)
    assert float(unknown.miss) == 0 < float(found.miss)


@pytest.mark.slow
def test_the_noise_of_pictures_with_one_caption_tells_their_tags_apart() -> None:
    generator, steps = tiny_scenes(), 200
    training = training_of(generator, steps=steps)
    images = pictures(2, 2 * SIZE)
    batch = {"image": images, "embedding": generator.language_model.embed(["a red circle"] * 2), "boxes": BOXES}
    batch["tags"] = np.eye(2, dtype=bool)[:, None].repeat(3, axis=1)
    training.fit(tf.data.Dataset.from_tensors(batch).repeat(), steps_per_epoch=steps, shuffle=False, verbose=0)
    mixed = generator.mix(batch["embedding"])
    looks = training.find(training.pictures_of(batch)[1], mixed, BOXES).noise[:, 0, WHERE:]
    from_captions, from_both = training.tag_heads
    assert np.ptp(np.asarray(from_captions(mixed[:, 0])), axis=0).max() < 1e-5
    predicted = np.asarray(from_both(tf.concat([mixed[:, 0], tf.tanh(looks)], axis=-1)))
    np.testing.assert_array_equal(predicted.argmax(axis=1), [0, 1])


def test_slots_are_whitened() -> None:
    mixer = SlotMixer(2, 8)
    rows = (RANDOM.normal(size=(500, 6)) * [5, 1, 0.5, 0.1, 3, 1] + 4).astype(np.float32)
    mixer(rows.reshape(-1, 2, 3))
    mixer.adapt(rows)
    white = np.einsum("bkc,kcd->bkd", rows.reshape(-1, 2, 3) - mixer.mean.numpy(), mixer.whitening.numpy())
    for slot in range(2):
        np.testing.assert_allclose(np.cov(white[:, slot], rowvar=False), np.eye(3), atol=0.05)


@pytest.mark.slow
def test_captions_and_pictures_are_enough_to_learn_from() -> None:
    images = pictures(2, 2 * SIZE).repeat(4, axis=0)
    language_model = tiny_language_model()
    captions = language_model.tokenizer.tokenize(tf.constant(["a red circle", "a blue square"])).numpy()
    data = Captioned(images, captions[:, None].repeat(4, axis=0))
    config = LearningConfig.model_validate(
        {"data": {"picture_size": SIZE}, "drawing": {"network": "scenes", "scenes": {**SETTINGS, "steps": 2}}}
    )
    trained: dict[str, keras.Model] = {}

    def fit(training: keras.Model, batches: Batches, *, label: str, **_: object) -> None:
        training.fit(batches.dataset().take(2), shuffle=False, verbose=0)
        trained[label] = training

    generator = learn_scenes(data, language_model, config, fit=fit)
    assert generator.generate("a red circle", seed=1).shape == (SIZE, SIZE, 3)
    assert [*trained] == ["generator_scenes", "generator_prior"]


@pytest.mark.slow
def test_the_prior_alone_learns_what_encoders_read_and_nothing_else_changes() -> None:
    generator = tiny_scenes()
    training = training_of(generator, steps=10)
    batch = {"image": pictures(2, 2 * SIZE), "boxes": BOXES}
    batch["embedding"] = generator.language_model.embed(["a red circle", "a blue square"])
    batches = Batches(2, 2, 0, lambda _, rows: {name: tf.gather(values, rows) for name, values in batch.items()})
    learned = {id(weight) for weight in generator.prior.weights}
    others = [weight for weight in generator.weights if id(weight) not in learned]
    before = [weight.numpy() for weight in others]
    surprises = []

    def fit(alone: keras.Model, read: Batches, **_: object) -> None:
        assert read.total == READINGS * 2
        history = alone.fit(read.dataset(), steps_per_epoch=20, epochs=4, shuffle=False, verbose=0)
        surprises.extend(history.history["surprise"])

    settings = LearningConfig.model_validate({"drawing": {"scenes": {**SETTINGS, "steps": 320}}}).drawing.scenes
    learn_prior(training, batches, settings, fit=fit)
    assert surprises[-1] < surprises[0] - 3
    for weight, value in zip(others, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_each_reading_has_noise_of_its_own() -> None:
    generator = tiny_scenes()
    training = training_of(generator, steps=10)
    image = pictures(1, 2 * SIZE).repeat(2, axis=0)
    known = {"image": image, "boxes": BOXES, "embedding": generator.language_model.embed(["a red circle"] * 2)}
    batches = Batches(2, 1, 0, lambda _, rows: {name: tf.gather(values, rows) for name, values in known.items()})
    read = readings(training, batches)
    assert read["mixed"].dtype == np.float16
    assert len(np.unique(read["noise"][:, -1, -1])) == READINGS * 2
