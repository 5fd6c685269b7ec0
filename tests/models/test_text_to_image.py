from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import PROMPTS, SIZE

from models.text_to_image import TextToImage


def test_without_expanding_and_refining_it_is_the_generator(text_to_image: TextToImage) -> None:
    drawn = text_to_image.generate(PROMPTS, seed=range(len(PROMPTS)), expand=False, refine=False)
    np.testing.assert_array_equal(drawn, text_to_image.generator.generate(PROMPTS, seed=range(len(PROMPTS))))


def test_expanding_draws_what_the_language_model_writes(text_to_image: TextToImage) -> None:
    prompts, seeds = ["a", "红", ""], [1, 2, 3]
    captions = text_to_image.generator.language_model.generate(prompts, seed=seeds)
    assert captions != prompts
    np.testing.assert_array_equal(
        text_to_image.generate(prompts, seed=seeds, refine=False),
        text_to_image.generator.generate(captions, seed=seeds),
    )


def test_a_prompt_with_unknown_words_stays_as_it_is(text_to_image: TextToImage) -> None:
    prompts = ["a red", "a red zorb", "zorb"]
    _, captions = text_to_image._draw(
        tf.constant(prompts), tf.constant([1, 2, 3], tf.int64), tf.ones([3]), *[tf.fill([3], True)] * 2, None, None
    )
    assert [caption.decode() for caption in captions.numpy()[1:]] == prompts[1:]
    assert captions.numpy()[0].decode() == text_to_image.generator.language_model.generate(
        "a red", seed=1, temperature=1.0
    )


def test_refining_is_the_restorer_on_the_drawing(text_to_image: TextToImage) -> None:
    drawn = text_to_image.generate(PROMPTS, expand=False, refine=False)
    refined = text_to_image.generate(PROMPTS, expand=False, refine=True).astype(int)
    assert abs(refined - drawn).max() > 2
    assert abs(refined - text_to_image.restorer.restore(drawn)).max() <= 2  # restore() begins with whole grey levels


def test_the_temperature_reaches_the_language_model(text_to_image: TextToImage) -> None:
    language_model = text_to_image.generator.language_model
    cold = language_model.generate("a", seed=1, temperature=0.0)
    np.testing.assert_array_equal(
        text_to_image.generate("a", seed=1, temperature=0.0, refine=False),
        text_to_image.generator.generate(cold, seed=1),
    )


def test_generate_takes_a_string_a_list_and_a_dataset(text_to_image: TextToImage) -> None:
    drawn = text_to_image.generate(["a red", "红"], seed=[1, 2])
    assert drawn.shape == (2, SIZE, SIZE, 3) and drawn.dtype == np.uint8
    alone = text_to_image.generate("红", seed=2)
    assert alone.shape == (SIZE, SIZE, 3)
    assert abs(alone.astype(int) - drawn[1]).max() <= 1
    dataset = tf.data.Dataset.from_tensor_slices(["a red", "红"]).batch(2)
    np.testing.assert_array_equal(text_to_image.generate(dataset, seed=[1, 2]), drawn)


def test_a_picture_alone_is_what_it_is_in_a_batch(text_to_image: TextToImage) -> None:
    prompts, seeds = [*PROMPTS, *PROMPTS], list(range(16))
    batch = text_to_image.generate(prompts, seed=seeds).astype(int)
    for row, prompt, seed in zip(batch, prompts, seeds, strict=True):
        assert abs(text_to_image.generate(prompt, seed=seed) - row).max() <= 1


def test_options_go_by_row(text_to_image: TextToImage) -> None:
    prompts, seeds = tf.constant(["a"] * 4), tf.constant([1] * 4, tf.int64)
    expand, refine = tf.constant([False, False, True, True]), tf.constant([False, True, False, True])
    drawn, captions = text_to_image.draw(prompts, seeds, tf.fill([4], 0.5), expand, refine)
    assert (captions[0], captions[1]) == (b"a", b"a") and captions[2] == captions[3] != b"a"
    for row, wants in zip(drawn.numpy(), zip(expand.numpy(), refine.numpy(), strict=True), strict=True):
        alone = text_to_image.generate("a", seed=1, expand=bool(wants[0]), refine=bool(wants[1]), temperature=0.5)
        assert abs(alone.astype(int) - row).max() <= 1


def test_the_chosen_candidate_is_the_one_most_like_the_others(text_to_image: TextToImage) -> None:
    caption, seeds = "a red", [5 + number * 2**32 for number in range(6)]
    drawn = text_to_image.generator.generate([caption] * 6, seed=seeds).astype(float)
    distances = ((drawn[:, None] - drawn[None]) ** 2).mean((1, 2, 3, 4))
    assert distances.argmin() != 0
    chosen = text_to_image.generate(caption, seed=5, expand=False, refine=False, candidates=6)
    assert abs(chosen - drawn[distances.argmin()]).max() <= 1


def test_one_candidate_is_the_drawing_itself(text_to_image: TextToImage) -> None:
    embeddings = text_to_image.generator.language_model.embed_texts(tf.constant(["a", "红"]))
    seeds = tf.constant([1, 2], tf.int64)
    assert text_to_image.choose(embeddings, seeds, tf.ones([2], tf.int64)).numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": [1, 2, 3]}, r"seed has shape \(3,\); give one for all 2 texts, or one for each"),
        ({"temperature": -1.0}, "temperature must be from 0 to 10, not -1.0"),
        ({"candidates": 17}, "candidates must be from 1 to 16, not 17"),
        ({"scale": 9}, "scale must be from 1 to 8, not 9"),
    ],
)
def test_wrong_options_are_refused(text_to_image: TextToImage, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_to_image.generate(["a", "b"], **options)


def test_it_is_loaded_from_a_folder_of_keras_models(text_to_image: TextToImage, tmp_path: Path) -> None:
    text_to_image.generator.save(tmp_path / "generator.keras")
    text_to_image.restorer.save(tmp_path / "restorer.keras")
    again = TextToImage.load(tmp_path)
    np.testing.assert_array_equal(again.generate(PROMPTS, seed=5), text_to_image.generate(PROMPTS, seed=5))


def test_a_folder_that_lacks_a_model_is_refused(text_to_image: TextToImage, tmp_path: Path) -> None:
    text_to_image.generator.save(tmp_path / "generator.keras")
    with pytest.raises(FileNotFoundError, match=r"holds no restorer\.keras: name a folder with Keras models"):
        TextToImage.load(tmp_path)
