from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PROMPTS, SIZE, tiny_generator, tiny_language_model

from models.generator import Generator
from models.language_model import LanguageModel
from models.tensors import to_uint8


def test_config_round_trip_with_its_language_model(generator: Generator) -> None:
    config = generator.get_config()
    arguments = {"picture_size": 16, "noise_size": 2, "style_size": 16, "frames": 4, "width": 8, "depth": 2, "block": 2}
    assert {**config, **arguments} == config
    again = Generator.from_config(dict(config))
    assert again.get_config() == config
    assert again.language_model.get_config() == generator.language_model.get_config()


def test_a_saved_model_is_the_same_model(generator: Generator, tmp_path: Path) -> None:
    generator.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.generate(PROMPTS, seed=3), generator.generate(PROMPTS, seed=3))
    texts = [model.language_model.generate(PROMPTS, seed=3, temperature=1.0) for model in (again, generator)]
    assert texts[0] == texts[1]


def test_generate_takes_a_string_a_list_and_a_dataset(generator: Generator) -> None:
    drawn = generator.generate(["a red", "红"], seed=[1, 2])
    assert drawn.shape == (2, SIZE, SIZE, 3) and drawn.dtype == np.uint8
    alone = generator.generate("红", seed=2)
    assert alone.shape == (SIZE, SIZE, 3)
    assert abs(alone.astype(int) - drawn[1]).max() <= 1
    dataset = tf.data.Dataset.from_tensor_slices(["a red", "红"]).batch(1)
    np.testing.assert_array_equal(generator.generate(dataset, seed=[1, 2]), drawn)


def test_drawings_are_clipped(language_model: LanguageModel) -> None:
    model = tiny_generator(language_model)
    model.colours.bias.assign(np.full(16, 5.0))
    drawn = model.draw(tf.constant(["a"]), tf.constant([1], tf.int64))
    assert drawn.dtype == tf.float32 and float(tf.reduce_max(drawn)) == 1
    np.testing.assert_array_equal(model.generate(["a"], seed=1), to_uint8(drawn))


@pytest.mark.parametrize("block", [1, 2, 4])
def test_a_finer_drawing_passes_through_the_pixels_of_the_coarse_one(language_model: LanguageModel, block: int) -> None:
    model = tiny_generator(language_model, block=block)
    coarse, fine = (model.generate(["a red", "红"], seed=1, scale=scale).astype(int) for scale in (1, 3))
    assert fine.shape == (2, 3 * SIZE, 3 * SIZE, 3)
    # The middle of three fine pixels lies where the coarse one does; of a block, only one pixel is asked.
    middle, chosen = fine[:, 1::3, 1::3], slice(block // 2, None, block)
    assert abs(middle[:, chosen, chosen] - coarse[:, chosen, chosen]).max() <= 1


def test_scales_out_of_range_are_refused(generator: Generator) -> None:
    with pytest.raises(ValueError, match="scale must be from 1 to 8, not 0"):
        generator.generate("a", scale=0)


def test_a_picture_alone_is_what_it_is_in_a_batch(generator: Generator) -> None:
    captions, seeds = [*PROMPTS, *PROMPTS], list(range(16))
    batch = generator.generate(captions, seed=seeds).astype(int)
    for row, caption, seed in zip(batch, captions, seeds, strict=True):
        assert abs(generator.generate(caption, seed=seed) - row).max() <= 1


def test_seeds_and_captions_decide_the_picture(generator: Generator) -> None:
    one, same, other_seed, other_caption = generator.generate(["a red", "a red", "a red", "红"], seed=[1, 1, 2, 1])
    np.testing.assert_array_equal(one, same)
    assert abs(one.astype(int) - other_seed).max() > 1
    assert abs(one.astype(int) - other_caption).max() > 1


@pytest.mark.parametrize("scale", [None, 2])
def test_interpolated_drawings_lead_from_the_one_to_the_other(generator: Generator, scale: int | None) -> None:
    embeddings = generator.language_model.embed_texts(tf.constant(["a red", "红"]))
    (start, end), seeds = embeddings[:, None], tf.constant([1, 2], tf.int64)[:, None]
    first, nearer, further, last = (
        generator.draw_between(start, seeds[0], end, seeds[1], tf.constant([share]), scale)[0]
        for share in (0.0, 0.4, 0.6, 1.0)
    )
    ends = generator.draw(tf.constant(["a red", "红"]), tf.constant([1, 2], tf.int64), scale)
    np.testing.assert_allclose(tf.stack([first, last]), ends, atol=1e-5)
    distances = [float(tf.reduce_mean(abs(drawn - first))) for drawn in (nearer, further)]
    assert 0 < distances[0] < distances[1]


def test_case_and_spaces_of_a_caption_do_not_matter(generator: Generator) -> None:
    first, second = generator.generate(["a red circle", "  A  Red\tCIRCLE "])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("size", "block"), [(16, 1), (24, 4), (12, 2)])
def test_any_multiple_of_twice_the_block_is_a_size(language_model: LanguageModel, size: int, block: int) -> None:
    assert tiny_generator(language_model, picture_size=size, block=block).generate("a").shape == (size, size, 3)


@pytest.mark.parametrize(("size", "block"), [(15, 1), (10, 2), (20, 4)])
def test_a_size_that_is_no_multiple_of_twice_the_block_is_refused(
    language_model: LanguageModel, size: int, block: int
) -> None:
    with pytest.raises(ValueError, match=f"picture_size {size} is not a multiple of twice the block, {2 * block}"):
        tiny_generator(language_model, picture_size=size, block=block)


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3]])
def test_another_number_of_seeds_is_refused(generator: Generator, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match=r"seed has shape \(\d,\); give one for all 2 texts"):
        generator.generate(["a", "b"], seed=seeds)


def test_the_language_model_is_not_trained_here() -> None:
    language_model = tiny_language_model()
    count = len(language_model.trainable_variables)
    model = tiny_generator(language_model)
    assert count > 0 and language_model.trainable_variables == []
    names = {id(variable) for variable in language_model.variables}
    assert not names & {id(variable) for variable in model.trainable_variables}


@pytest.mark.parametrize("block", [1, 2, 4])
def test_patches_are_parts_of_the_whole_picture(language_model: LanguageModel, block: int) -> None:
    model = tiny_generator(language_model, block=block)
    inputs = [tf.random.stateless_normal([3, 2], (0, 1)), language_model.embed(PROMPTS[:3])]
    whole, patches = model(inputs), tf.constant([3, 0])
    side = 2 * block
    column = 3 % (SIZE // side) * side
    row = 3 // (SIZE // side) * side
    expected = tf.stack([whole[0, row : row + side, column : column + side], whole[0, :side, :side]])
    np.testing.assert_allclose(model(inputs, patches)[:2], expected, atol=1e-5)
    np.testing.assert_allclose(model.cut(whole, patches), model(inputs, patches), atol=1e-5)


def test_every_patch_is_cut_once(generator: Generator) -> None:
    numbers = tf.reshape(tf.range(SIZE * SIZE * 3), [1, SIZE, SIZE, 3])
    cut = generator.cut(numbers, tf.range(len(generator.points)))
    assert sorted(cut.numpy().ravel()) == list(range(SIZE * SIZE * 3))
