import keras
import numpy as np
import pytest
import tensorflow as tf

from models.noise import NoisePrior


@pytest.fixture
def prior() -> NoisePrior:
    keras.utils.set_random_seed(5)
    prior = NoisePrior(2, 3, width=8)
    prior(tf.zeros([1, 4]))
    return prior


EMBEDDING = tf.random.stateless_normal([5, 4], (0, 1))


def test_density_is_that_of_the_mixture(prior: NoisePrior) -> None:
    noise = tf.random.stateless_normal([5, 2], (0, 2))
    logits, means, log_deviations = (part.numpy() for part in prior(EMBEDDING))
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    deviations = np.exp(log_deviations)
    gaussians = np.exp(-0.5 * ((noise[:, None] - means) / deviations) ** 2) / deviations / np.sqrt(2 * np.pi)
    expected = np.log((weights * gaussians.prod(-1)).sum(-1))
    np.testing.assert_allclose(prior.log_probability(noise, EMBEDDING), expected, rtol=1e-4)


def test_uniform_chooses_the_component_and_normal_the_place(prior: NoisePrior) -> None:
    logits, means, log_deviations = prior(EMBEDDING)
    assert np.ptp(logits) == 0
    for component, uniform in enumerate((0.1, 0.5, 0.9)):
        middle = prior.sample(EMBEDDING, tf.fill([5], uniform), tf.zeros([5, 2]))
        np.testing.assert_allclose(middle, means[:, component], atol=1e-6)
        beside = prior.sample(EMBEDDING, tf.fill([5], uniform), tf.ones([5, 2]))
        np.testing.assert_allclose(beside - middle, tf.exp(log_deviations[:, component]), atol=1e-5)


def test_the_last_component_takes_what_rounding_leaves(prior: NoisePrior) -> None:
    last = prior.sample(EMBEDDING, tf.ones([5]), tf.zeros([5, 2]))
    np.testing.assert_allclose(last, prior(EMBEDDING).means[:, -1], atol=1e-6)


def test_likeliest_is_the_middle_of_the_heaviest_component(prior: NoisePrior) -> None:
    prior.weights_of.bias.assign([0.0, 2.0, 1.0])
    np.testing.assert_allclose(prior.likeliest(EMBEDDING), prior(EMBEDDING).means[:, 1], atol=1e-6)


def test_it_learns_two_clusters_where_the_caption_says_nothing_and_one_where_it_does(prior: NoisePrior) -> None:
    random = np.random.default_rng(0)
    says = np.repeat([0.0, 1.0], 256).astype(np.float32)
    sign = np.where(says, 1, random.choice([-1, 1], 512))
    noise = tf.constant((2 * sign[:, None] + 0.1 * random.standard_normal((512, 2))).astype(np.float32))
    embedding = tf.constant(np.repeat(says[:, None], 4, axis=1))
    optimizer = keras.optimizers.Adam(0.03)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.log_probability(noise, embedding))
        optimizer.apply(tape.gradient(loss, prior.trainable_variables), prior.trainable_variables)

    for _ in range(300):
        step()
    uniform, normal = random.uniform(size=512).astype(np.float32), random.standard_normal((512, 2)).astype(np.float32)
    drawn = prior.sample(embedding, tf.constant(uniform), tf.constant(normal)).numpy()
    np.testing.assert_allclose(abs(drawn), 2, atol=0.6)
    assert 0.3 < (drawn[:256, 0] > 0).mean() < 0.7
    assert (drawn[256:] > 0).all()
