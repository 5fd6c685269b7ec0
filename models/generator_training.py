"""How the generator learns: a warm-up by reconstruction, then a short adversarial phase.

The warm-up finds the shapes: a multi-scale squared error that blends into an absolute one, at first without noise, then
with noise that an encoder reads off the picture (a conditional VAE). The adversarial phase sharpens what is there: a
relativistic pairing loss with zero-centred gradient penalties (R3GAN, Huang et al. 2024), here by finite differences
and every few steps, and a mismatched caption as a second kind of fake (Reed et al., 2016).
"""

from typing import Any

import keras
import tensorflow as tf

from models.critic import Critic, Encoder
from models.generator import Generator
from models.pictures import to_float

Losses = dict[str, tf.Tensor]

# How many times as much as in the end noise costs at the beginning, beyond once.
FIRST_DEARNESS = 5.0
# What a step draws at random.
STREAMS = ("patches", "posterior", "critic", "penalty", "generator")


def edges(pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Differences between neighbouring rows and columns."""
    return pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1]


def squared_error(drawn: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Squared error at three scales and of the edges; finds a shape from far away. float32[b, s, s, 3] -> scalar."""
    error = drawn - real
    scales = {k: tf.nn.avg_pool2d(error, k, k, "VALID") if k > 1 else error for k in (1, 2, 4)}
    by_scale = [k * tf.reduce_mean(scale**2) for k, scale in scales.items()]
    return tf.add_n(by_scale) + tf.add_n([tf.reduce_mean(edge**2) for edge in edges(error)])


def absolute_error(drawn: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Absolute error of pixels and edges; draws clean outlines once the shape is there. Returns a scalar."""
    error = drawn - real
    return tf.reduce_mean(abs(error)) + 0.5 * tf.add_n([tf.reduce_mean(abs(edge)) for edge in edges(error)])


def gradients_of(loss: tf.Tensor, variables: list[Any], tape: tf.GradientTape) -> list[tf.Tensor]:
    """Gradients of a loss, zeros for Keras variables that had no part in it."""
    # The tape cannot make zeros of Keras's own class of variables.
    sources = [variable.value for variable in variables]
    return tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def encoder_of(generator: Generator, *, width: int = 128) -> Encoder:
    """A new encoder of a generator's noise."""
    side, embedding_size = 2 * generator.block, generator.language_model.embedding_size
    return Encoder(len(generator.points), side, embedding_size, generator.noise_size, width)


class GeneratorTraining(keras.Model):
    """What both phases share: the generator, the encoder and the reconstruction of a picture from its own noise."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        *,
        steps: int,
        kl_weight: float,
        prior_weight: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.encoder = encoder
        self.steps = steps
        self.kl_weight = kl_weight
        self.prior_weight = prior_weight
        self.seed = seed
        self.built = True

    @property
    def progress(self) -> tf.Tensor:
        """How much of this phase is done, 0..1."""
        return tf.minimum(tf.cast(self.optimizer.iterations, tf.float32) / self.steps, 1.0)

    def chance(self, stream: str) -> tf.Tensor:
        """The seed, int64[2], of what is drawn for one purpose in this step.

        XLA does not heed the seeds of TensorFlow's other random operations.
        """
        step = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(self.optimizer.iterations, tf.int64)])
        return tf.random.experimental.stateless_fold_in(step, STREAMS.index(stream))

    def encode(self, real: tf.Tensor, embedding: tf.Tensor, patches: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Noise that could have drawn some patches.

        Args:
            real: The patches, float32[b * n, p, p, 3].
            embedding: The captions', float32[b, d].
            patches: The numbers of the patches, int32[n].

        Returns:
            A sample of the encoder's posterior, float32[b, noise_size], and the posterior's divergence from a standard
            normal in nats, a scalar.
        """
        silent = tf.stop_gradient(self.generator([self.silence(embedding), embedding], patches))
        mean, log_deviation = self.encoder([real, silent, patches, embedding])
        noise = mean + tf.exp(log_deviation) * tf.random.stateless_normal(tf.shape(mean), self.chance("posterior"))
        divergence = 0.5 * tf.reduce_sum(mean**2 + tf.exp(2 * log_deviation) - 1 - 2 * log_deviation, axis=-1)
        return noise, tf.reduce_mean(divergence)

    def silence(self, embedding: tf.Tensor) -> tf.Tensor:
        """No noise for as many captions: zeros, float32[b, noise_size]."""
        return tf.zeros([tf.shape(embedding)[0], self.generator.noise_size])


class GeneratorWarmup(GeneratorTraining):
    """The reconstruction phase. The encoder's noise comes in after `noiseless` of the steps.

    At first noise is dear, so that what the caption says is read off the caption; by the end it costs `kl_weight`.

    A step draws a random share of the patches, the same ones of all its pictures: how fast the generator learns is a
    matter of how many pictures and steps it sees, hardly of how many pixels of each.

    Args:
        noiseless: Share of the steps before the noise comes in.
        drawn_share: Share of the patches that a step draws.
    """

    def __init__(self, *args: Any, noiseless: float = 0.35, drawn_share: float = 0.25, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.noiseless = noiseless
        self.patches = max(1, round(len(self.generator.points) * drawn_share))

    @property
    def dearness(self) -> tf.Tensor:
        """What noise costs now, in units of what it costs in the end."""
        return 1 + FIRST_DEARNESS * (1 - self.progress) ** 2

    def train_step(self, batch: dict[str, tf.Tensor]) -> Losses:
        """One step on `image` uint8[b, s, s, 3] and `embedding` float32[b, d]."""
        variables = self.generator.trainable_variables + self.encoder.trainable_variables
        chances = tf.random.stateless_uniform([len(self.generator.points)], self.chance("patches"))
        patches = tf.argsort(chances)[: self.patches]
        with tf.GradientTape() as tape:
            loss, losses = self.loss_of(batch, patches)
        self.optimizer.apply(gradients_of(loss, variables, tape), variables)
        return losses

    def loss_of(self, batch: dict[str, tf.Tensor], patches: tf.Tensor) -> tuple[tf.Tensor, Losses]:
        """The loss of a batch and what to report."""
        real, embedding = self.generator.cut(to_float(batch["image"]), patches), batch["embedding"]
        noise, divergence = tf.cond(
            self.progress > self.noiseless,
            lambda: self.encode(real, embedding, patches),
            lambda: (self.silence(embedding), tf.zeros([])),
        )
        surprise = -tf.reduce_mean(self.generator.prior.log_probability(tf.stop_gradient(noise), embedding))
        drawn = self.generator([noise, embedding], patches)
        sharpness = tf.maximum(2 * self.progress - 1, 0.0)
        absolute = absolute_error(drawn, real)
        reconstruction = sharpness * absolute + (1 - sharpness) * 2 * squared_error(drawn, real)
        loss = reconstruction + self.dearness * self.kl_weight * divergence + self.prior_weight * surprise
        return loss, {"reconstruction": absolute, "divergence": divergence, "surprise": surprise}


class GeneratorAdversarial(GeneratorTraining):
    """The adversarial phase.

    Args:
        critic: The opponent, with an optimizer of its own.
        critic_optimizer: Its optimizer.
        adversarial_weight: Weight of the adversarial loss against the reconstruction.
        reconstruction_weights: The reconstruction's weight at the start and at the end of the phase.
        penalty_weight: Weight of the gradient penalties.
        penalty_every: Steps between gradient penalties.
    """

    def __init__(
        self,
        *args: Any,
        critic: Critic,
        critic_optimizer: keras.optimizers.Optimizer,
        adversarial_weight: float = 1.0,
        reconstruction_weights: tuple[float, float] = (60.0, 40.0),
        penalty_weight: float = 1.0,
        penalty_every: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.critic = critic
        self.critic_optimizer = critic_optimizer
        self.adversarial_weight = adversarial_weight
        self.reconstruction_weights = reconstruction_weights
        self.penalty_weight = penalty_weight
        self.penalty_every = penalty_every
        critic_optimizer.build(critic.trainable_variables)

    def train_step(self, batch: dict[str, tf.Tensor]) -> Losses:
        """One step of the critic and one of the generator on `image` uint8[b, s, s, 3], `embedding` float32[b, d]."""
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            loss, critic_losses = self.critic_loss(batch)
        self.critic_optimizer.apply(gradients_of(loss, variables, tape), variables)
        variables = self.generator.trainable_variables + self.encoder.trainable_variables
        with tf.GradientTape() as tape:
            loss, losses = self.generator_loss(batch)
        self.optimizer.apply(gradients_of(loss, variables, tape), variables)
        return {**losses, **critic_losses}

    def fresh_noise(self, embedding: tf.Tensor, stream: str) -> tf.Tensor:
        """Noise from the prior for each caption."""
        rows, seeds = tf.shape(embedding)[0], tf.random.experimental.stateless_split(self.chance(stream), 2)
        normal = tf.random.stateless_normal([rows, self.generator.noise_size], seeds[0])
        return self.generator.prior.sample(embedding, tf.random.stateless_uniform([rows], seeds[1]), normal)

    def critic_loss(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, Losses]:
        """Real pictures should score above drawn ones, and above themselves beside another's caption."""
        real, embedding = to_float(batch["image"]), batch["embedding"]
        drawn = tf.stop_gradient(self.generator([self.fresh_noise(embedding, "critic"), embedding]))
        pictures, captions = [real, drawn, real], [embedding, embedding, tf.roll(embedding, 1, axis=0)]
        scores = self.critic([tf.concat(pictures, 0), tf.concat(captions, 0)])
        real_score, drawn_score, mismatched_score = tf.split(scores, 3)
        adversarial = tf.reduce_mean(tf.nn.softplus(drawn_score - real_score))
        adversarial += 0.5 * tf.reduce_mean(tf.nn.softplus(mismatched_score - real_score))
        penalty = tf.cond(
            self.critic_optimizer.iterations % self.penalty_every == 0,
            lambda: self.penalty([real, drawn], embedding, tf.concat([real_score, drawn_score], 0)),
            lambda: 0.0,
        )
        return adversarial + penalty, {"critic": adversarial}

    def penalty(self, pictures: list[tf.Tensor], embedding: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """How steep the critic is at real and drawn pictures, by a small random step, as a scalar."""
        pictures_BxSxSx3 = tf.concat(pictures, 0)
        scale = 0.05
        moves = tf.random.stateless_normal(tf.shape(pictures_BxSxSx3), self.chance("penalty"))
        moved = pictures_BxSxSx3 + scale * moves
        slopes = (self.critic([moved, tf.concat([embedding, embedding], 0)]) - scores) / scale
        return 0.05 * self.penalty_every * self.penalty_weight * tf.reduce_mean(slopes**2)

    def generator_loss(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, Losses]:
        """Drawn pictures should score above real ones, and reconstructions stay true."""
        real, embedding = to_float(batch["image"]), batch["embedding"]
        everywhere = tf.range(len(self.generator.points))
        noise, divergence = self.encode(self.generator.cut(real, everywhere), embedding, everywhere)
        fresh = tf.stop_gradient(self.fresh_noise(embedding, "generator"))
        both = self.generator([tf.concat([noise, fresh], 0), tf.concat([embedding, embedding], 0)])
        reconstructed, drawn = tf.split(both, 2)
        real_score = tf.stop_gradient(self.critic([real, embedding]))
        adversarial = tf.reduce_mean(tf.nn.softplus(real_score - self.critic([drawn, embedding])))
        reconstruction = absolute_error(reconstructed, real)
        start, end = self.reconstruction_weights
        weight = end + (start - end) * 0.5 * (1 + tf.cos(3.14159265 * self.progress))
        surprise = -tf.reduce_mean(self.generator.prior.log_probability(tf.stop_gradient(noise), embedding))
        own = reconstruction + self.kl_weight * divergence + self.prior_weight * surprise
        loss = self.adversarial_weight * adversarial + weight * own
        return loss, {"reconstruction": reconstruction, "divergence": divergence, "adversarial": adversarial}
