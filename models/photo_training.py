"""Training on photographs: adversarial from the first step to the last, without a reconstruction loss.

The relativistic loss (Jolicoeur-Martineau, 2018), which compares each drawing with the real picture of its caption, and
zero-centred gradient penalties on real and drawn pictures, whose weight falls during training: together they prevent a
generator from dropping modes (R3GAN, Huang et al., 2024). Here the penalties are finite differences, every few steps.
A contrastive loss between pictures and the captions of a batch (as in XMC-GAN, Zhang et al. 2021) makes drawings match
their captions: the critic learns it on real pictures, the generator on its own.
"""

from typing import Any

import keras
from keras import ops

from models import sampling
from models.augmentation import augmented
from models.photo_critic import Opinion, PhotoCritic, alike
from models.photo_network import PhotoNetwork
from models.tensors import Tensor, to_float
from models.training import Losses, ScheduledTraining, Update

Batch = dict[str, Tensor]

MOVE = 0.05
"""Standard deviation of the perturbations for the critic's finite differences; pictures are in -1..1."""
TEMPERATURE = 0.2
"""Temperature of the softmax over the captions of a batch."""


def falling(progress: Tensor) -> Tensor:
    """The learning rate as a share of its peak: constant, then linear to a tenth in the last quarter."""
    return 1 - 0.9 * ops.clip(4 * progress - 3, 0.0, 1.0)


class PhotoTraining(ScheduledTraining):
    """The adversarial training of a network for photographs.

    Args:
        generator: The model to train.
        critic: The discriminator.
        critic_optimizer: Its optimizer.
        contrast_weight: Weight of the contrastive loss.
        penalty_weights: Weights of the gradient penalties at the start, and from the middle on.
        penalty_every: Steps between gradient penalties.
        augmented_share: Share of the pictures that the critic sees augmented.
    """

    def __init__(
        self,
        generator: PhotoNetwork,
        critic: PhotoCritic,
        *,
        critic_optimizer: keras.optimizers.Optimizer,
        contrast_weight: float = 0.25,
        penalty_weights: tuple[float, float] = (0.05, 0.005),
        penalty_every: int = 8,
        augmented_share: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generator = generator
        self.critic = critic
        self.critic_optimizer = critic_optimizer
        self.contrast_weight = contrast_weight
        self.penalty_weights = penalty_weights
        self.penalty_every = penalty_every
        self.augmented_share = augmented_share
        critic_optimizer.build(critic.trainable_variables)
        # Keras tracks only the variables of `optimizer`.
        self.critic_state = critic_optimizer.variables

    def updates(self) -> list[Update]:
        """One update of the critic, then one of the generator."""
        return [
            Update(self.critic_loss, self.critic.trainable_variables, self.critic_optimizer),
            Update(self.generator_loss, self.generator.trainable_variables, self.optimizer),
        ]

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Losses]:
        """The critic's loss: the adversarial loss, and the contrastive loss on real pictures.

        Takes `image` uint8[b, s, s, 3] and `embedding` float32[b, d].
        """
        told = self.generator.standardised(batch["embedding"])
        real = self.changed(self.mirrored(to_float(batch["image"])), "real")
        drawn = self.changed(ops.stop_gradient(self.draw(batch["embedding"], "critic")), "drawn")
        of_real, of_drawn = self.critic([real, told]), self.critic([drawn, told])
        adversarial = ops.mean(ops.softplus(of_drawn.scores - of_real.scores))
        contrast = contrast_of(of_real, told)
        penalty = ops.cond(
            ops.equal(self.critic_optimizer.iterations % self.penalty_every, 0),
            lambda: self.slope(real, told, of_real.scores) + self.slope(drawn, told, of_drawn.scores),
            lambda: ops.zeros([]),
        )
        loss = adversarial + self.contrast_weight * contrast + self.penalty_weight * penalty
        return loss, {"critic": adversarial, "contrast": contrast}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Losses]:
        """The generator's adversarial and contrastive loss; takes the same batch as `critic_loss`."""
        told = self.generator.standardised(batch["embedding"])
        real = self.changed(self.mirrored(to_float(batch["image"])), "rival")
        of_real = self.critic([real, told])
        opinion = self.critic([self.changed(self.draw(batch["embedding"], "generator"), "own"), told])
        adversarial = ops.mean(ops.softplus(ops.stop_gradient(of_real.scores) - opinion.scores))
        contrast = contrast_of(opinion, told)
        losses = {"adversarial": adversarial, "drawn_contrast": contrast}
        return adversarial + self.contrast_weight * contrast, losses

    def draw(self, embedding: Tensor, purpose: str) -> Tensor:
        """Draw captions with new noise."""
        noise = sampling.normal([ops.shape(embedding)[0], self.generator.noise_size], self.seed_of(purpose))
        return self.generator([noise, embedding])

    def mirrored(self, pictures: Tensor) -> Tensor:
        """Mirror half of the pictures horizontally."""
        chances = sampling.uniform([ops.shape(pictures)[0], 1, 1, 1], self.seed_of("mirror"))
        return ops.where(chances < 0.5, pictures, ops.flip(pictures, axis=2))

    def changed(self, pictures: Tensor, purpose: str) -> Tensor:
        """Augment pictures for the critic."""
        return augmented(pictures, self.seed_of(f"{purpose}: augmentation"), self.augmented_share)

    @property
    def penalty_weight(self) -> Tensor:
        """Weight of the gradient penalties in a step that has them."""
        start, end = self.penalty_weights
        return self.penalty_every * (start + (end - start) * ops.minimum(2 * self.progress, 1.0))

    def slope(self, pictures: Tensor, told: Tensor, scores: Tensor) -> Tensor:
        """The critic's squared slope at pictures, by finite differences in a random direction; a scalar."""
        moves = sampling.normal(ops.shape(pictures), self.seed_of("penalty"))
        return ops.mean(((self.critic([pictures + MOVE * moves, told]).scores - scores) / MOVE) ** 2)


def contrast_of(opinion: Opinion, told_BxD: Tensor) -> Tensor:
    """Cross-entropy of each picture's caption among those of the batch, in nats (InfoNCE, van den Oord et al., 2018).

    Args:
        opinion: The outputs of the critic.
        told_BxD: The embeddings of the captions, with a root mean square of 1; those that say the same are not
            negatives.
    """
    logits = ops.matmul(opinion.shown, ops.transpose(opinion.told)) / TEMPERATURE
    own = ops.eye(ops.shape(told_BxD)[0])
    others_alike = alike(told_BxD) * (1 - own)
    return -ops.mean(ops.sum(own * ops.log_softmax(logits - 1e9 * others_alike), axis=-1))
