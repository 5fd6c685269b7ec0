import keras
import numpy as np
import pytest
import tensorflow as tf
from test_photo_network import tiny_photo_generator
from tiny_models import SIZE, copy_of, moved, pictures

from models.augmentation import augmented
from models.frozen_weights import PACKAGE
from models.optimizers import Adam
from models.photo_critic import Opinion, PhotoCritic
from models.photo_training import PhotoTraining, contrast_of, falling

BATCH = 8


def training_of(steps: int, *, frozen_features: bool = False, **options: float) -> PhotoTraining:
    generator = tiny_photo_generator()
    size = generator.language_model.embedding_size
    critic = PhotoCritic(SIZE, size, width=8, most_width=16, block=2, frozen_features=frozen_features)
    other = Adam(2e-3, beta_1=0.0, beta_2=0.99)
    training = PhotoTraining(generator, critic, critic_optimizer=other, steps=steps, **options)
    training.compile(optimizer=Adam(2e-3, beta_1=0.0, beta_2=0.99))
    return training


def batch_of(training: PhotoTraining) -> dict[str, tf.Tensor]:
    embeddings = np.random.default_rng(1).normal(size=(BATCH, training.generator.language_model.embedding_size))
    return {"image": tf.constant(pictures(BATCH)), "embedding": tf.constant(embeddings, tf.float32)}


@pytest.mark.parametrize("frozen_features", [False, True])
def test_each_update_moves_its_own_network(frozen_features: bool) -> None:
    if frozen_features:
        pytest.importorskip(PACKAGE, reason="Install its weights: make install-dev")
    training = training_of(10, frozen_features=frozen_features)
    batch = batch_of(training)
    of_critic, of_generator = training.updates()
    for update, still in ((of_critic, training.generator), (of_generator, training.critic)):
        before, others = copy_of(update.variables), copy_of(still.trainable_variables)
        with tf.GradientTape() as tape:
            loss, _ = update.loss(batch)
        sources = [variable.value for variable in update.variables]
        gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if not update.optimizer.built:
            update.optimizer.build(update.variables)
        update.optimizer.apply(gradients, update.variables)
        assert moved(before, update.variables)
        assert not moved(others, still.trainable_variables)


def test_the_critic_learns_to_tell_real_pictures_and_their_captions() -> None:
    training = training_of(100, contrast_weight=1.0, augmented_share=0.0)
    batches = tf.data.Dataset.from_tensors(batch_of(training)).repeat()
    history = training.fit(batches, epochs=2, steps_per_epoch=50, verbose=0, shuffle=False).history
    assert history["contrast"][-1] < history["contrast"][0]
    assert all(np.isfinite(values).all() for values in history.values())


def test_captions_that_say_the_same_are_not_told_apart() -> None:
    told = keras.ops.convert_to_tensor(np.sqrt(2) * np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    vectors = np.eye(3, 4, dtype=np.float32)
    right = float(contrast_of(Opinion(None, vectors, vectors), told))
    assert right == pytest.approx(np.log(1 + np.exp(-5)) * 2 / 3 + np.log(1 + 2 * np.exp(-5)) / 3, rel=1e-4)


def test_the_rate_is_constant_and_falls_in_the_last_quarter() -> None:
    shares = [float(falling(keras.ops.convert_to_tensor(progress))) for progress in (0.0, 0.75, 0.875, 1.0)]
    np.testing.assert_allclose(shares, [1, 1, 0.55, 0.1], rtol=1e-5)


def test_penalties_weigh_less_from_the_middle_on() -> None:
    training = training_of(10, penalty_every=1)
    training.optimizer.build(training.trainable_variables)
    weights = []
    for step in (0, 5, 10):
        training.optimizer.iterations.assign(step)
        weights.append(float(training.penalty_weight))
    np.testing.assert_allclose(weights, [0.05, 0.005, 0.005], rtol=1e-4)


def test_no_picture_is_augmented_with_a_share_of_nothing() -> None:
    real = np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)
    np.testing.assert_allclose(augmented(real, tf.constant([1, 2]), 0.0), real, atol=1e-5)


def test_each_picture_is_augmented_in_its_own_way_and_by_chance() -> None:
    real = np.tile(np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32), (64, 1, 1, 1))
    out = augmented(real, tf.constant([1, 2]), 0.5).numpy()
    changed = abs(out - real).max(axis=(1, 2, 3)) > 1e-4
    assert 16 < changed.sum() < 48
    assert len(np.unique(out[changed].mean(axis=(1, 2, 3)).round(5))) == changed.sum()
    np.testing.assert_array_equal(out, augmented(real, tf.constant([1, 2]), 0.5).numpy())


def test_gradients_pass_the_augmentation() -> None:
    pictures = tf.Variable(tf.zeros([2, SIZE, SIZE, 3]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(augmented(pictures, tf.constant([3, 4]), 1.0))
    assert float(tf.reduce_max(abs(tape.gradient(loss, pictures)))) > 0
