"""Training of the generator: a warm-up by reconstruction, then a short adversarial phase.

The warm-up learns the shapes: a multi-scale squared error that blends into an absolute one, at first without noise,
then with noise that an encoder infers from the picture (a conditional VAE). The adversarial phase adds sharpness: a
relativistic pairing loss with zero-centred gradient penalties (R3GAN, Huang et al. 2024), here by finite differences
and every few steps, and a mismatched caption as a second kind of fake (Reed et al., 2016).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from models import sampling
from models.critic import Critic, Encoder
from models.noise import divergence_of, drawn_from
from models.plane_network import PlaneNetwork
from models.tensors import Tensor, to_float
from models.training import Losses, ScheduledTraining, Update

Batch = dict[str, Tensor]

# Additional weight of the divergence at the start, as a multiple of its final weight.
INITIAL_KL_SCALE = 5.0
# Standard deviation of the perturbations for the critic's finite differences; pictures are in -1..1.
MOVE = 0.05
# Weight of the squared slopes relative to the critic's loss.
SLOPE_WEIGHT = 0.05


def edges(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbouring rows and columns."""
    return pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1]


def squared_error(drawn: Tensor, real: Tensor) -> Tensor:
    """Squared error at three scales and of edges, whose gradient reaches far. float32[b, s, s, 3] -> scalar."""
    error = drawn - real
    scales = {k: ops.average_pool(error, k, k) if k > 1 else error for k in (1, 2, 4)}
    by_scale = [k * ops.mean(scale**2) for k, scale in scales.items()]
    return sum(by_scale) + sum(ops.mean(edge**2) for edge in edges(error))


def absolute_error(drawn: Tensor, real: Tensor) -> Tensor:
    """Absolute error of pixels and edges, which gives clean outlines once the shape is learned. Returns a scalar."""
    error = drawn - real
    return ops.mean(abs(error)) + 0.5 * sum(ops.mean(abs(edge)) for edge in edges(error))


def encoder_of(generator: PlaneNetwork, *, width: int = 128) -> Encoder:
    """A new, untrained encoder of a generator's noise."""
    side, embedding_size = 2 * generator.block, generator.language_model.embedding_size
    return Encoder(len(generator.points), side, embedding_size, generator.noise_size, width)


class GeneratorTraining(ScheduledTraining):
    """Base class of both phases: the generator, the encoder, and the reconstruction of pictures from encoded noise."""

    def __init__(
        self,
        generator: PlaneNetwork,
        encoder: Encoder,
        *,
        steps: int,
        kl_weight: float,
        prior_weight: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__(steps=steps, seed=seed)
        self.generator = generator
        self.encoder = encoder
        self.kl_weight = kl_weight
        self.prior_weight = prior_weight

    @property
    def drawing_variables(self) -> list[keras.Variable]:
        """The trainable variables of the reconstruction: the generator's and the encoder's."""
        return self.generator.trainable_variables + self.encoder.trainable_variables

    def encode(self, real: Tensor, embedding: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Infer noise from some patches.

        Args:
            real: Patches, float32[b * n, p, p, 3].
            embedding: Embeddings of the captions, float32[b, d].
            patches: Indices of the patches, int32[n].

        Returns:
            A sample of the encoder's posterior, float32[b, noise_size], and the posterior's divergence from a standard
            normal in nats, a scalar.
        """
        noiseless = ops.stop_gradient(self.generator([self.zero_noise(embedding), embedding], patches))
        moments = self.encoder([real, noiseless, patches, embedding])
        divergence = ops.sum(divergence_of(moments), axis=-1)
        return drawn_from(moments, self.seed_of("posterior")), ops.mean(divergence)

    def zero_noise(self, embedding: Tensor) -> Tensor:
        """Zeros for as many captions, float32[b, noise_size]."""
        return ops.zeros([ops.shape(embedding)[0], self.generator.noise_size])


class GeneratorWarmup(GeneratorTraining):
    """The reconstruction phase. The encoder's noise is used after a share `noiseless` of the steps.

    The weight of the divergence starts high, so that noise does not encode what the caption says, and falls to
    `kl_weight`.

    A step draws a random share of the patches, the same for all its pictures: the speed of learning depends on the
    number of pictures and steps, and hardly on the number of pixels of each.

    Args:
        noiseless: Share of the steps without noise at the start.
        drawn_share: Share of the patches that a step draws.
    """

    def __init__(self, *args: Any, noiseless: float = 0.35, drawn_share: float = 0.25, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.noiseless = noiseless
        self.patches = max(1, round(len(self.generator.points) * drawn_share))

    @property
    def kl_scale(self) -> Tensor:
        """The weight of the divergence at this step, as a multiple of `kl_weight`."""
        return 1 + INITIAL_KL_SCALE * (1 - self.progress) ** 2

    def updates(self) -> list[Update]:
        """One update of the generator and the encoder."""
        return [Update(self.loss_of, self.drawing_variables, self.optimizer)]

    def loss_of(self, batch: Batch) -> tuple[Tensor, Losses]:
        """The loss of `image` uint8[b, s, s, 3] and `embedding` float32[b, d], and the losses to report."""
        chances = sampling.uniform([len(self.generator.points)], self.seed_of("patches"))
        patches = ops.argsort(chances)[: self.patches]
        real, embedding = self.generator.cut(to_float(batch["image"]), patches), batch["embedding"]
        noise, divergence = ops.cond(
            self.progress > self.noiseless,
            lambda: self.encode(real, embedding, patches),
            lambda: (self.zero_noise(embedding), ops.zeros([])),
        )
        surprise = -ops.mean(self.generator.prior.log_probability(ops.stop_gradient(noise), embedding))
        drawn = self.generator([noise, embedding], patches)
        sharpness = ops.maximum(2 * self.progress - 1, 0.0)
        absolute = absolute_error(drawn, real)
        reconstruction = sharpness * absolute + (1 - sharpness) * 2 * squared_error(drawn, real)
        loss = reconstruction + self.kl_scale * self.kl_weight * divergence + self.prior_weight * surprise
        return loss, {"reconstruction": absolute, "divergence": divergence, "surprise": surprise}


class GeneratorAdversarial(GeneratorTraining):
    """The adversarial phase.

    Args:
        critic: The discriminator.
        critic_optimizer: Its optimizer.
        adversarial_weight: Weight of the adversarial loss relative to the reconstruction.
        reconstruction_weights: Weight of the reconstruction at the start and at the end of the phase.
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
        # Keras tracks only the variables of `optimizer`.
        self.critic_state = critic_optimizer.variables

    def updates(self) -> list[Update]:
        """One update of the critic, then one of the generator and the encoder."""
        return [
            Update(self.critic_loss, self.critic.trainable_variables, self.critic_optimizer),
            Update(self.generator_loss, self.drawing_variables, self.optimizer),
        ]

    def fresh_noise(self, embedding: Tensor, purpose: str) -> Tensor:
        """Noise from the prior for each caption."""
        rows = ops.shape(embedding)[0]
        uniform = sampling.uniform([rows], self.seed_of(f"{purpose}: component"))
        normal = sampling.normal([rows, self.generator.noise_size], self.seed_of(f"{purpose}: place"))
        return self.generator.prior.sample(embedding, uniform, normal)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Losses]:
        """The critic's loss: real pictures should score above drawn ones and above real ones with mismatched captions.

        Takes `image` uint8[b, s, s, 3] and `embedding` float32[b, d].
        """
        real, embedding = to_float(batch["image"]), batch["embedding"]
        drawn = ops.stop_gradient(self.generator([self.fresh_noise(embedding, "critic"), embedding]))
        captions = ops.concatenate([embedding, embedding, ops.roll(embedding, 1, axis=0)], axis=0)
        scores = self.critic([ops.concatenate([real, drawn, real], axis=0), captions])
        real_score, drawn_score, mismatched_score = ops.split(scores, 3)
        adversarial = ops.mean(ops.softplus(drawn_score - real_score))
        adversarial += 0.5 * ops.mean(ops.softplus(mismatched_score - real_score))
        penalty = ops.cond(
            ops.equal(self.critic_optimizer.iterations % self.penalty_every, 0),
            lambda: self.penalty([real, drawn], embedding, ops.concatenate([real_score, drawn_score], axis=0)),
            lambda: ops.zeros([]),
        )
        return adversarial + penalty, {"critic": adversarial}

    def penalty(self, pictures: list[Tensor], embedding: Tensor, scores: Tensor) -> Tensor:
        """The gradient penalty at real and drawn pictures, by finite differences in a random direction; a scalar."""
        pictures_BxSxSx3 = ops.concatenate(pictures, axis=0)
        moves = sampling.normal(ops.shape(pictures_BxSxSx3), self.seed_of("penalty"))
        moved = pictures_BxSxSx3 + MOVE * moves
        slopes = (self.critic([moved, ops.concatenate([embedding, embedding], axis=0)]) - scores) / MOVE
        return SLOPE_WEIGHT * self.penalty_every * self.penalty_weight * ops.mean(slopes**2)

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Losses]:
        """The adversarial and the reconstruction loss of the generator; takes the same batch as `critic_loss`."""
        real, embedding = to_float(batch["image"]), batch["embedding"]
        everywhere = ops.arange(len(self.generator.points))
        noise, divergence = self.encode(self.generator.cut(real, everywhere), embedding, everywhere)
        fresh = ops.stop_gradient(self.fresh_noise(embedding, "generator"))
        inputs = [ops.concatenate([noise, fresh], axis=0), ops.concatenate([embedding, embedding], axis=0)]
        reconstructed, drawn = ops.split(self.generator(inputs), 2)
        real_score = ops.stop_gradient(self.critic([real, embedding]))
        adversarial = ops.mean(ops.softplus(real_score - self.critic([drawn, embedding])))
        reconstruction = absolute_error(reconstructed, real)
        start, end = self.reconstruction_weights
        weight = end + (start - end) * 0.5 * (1 + ops.cos(np.pi * self.progress))
        surprise = -ops.mean(self.generator.prior.log_probability(ops.stop_gradient(noise), embedding))
        own = reconstruction + self.kl_weight * divergence + self.prior_weight * surprise
        loss = self.adversarial_weight * adversarial + weight * own
        return loss, {"reconstruction": reconstruction, "divergence": divergence, "adversarial": adversarial}
