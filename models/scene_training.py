"""How a scene network learns: by reconstruction from noise that encoders read off the picture (a conditional VAE).

The whole picture is drawn on a coarse grid, which finds things from far away, and a window of it on a fine one, which
finds their edges; so the cost of detail is that of the window, however fine the pictures are. As in
`generator_training` a squared error blends into an absolute one.
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
"""How many times as much as in the end noise costs at the beginning, beyond once."""
ANCHOR = 0.1
"""Share of the cost of noise that is held against a standard normal, the rest against the prior that is learned."""

PRIOR_WEIGHT = 0.05
"""What a nat that the prior lacks costs."""
PLACE_WEIGHT = 0.01
"""What a nat costs by which places are missed."""
TAG_WEIGHT = 0.2
"""What a nat costs by which captions do not tell the tags of a part."""
BOX_NOISE = 0.02
"""Deviation of the noise that is added to boxes, so that the prior cannot fit them without end."""
MUTED = 0.2
"""Share of the parts that are drawn from captions and places alone, to the end."""
CROWDED = 0.5
"""Most things of a batch that are drawn, as a share of all that there could be."""

LAST_LAYERS = ["enter", "palette", "place", "ramps", "front_colour", "light", "moments", "tags", "_of"]
"""Names of layers that end a network or are memories, as embeddings are; Muon leaves them to Adam."""

Window = tuple[Tensor, Tensor, Tensor, Tensor]
"""Pixels, float32[b, n, n, 3], where their columns and rows lie, float32[n] each, and the pitch, float32[]."""


class Encoders(NamedTuple):
    """What reads noise off pictures: the background's, where things stand, and what they look like."""

    back: BackEncoder
    place: PlaceEncoder
    look: LookEncoder

    @classmethod
    def of(cls, generator: SceneNetwork, dtype: Any = "float32") -> "Encoders":
        """Encoders that read pictures for a generator, untrained."""
        size, width = generator.picture_size, generator.width
        look_size = generator.shape_size + generator.colour_size
        return cls(
            back=BackEncoder(size, width, look_size, dtype=dtype),
            place=PlaceEncoder(size, generator.things, width, dtype=dtype),
            look=LookEncoder(width, look_size, dtype=dtype),
        )


class Found(NamedTuple):
    """What was read off pictures.

    Attributes:
        things: Noise, float32[b, things, noise_size]; zeros for things that are not there.
        back: Noise, float32[b, noise_size].
        present: Which things are there, bool[b, things].
        rows: int32[m], which of the b * things things are there, and some more.
        divergence: Of the noise from a standard normal, nats a picture; a scalar.
        precision: Minus the log deviations of the noise, summed, a picture; a scalar.
        miss: By how much the encoder misses boxes and captions miss the number of things, nats a picture; a scalar.
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
        """Of all parts, the background's last: float32[b, things + 1, noise_size]."""
        return ops.concatenate([self.things, self.back[:, None]], axis=1)


class Boxed(NamedTuple):
    """What is known of things from their boxes.

    Attributes:
        noise: What would place them so, float32[b, things, WHERE].
        known: Of which things a box is known, bool[b, things].
        present: Which things are there, bool[b, things].
        doubt: By how much captions miss the number of things, nats, float32[b].
    """

    noise: Tensor
    known: Tensor
    present: Tensor
    doubt: Tensor


class SceneTraining(ScheduledTraining):
    """Reconstruction of pictures, from noise that costs much at first and little in the end.

    Where boxes are known, things are drawn in them, and the encoder of places learns from them; elsewhere it says by
    itself where things are.

    Args:
        generator: Learns to draw.
        encoders: Read noise off pictures.
        steps: Of the training.
        fineness: Side of the pictures of a batch, in units of `generator.picture_size`.
        kl_weight: What a nat of noise costs in the end.
        tags: How many tags the parts of a picture may have; with any, captions learn to tell them.
        window: Most points along a side of the window.
        coarse: How many times coarser than the picture the grid of the whole is.
        mute: Share of the training before noise says what things look like; from then on it does in ever more pictures.
        seed: Of what the steps draw at random.
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
        self.tag_heads = [keras.layers.Dense(tags, name="tags")] if tags else []
        for head in self.tag_heads:
            head.build([None, generator.width])
        self.window = min(window, generator.picture_size)
        self.coarse = coarse

    def updates(self) -> list[Update]:
        """One update of the network and the encoders."""
        networks = (self.generator, self.back_encoder, self.place_encoder, self.look_encoder, *self.tag_heads)
        variables = [variable for network in networks for variable in network.trainable_variables]
        return [Update(self.loss_of, variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The loss of a batch, and what to report.

        Args:
            batch: `image`, uint8[b, f s, f s, 3], `embedding`, float32[b, d], and `boxes`, float32[b, things, 5] as
                `noise_of_boxes` takes them, NaN for things that are not there and zero width where nobody knows; where
                things have tags, `tags`, bool[b, things + 1, tags].
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
        for head in self.tag_heads:
            loss += TAG_WEIGHT * untold(head(mixed), batch["tags"], found.present)
        reported = {
            "reconstruction": ops.mean(abs(close - window[0])),
            "divergence": found.divergence,
            "surprise": surprise,
            "miss": found.miss,
        }
        return loss, reported

    def pictures_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The pictures of a batch as they are, and shrunk to the generator's size."""
        fine = to_float(batch["image"])
        return fine, ops.average_pool(fine, self.fineness, self.fineness) if self.fineness > 1 else fine

    def read(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `PriorTraining` learns from, read off a batch that `loss_of` takes.

        Returns:
            `mixed`, float16[b, parts, width], what captions say of the parts; `noise`, float32[b, parts, noise_size];
            `present`, bool[b, things].
        """
        mixed = self.generator.mix(batch["embedding"])
        found = self.find(self.pictures_of(batch)[1], mixed, batch["boxes"])
        return {"mixed": ops.cast(mixed, "float16"), "noise": found.noise, "present": found.present}

    def for_prior(self, noise: Tensor, share: Tensor) -> Tensor:
        """The noise as the prior learns it: places shaken a little, and a share of its gradient led on.

        So the noise that encoders read comes together where the prior expects it, as in a conditional VAE with a
        learned prior (Sohn et al., 2015), and a few clear modes are left, such as poses, instead of everything between.
        """
        shaken = with_places_shaken(noise, self.seed_of("boxes"))
        return share * shaken + (1 - share) * ops.stop_gradient(shaken)

    def find(self, picture: Tensor, mixed: Tensor, boxes: Tensor) -> Found:
        """Noise that could have drawn pictures, float32[b, s, s, 3], given what captions say and where boxes are."""
        batch, count = ops.shape(picture)[0], self.generator.things
        back = self.back_encoder([picture, mixed[:, -1]])
        both = self.beside_background(picture, mixed, back[0])
        boxed = self.boxed(mixed, boxes)
        moments = self.place_encoder([both, mixed[:, :-1]])
        where = self.placed(boxed, moments)
        # The most things that a batch is expected to hold: XLA and JAX ask for a number that is known before.
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
        """Pictures beside how they differ from their backgrounds, which `back` draws: float32[b, s, s, 6]."""
        back = ops.pad(ops.stop_gradient(back), [[0, 0], [WHERE, 0]])
        background = self.generator.decode_back(back, mixed[:, -1], ops.ones_like(back[:, :1]))
        difference = picture - self.generator.whole(background, self.generator.picture_size)
        return ops.concatenate([picture, ops.stop_gradient(difference)], axis=-1)

    def boxed(self, mixed: Tensor, boxes: Tensor) -> Boxed:
        """What boxes, float32[b, things, 5], say of things; captions say which are there where no box is known."""
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
        """The noise that places things, float32[b, things, WHERE]: of their boxes, or else as the encoder guesses."""
        mean, log_deviation = moments
        guessed = mean + ops.exp(log_deviation) * sampling.normal(ops.shape(mean), self.seed_of("places"))
        return ops.where(boxed.known[..., None], boxed.noise, guessed)

    def missed(self, boxed: Boxed, moments: Moments) -> Tensor:
        """By how many nats the encoder misses boxes, float32[b, things, WHERE]; zero where none is known."""
        mean, log_deviation = moments
        scaled = (boxed.noise - mean) * ops.exp(-log_deviation)
        nats = 0.5 * ops.clip(scaled, -10.0, 10.0) ** 2 + log_deviation
        return ops.cast(boxed.known, "float32")[..., None] * nats

    def kept(self, rows: Tensor) -> Tensor:
        """Whether noise says what parts look like, 0 or 1, float32[b, parts, 1]; else captions have to say it.

        It says nothing at first, and later nothing of a share of the parts, as captions are left out for the sake of
        guidance (Ho and Salimans, 2022). The network is told, since the mean of the noise looks like something too.
        """
        share = (1 - MUTED) * ops.clip((self.progress - self.mute) / max(self.mute, 1e-6), 0.0, 1.0)
        chances = sampling.uniform([rows, self.generator.parts, 1], self.seed_of("kept"))
        return ops.cast(chances < share, "float32")

    def window_of(self, picture: Tensor, fine: Tensor) -> Window:
        """The same window of all pictures: of the fine ones, and in turn of plain ones that are not seen whole."""
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
        """Whole pictures on the coarse grid, and the window."""
        generator = self.generator
        return generator.whole(layers, generator.picture_size // self.coarse), generator.paint(layers, *window[1:])

    def error(self, drawn: Tensor, real: Tensor) -> Tensor:
        """Squared at first, absolute in the end; a scalar."""
        sharpness = ops.maximum(2 * self.progress - 1, 0.0)
        return sharpness * absolute_error(drawn, real) + (1 - sharpness) * 2 * squared_error(drawn, real)


def untold(logits: Tensor, tags: Tensor, present: Tensor) -> Tensor:
    """How badly logits tell tags, both [b, things + 1, tags], of what there is, nats a picture; a scalar."""
    nats = ops.sum(ops.binary_crossentropy(ops.cast(tags, "float32"), logits, from_logits=True), axis=-1)
    return ops.mean(ops.sum(nats[:, :-1] * ops.cast(present, "float32"), axis=1) + nats[:, -1])


class PriorTraining(Training):
    """The prior alone, on noise that encoders have read: nothing is drawn, so a step takes hundreds of captions.

    Captions tell far more cases apart than there are shapes to draw: two cats in a relation can stand in as many places
    as there are relations. Beside decoders, which take nearly all of the time, the prior sees too few of them.

    Args:
        prior: Learns which noise captions ask for.
        seed: Of what the steps draw at random.
    """

    def __init__(self, prior: PartPrior, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.prior = prior

    def updates(self) -> list[Update]:
        """One update of the prior."""
        return [Update(self.loss_of, self.prior.trainable_variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """What noise costs in nats a picture; a batch is what `SceneTraining.read` returns."""
        noise = with_places_shaken(batch["noise"], self.seed_of("boxes"))
        surprise = surprise_of(self.prior, noise, ops.cast(batch["mixed"], "float32"), batch["present"])
        return surprise, {"surprise": surprise}


def with_places_shaken(noise: Tensor, seed: Tensor) -> Tensor:
    """Noise of parts whose places are a little off, so that no prior can fit exact boxes without end."""
    chance = sampling.normal([*ops.shape(noise)[:-1], WHERE], seed)
    return noise + ops.pad(BOX_NOISE * chance, [[0, 0], [0, 0], [0, noise.shape[-1] - WHERE]])


def surprise_of(prior: PartPrior, noise: Tensor, mixed: Tensor, present: Tensor) -> Tensor:
    """What the prior makes of noise, nats a picture, where only things that are there count; a scalar."""
    nats = prior.nats(noise, mixed)
    return ops.mean(nats[:, 0] + ops.sum(nats[:, 1:] * ops.cast(present, "float32"), axis=1))
