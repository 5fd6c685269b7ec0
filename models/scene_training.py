"""Training of a scene network: reconstruction from noise that encoders infer from the picture (a conditional VAE).

The whole picture is rendered on a coarse grid, whose gradient reaches far, and a window of it on a fine grid, which
aligns the edges; so the cost of detail depends on the size of the window, not on the resolution of the pictures. As in
`generator_training`, a squared error blends into an absolute one.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops

from models import sampling
from models.generator_training import absolute_error, squared_error
from models.noise import Moments, divergence_of, drawn_from
from models.part_prior import PartPrior
from models.scene_encoders import BackEncoder, LookEncoder, PlaceEncoder
from models.scene_network import WHERE, Layers, SceneNetwork, noise_of_boxes, pixel_centres
from models.tensors import Tensor, to_float
from models.training import Losses, ScheduledTraining, Training, Update

FIRST_COST = 2.0
"""Additional weight of the divergence at the start, as a multiple of its final weight."""
ANCHOR = 0.1
"""Share of the divergence measured from a standard normal; the rest is measured from the learned prior."""

PRIOR_WEIGHT = 0.05
"""Weight of the prior's negative log-likelihood, per nat."""
PLACE_WEIGHT = 0.01
"""Weight of the encoder's error in known boxes, per nat."""
TAG_WEIGHT = 0.2
"""Weight of the cross-entropy of the tags given captions, per nat."""
LOOK_WEIGHT = 0.02
"""Weight of the cross-entropy of the tags given captions and noise, per nat."""
BOX_NOISE = 0.02
"""Standard deviation of the noise added to boxes, without which the prior's density would grow without bound."""
MUTED = 0.2
"""Share of the parts drawn without appearance noise, from captions and places alone, until the end."""
CROWDED = 0.5
"""Maximum number of things drawn in a batch, as a share of all that it could contain."""

LAST_LAYERS = ["enter", "palette", "place", "ramps", "front_colour", "light", "moments", "tags", "_of"]
"""Names of layers that end a network or act as embeddings; Muon leaves them to Adam."""

Window = tuple[Tensor, Tensor, Tensor, Tensor]
"""Pixels, float32[b, n, n, 3], positions of their columns and rows, float32[n] each, and the pitch, float32[]."""


class Encoders(NamedTuple):
    """Encoders of a picture's noise: of the background, of the places of things, and of their appearance."""

    back: BackEncoder
    place: PlaceEncoder
    look: LookEncoder

    @classmethod
    def of(cls, generator: SceneNetwork, dtype: Any = "float32") -> "Encoders":
        """New, untrained encoders for a generator."""
        size, width = generator.picture_size, generator.width
        look_size = generator.shape_size + generator.colour_size
        return cls(
            back=BackEncoder(size, width, look_size, dtype=dtype),
            place=PlaceEncoder(size, generator.things, width, dtype=dtype),
            look=LookEncoder(width, look_size, dtype=dtype),
        )


class Found(NamedTuple):
    """What the encoders inferred from pictures.

    Attributes:
        things: Noise of things, float32[b, things, noise_size]; zeros for absent things.
        back: Noise of the background, float32[b, noise_size].
        present: Whether each thing is present, bool[b, things].
        rows: int32[m], indices of the present things among the b * things things, padded with others.
        divergence: Divergence of the noise from a standard normal in nats per picture, a scalar.
        precision: Negative sum of the log deviations of the noise per picture, a scalar.
        miss: Loss of the encoder on boxes plus that of captions on the number of things, nats per picture, a scalar.
    """

    things: Tensor
    back: Tensor
    present: Tensor
    rows: Tensor
    divergence: Tensor
    precision: Tensor
    miss: Tensor

    @property
    def noise(self) -> Tensor:
        """The noise of all parts, the background last: float32[b, things + 1, noise_size]."""
        return ops.concatenate([self.things, self.back[:, None]], axis=1)


class Boxed(NamedTuple):
    """Known boxes of things.

    Attributes:
        noise: The noise that encodes the boxes, float32[b, things, WHERE].
        known: Whether a box is known for each thing, bool[b, things].
        present: Whether each thing is present, bool[b, things].
        doubt: Cross-entropy of the presence predicted from the caption, nats, float32[b].
    """

    noise: Tensor
    known: Tensor
    present: Tensor
    doubt: Tensor


class SceneTraining(ScheduledTraining):
    """Reconstruction of pictures, with a weight of the divergence that starts high and falls.

    Where boxes are known, things are drawn in them, and the encoder of places learns from them; elsewhere the encoder
    decides where things are.

    Args:
        generator: The model to train.
        encoders: Encode pictures as noise.
        steps: Number of training steps.
        fineness: Side of the pictures of a batch, in units of `generator.picture_size`.
        kl_weight: Final weight of the divergence, per nat.
        tags: Number of tags that the parts of a picture can have; if not 0, they are predicted from captions, and from
            captions and noise together.
        window: Maximum number of points along a side of the window.
        coarse: Pitch of the coarse grid in pixels of the picture.
        mute: Share of the training without appearance noise; after it, the noise is used in more and more pictures.
        seed: Seed of the random numbers of the steps.
    """

    def __init__(
        self,
        generator: SceneNetwork,
        encoders: Encoders,
        *,
        steps: int,
        fineness: int,
        kl_weight: float,
        tags: int = 0,
        window: int = 40,
        coarse: int = 2,
        mute: float = 0.05,
        seed: int = 0,
    ) -> None:
        super().__init__(steps=steps, seed=seed)
        self.generator = generator
        self.back_encoder, self.place_encoder, self.look_encoder = encoders
        self.fineness = fineness
        self.kl_weight = kl_weight
        self.mute = mute
        looks = generator.noise_size - WHERE
        self.tag_heads = [tag_head(tags, width) for width in (generator.width, generator.width + looks)] if tags else []
        self.window = min(window, generator.picture_size)
        self.coarse = coarse

    def updates(self) -> list[Update]:
        """One update of the network and the encoders."""
        networks = (self.generator, self.back_encoder, self.place_encoder, self.look_encoder, *self.tag_heads)
        variables = [variable for network in networks for variable in network.trainable_variables]
        return [Update(self.loss_of, variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The loss of a batch, and the losses to report.

        Args:
            batch: `image`, uint8[b, f s, f s, 3], `embedding`, float32[b, d], and `boxes`, float32[b, things, 5] as
                `noise_of_boxes` takes them, NaN for absent things and zero width for unknown boxes; with tags, also
                `tags`, bool[b, things + 1, tags].
        """
        fine, picture = self.pictures_of(batch)
        mixed = self.generator.mix(batch["embedding"])
        found = self.find(picture, mixed, batch["boxes"])
        noise = found.noise
        cost = self.kl_weight * (1 + FIRST_COST * (1 - self.progress) ** 2)
        surprise = surprise_of(
            self.generator.prior, self.for_prior(noise, (1 - ANCHOR) * cost / PRIOR_WEIGHT), mixed, found.present
        )
        kept = self.kept(ops.shape(noise)[0])
        layers = self.generator.decode(noise, mixed, found.rows, present=found.present, kept=kept)
        window = self.window_of(picture, fine)
        whole, close = self.draw(layers, window)
        pooled = ops.average_pool(picture, self.coarse, self.coarse) if self.coarse > 1 else picture
        reconstruction = self.error(whole, pooled) + self.error(close, window[0])
        loss = reconstruction + cost * (ANCHOR * found.divergence + (1 - ANCHOR) * found.precision)
        loss += PRIOR_WEIGHT * surprise + PLACE_WEIGHT * found.miss
        # A caption predicts the tags that it names; with the noise it must predict the others as well, such as a pose:
        # otherwise the noise of some nouns does not encode the pose, and all poses are drawn at once.
        looks = ops.concatenate([mixed, ops.tanh(noise[..., WHERE:])], axis=-1)
        for head, known, weight in zip(self.tag_heads, (mixed, looks), (TAG_WEIGHT, LOOK_WEIGHT), strict=False):
            loss += weight * untold(head(known), batch["tags"], found.present)
        reported = {
            "reconstruction": ops.mean(abs(close - window[0])),
            "divergence": found.divergence,
            "surprise": surprise,
            "miss": found.miss,
        }
        return loss, reported

    def pictures_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The pictures of a batch at full size, and downscaled to the generator's size."""
        fine = to_float(batch["image"])
        return fine, ops.average_pool(fine, self.fineness, self.fineness) if self.fineness > 1 else fine

    def read(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """A batch for `PriorTraining`, inferred from a batch that `loss_of` takes.

        Returns:
            `mixed`, float16[b, parts, width], what captions say about the parts; `noise`,
            float32[b, parts, noise_size]; `present`, bool[b, things].
        """
        mixed = self.generator.mix(batch["embedding"])
        found = self.find(self.pictures_of(batch)[1], mixed, batch["boxes"])
        return {"mixed": ops.cast(mixed, "float16"), "noise": found.noise, "present": found.present}

    def for_prior(self, noise: Tensor, share: Tensor) -> Tensor:
        """The noise as the prior learns it: with jittered places, and a share of its gradient passed to the encoders.

        The gradient draws the encoders' noise towards the modes of the prior, as in a conditional VAE with a learned
        prior (Sohn et al., 2015), so that a few clear modes remain, such as poses, and nothing in between.
        """
        shaken = with_places_shaken(noise, self.seed_of("boxes"))
        return share * shaken + (1 - share) * ops.stop_gradient(shaken)

    def find(self, picture: Tensor, mixed: Tensor, boxes: Tensor) -> Found:
        """Infer the noise of pictures, float32[b, s, s, 3], given what captions say and known boxes."""
        batch, count = ops.shape(picture)[0], self.generator.things
        back = self.back_encoder([picture, mixed[:, -1]])
        both = self.beside_background(picture, mixed, back[0])
        boxed = self.boxed(mixed, boxes)
        moments = self.place_encoder([both, mixed[:, :-1]])
        where = self.placed(boxed, moments)
        # The maximum number of things expected in a batch: XLA and JAX need static shapes.
        capacity = max(1, math.ceil(CROWDED * picture.shape[0] * count))
        rows = ops.top_k(ops.reshape(ops.cast(boxed.present, "float32"), [-1]), capacity)[1]

        def of_rows(values: Tensor) -> Tensor:
            return ops.take(ops.reshape(values, [-1, values.shape[-1]]), rows, axis=0)

        present = ops.cast(boxed.present, "float32")[..., None]
        looks = self.look_encoder([ops.take(both, rows // count, axis=0), of_rows(where), of_rows(mixed[:, :-1])])
        shown = of_rows(present)
        look = shown * drawn_from(looks, self.seed_of("looks"))
        what = ops.reshape(ops.matmul(ops.transpose(ops.one_hot(rows, batch * count)), look), [batch, count, -1])
        guessed = present * (1 - ops.cast(boxed.known, "float32")[..., None])

        def total(of: Callable[[Moments], Tensor]) -> Tensor:
            nats = ops.sum(of(back)) + ops.sum(shown * of(looks)) + ops.sum(guessed * of(moments))
            return nats / ops.cast(batch, "float32")

        return Found(
            things=present * ops.concatenate([where, what], axis=-1),
            back=ops.pad(drawn_from(back, self.seed_of("back")), [[0, 0], [WHERE, 0]]),
            present=boxed.present,
            rows=rows,
            divergence=total(divergence_of),
            precision=total(lambda moments: -moments[1]),
            miss=ops.mean(ops.sum(self.missed(boxed, moments), axis=[1, 2]) + boxed.doubt),
        )

    def beside_background(self, picture: Tensor, mixed: Tensor, back: Tensor) -> Tensor:
        """Pictures concatenated with their differences from the backgrounds of `back`: float32[b, s, s, 6]."""
        back = ops.pad(ops.stop_gradient(back), [[0, 0], [WHERE, 0]])
        background = self.generator.decode_back(back, mixed[:, -1], ops.ones_like(back[:, :1]))
        difference = picture - self.generator.whole(background, self.generator.picture_size)
        return ops.concatenate([picture, ops.stop_gradient(difference)], axis=-1)

    def boxed(self, mixed: Tensor, boxes: Tensor) -> Boxed:
        """Read boxes, float32[b, things, 5]; where none is known, presence is predicted from the caption."""
        presences = self.generator.presences(mixed)
        there = ops.logical_not(ops.isnan(boxes[..., 0]))
        known = ops.logical_and(there, ops.nan_to_num(boxes[..., 2]) > 0)
        told = ops.any(ops.logical_or(known, ops.logical_not(there)), axis=1, keepdims=True)
        doubt = ops.binary_crossentropy(ops.cast(there, "float32"), presences, from_logits=True)
        return Boxed(
            noise=noise_of_boxes(ops.nan_to_num(boxes)),
            known=known,
            present=ops.where(told, there, presences > 0),
            doubt=ops.sum(ops.cast(told, "float32") * doubt, axis=1),
        )

    def placed(self, boxed: Boxed, moments: Moments) -> Tensor:
        """The noise of placements, float32[b, things, WHERE]: from known boxes, else sampled from the encoder."""
        mean, log_deviation = moments
        guessed = mean + ops.exp(log_deviation) * sampling.normal(ops.shape(mean), self.seed_of("places"))
        return ops.where(boxed.known[..., None], boxed.noise, guessed)

    def missed(self, boxed: Boxed, moments: Moments) -> Tensor:
        """The encoder's loss on boxes in nats, float32[b, things, WHERE]; zero for unknown boxes."""
        mean, log_deviation = moments
        scaled = (boxed.noise - mean) * ops.exp(-log_deviation)
        nats = 0.5 * ops.clip(scaled, -10.0, 10.0) ** 2 + log_deviation
        return ops.cast(boxed.known, "float32")[..., None] * nats

    def kept(self, rows: Tensor) -> Tensor:
        """Whether each part is drawn with its appearance noise, 0 or 1, float32[b, parts, 1]; else from captions alone.

        The noise is not used at first, and later left out for a share of the parts, as captions are for classifier-free
        guidance (Ho and Salimans, 2022). It is an input of the network, because zero noise also stands for a sample.
        """
        share = (1 - MUTED) * ops.clip((self.progress - self.mute) / max(self.mute, 1e-6), 0.0, 1.0)
        chances = sampling.uniform([rows, self.generator.parts, 1], self.seed_of("kept"))
        return ops.cast(chances < share, "float32")

    def window_of(self, picture: Tensor, fine: Tensor) -> Window:
        """The same window of all pictures: of `fine`, alternating with `picture` if the coarse grid skips pixels."""
        chances = sampling.uniform([2], self.seed_of("window"))

        def window(pictures: Tensor) -> Window:
            side = pictures.shape[1]
            at = ops.cast(chances * (side - self.window + 1), "int32")
            shape = [ops.shape(pictures)[0], self.window, self.window, 3]
            pixels = ops.slice(pictures, [0, at[0], at[1], 0], shape)
            centres = ops.convert_to_tensor(pixel_centres(side))
            rows, columns = (ops.slice(centres, [at[axis]], [self.window]) for axis in (0, 1))
            return pixels, columns, rows, ops.convert_to_tensor(1 / side, "float32")

        if self.coarse == 1:
            return window(fine)
        return ops.cond(self.optimizer.iterations % 2 == 0, lambda: window(picture), lambda: window(fine))

    def draw(self, layers: Layers, window: Window) -> tuple[Tensor, Tensor]:
        """Render whole pictures on the coarse grid, and the window."""
        generator = self.generator
        return generator.whole(layers, generator.picture_size // self.coarse), generator.paint(layers, *window[1:])

    def error(self, drawn: Tensor, real: Tensor) -> Tensor:
        """Squared error that blends into an absolute error over the training; a scalar."""
        sharpness = ops.maximum(2 * self.progress - 1, 0.0)
        return sharpness * absolute_error(drawn, real) + (1 - sharpness) * 2 * squared_error(drawn, real)


def tag_head(tags: int, width: int) -> keras.layers.Dense:
    """A layer that predicts the tags of parts from features of a width."""
    head = keras.layers.Dense(tags, name="tags")
    head.build([None, width])
    return head


def untold(logits: Tensor, tags: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy of the tags of present parts, [b, things + 1, tags], in nats per picture; a scalar."""
    nats = ops.sum(ops.binary_crossentropy(ops.cast(tags, "float32"), logits, from_logits=True), axis=-1)
    return ops.mean(ops.sum(nats[:, :-1] * ops.cast(present, "float32"), axis=1) + nats[:, -1])


class PriorTraining(Training):
    """Trains the prior alone, on stored noise of the encoders: nothing is rendered, so batches are large.

    Captions distinguish far more cases than there are shapes to draw: for example, the places of two cats depend on
    their relation. In the joint training, where the decoders take nearly all of the time, the prior sees too few.

    Args:
        prior: The prior to train.
        seed: Seed of the random numbers of the steps.
    """

    def __init__(self, prior: PartPrior, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.prior = prior

    def updates(self) -> list[Update]:
        """One update of the prior."""
        return [Update(self.loss_of, self.prior.trainable_variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The prior's negative log-likelihood in nats per picture; a batch is what `SceneTraining.read` returns."""
        noise = with_places_shaken(batch["noise"], self.seed_of("boxes"))
        surprise = surprise_of(self.prior, noise, ops.cast(batch["mixed"], "float32"), batch["present"])
        return surprise, {"surprise": surprise}


def with_places_shaken(noise: Tensor, seed: Tensor) -> Tensor:
    """Noise of parts with jittered places, so that the prior's density stays bounded at exact boxes."""
    chance = sampling.normal([*ops.shape(noise)[:-1], WHERE], seed)
    return noise + ops.pad(BOX_NOISE * chance, [[0, 0], [0, 0], [0, noise.shape[-1] - WHERE]])


def surprise_of(prior: PartPrior, noise: Tensor, mixed: Tensor, present: Tensor) -> Tensor:
    """Negative log-likelihood of the noise of present parts in nats per picture; a scalar."""
    nats = prior.nats(noise, mixed)
    return ops.mean(nats[:, 0] + ops.sum(nats[:, 1:] * ops.cast(present, "float32"), axis=1))
