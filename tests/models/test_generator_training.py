from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import SIZE, copy_of, moved, pictures, tiny_generator, tiny_language_model

from models.critic import Critic
from models.generator import Generator
from models.generator_training import (
    INITIAL_KL_SCALE,
    GeneratorAdversarial,
    GeneratorTraining,
    GeneratorWarmup,
    absolute_error,
    edges,
    encoder_of,
    squared_error,
)

CAPTIONS = ("a red", "a blue", "a circle", "红", "a square", "一个", "on", "blue")
Batch = dict[str, Any]


class Run(NamedTuple):
    """A short training: what it reported at each step, and whether each part's weights moved."""

    training: GeneratorTraining
    history: dict[str, list[float]]
    moves: list[bool]


def new_generator() -> Generator:
    return tiny_generator(tiny_language_model())


def batch_for(generator: Generator) -> Batch:
    return {"image": pictures(len(CAPTIONS)), "embedding": generator.language_model.embed(CAPTIONS)}


def run(training: GeneratorTraining, parts: list[keras.Model], steps: int, *, learning_rate: float) -> Run:
    before = [copy_of(part.variables) for part in parts]
    training.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=False)
    dataset = tf.data.Dataset.from_tensors(batch_for(training.generator))
    history = training.fit(dataset, epochs=steps, shuffle=False, verbose=0).history
    return Run(training, history, [moved(old, part.variables) for old, part in zip(before, parts, strict=True)])


@pytest.mark.parametrize("error", [squared_error, absolute_error])
def test_equal_pictures_have_no_error(error: Any) -> None:
    real = tf.random.stateless_normal([2, 8, 8, 3], (0, 1))
    assert float(error(real, real)) == 0


@pytest.mark.parametrize("offset", [-0.5, 0.1])
def test_errors_of_a_constant_offset(offset: float) -> None:
    real = tf.random.stateless_normal([2, 8, 8, 3], (0, 1))
    assert float(squared_error(real + offset, real)) == pytest.approx((1 + 2 + 4) * offset**2, rel=1e-4)
    assert float(absolute_error(real + offset, real)) == pytest.approx(abs(offset), rel=1e-4)


def test_errors_of_stripes_count_their_edges() -> None:
    stripes = tf.tile(tf.constant([1.0, -1.0])[None, None, :, None], [1, 8, 4, 3])
    nothing = tf.zeros_like(stripes)
    assert float(squared_error(stripes, nothing)) == pytest.approx(1 + 0 + 0 + 2**2)
    assert float(absolute_error(stripes, nothing)) == pytest.approx(1 + 0.5 * 2)


def test_edges_are_differences_of_neighbours() -> None:
    down, right = edges(tf.constant([[1.0, 2.0], [4.0, 8.0]])[None, :, :, None])
    assert down.numpy().ravel().tolist() == [3, 6]
    assert right.numpy().ravel().tolist() == [1, 4]


@pytest.fixture(scope="module")
def warmed_up() -> Run:
    """40 steps of the first phase, with the encoder's noise from the 15th or 16th step on."""
    generator = new_generator()
    encoder = encoder_of(generator, width=8)
    training = GeneratorWarmup(generator, encoder, steps=40, kl_weight=0.001, noiseless=0.36)
    return run(training, [generator, encoder, generator.language_model], 40, learning_rate=0.01)


@pytest.fixture(scope="module")
def adversarial() -> Run:
    """12 steps of the second phase, in which the critic learns faster than the generator."""
    generator, critic = new_generator(), Critic(SIZE, 8, widths=(4, 8))
    encoder = encoder_of(generator, width=8)
    optimizer = keras.optimizers.Adam(0.005)
    options = {"critic": critic, "critic_optimizer": optimizer, "steps": 10, "kl_weight": 0.01}
    training = GeneratorAdversarial(generator, encoder, penalty_every=3, **options)
    return run(training, [generator, encoder, critic, generator.language_model], 12, learning_rate=0.0005)


def test_warmup_lowers_the_reconstruction(warmed_up: Run) -> None:
    losses = warmed_up.history["reconstruction"]
    assert losses[-1] < 0.7 * losses[0]


def test_warmup_moves_the_generator_and_the_encoder_alone(warmed_up: Run) -> None:
    assert warmed_up.moves == [True, True, False]


def test_the_noise_of_the_encoder_comes_in_late(warmed_up: Run) -> None:
    divergences = warmed_up.history["divergence"]
    assert divergences[:15] == [0.0] * 15
    assert min(divergences[16:]) > 0
    assert float(warmed_up.training.progress) == 1


def test_the_adversarial_phase_moves_all_but_the_language_model(adversarial: Run) -> None:
    assert adversarial.moves == [True, True, True, False]
    training = adversarial.training
    assert int(training.critic_optimizer.iterations) == int(training.optimizer.iterations) == 12


def test_the_critic_learns_to_tell_real_from_drawn(adversarial: Run) -> None:
    history = adversarial.history
    assert set(history) == {"reconstruction", "divergence", "adversarial", "critic"}
    assert np.isfinite(list(history.values())).all()
    assert history["critic"][-1] < 0.9 * history["critic"][0]


def test_the_weight_of_the_divergence_falls_to_its_last_value() -> None:
    generator = new_generator()
    training = GeneratorWarmup(generator, encoder_of(generator, width=8), steps=10, kl_weight=0.1)
    training.compile(optimizer=keras.optimizers.Adam())
    scales = []
    for step in (0, 5, 10, 20):
        training.optimizer.iterations.assign(step)
        scales.append(float(training.kl_scale))
    assert scales == [1 + INITIAL_KL_SCALE, 1 + INITIAL_KL_SCALE / 4, 1, 1]


def test_a_score_for_each_picture() -> None:
    batch = batch_for(new_generator())
    scores = Critic(SIZE, 8, widths=(4, 8))([tf.cast(batch["image"], tf.float32) / 127.5 - 1, batch["embedding"]])
    assert scores.shape == (8,) and scores.dtype == tf.float32


@pytest.mark.parametrize("patches", [[2], [3, 0, 1]])
def test_a_posterior_for_each_picture_from_any_of_its_patches(patches: list[int]) -> None:
    generator = new_generator()
    batch = batch_for(generator)
    real = generator.cut(tf.cast(batch["image"], tf.float32) / 127.5 - 1, patches)
    mean, log_deviation = encoder_of(generator)([real, tf.zeros_like(real), tf.constant(patches), batch["embedding"]])
    assert mean.shape == log_deviation.shape == (8, 2)
    assert -5 <= float(tf.reduce_min(log_deviation)) <= float(tf.reduce_max(log_deviation)) <= 2


def test_the_order_of_patches_does_not_matter_and_their_place_does() -> None:
    generator = new_generator()
    encoder, batch = encoder_of(generator), batch_for(generator)
    picture = tf.cast(batch["image"], tf.float32) / 127.5 - 1

    def mean_of(shown: list[int], told: list[int]) -> Any:
        real = generator.cut(picture, shown)
        return encoder([real, tf.zeros_like(real), tf.constant(told), batch["embedding"]])[0].numpy()

    np.testing.assert_allclose(mean_of([0, 2], [0, 2]), mean_of([2, 0], [2, 0]), atol=1e-6)
    assert abs(mean_of([0, 2], [0, 2]) - mean_of([0, 2], [1, 3])).max() > 1e-4
