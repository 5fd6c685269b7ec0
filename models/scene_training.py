"""How a scene network learns: by reconstruction from noise that encoders read off the picture (a conditional VAE).

The whole picture is drawn on a coarse grid, which finds things from far away, and a window of it on a fine one, which
finds their edges; so the cost of detail is that of the window, however fine the pictures are. As in
`generator_training` a squared error blends into an absolute one.
"""

from keras import ops

from models import sampling
from models.generator_training import absolute_error, squared_error
from models.scene_encoders import BackEncoder, Moments, ThingEncoder
from models.scene_network import Layers, SceneNetwork, pixel_centres
from models.tensors import Tensor, to_float
from models.training import Losses, Training, Update

COARSE = 2
"""How many times coarser than the picture the grid of the whole is."""
FIRST_COST = 5.0
"""How many times as much as in the end noise costs at the beginning, beyond once."""

Window = tuple[Tensor, Tensor, Tensor, Tensor]
"""Pixels, float32[b, n, n, 3], where their columns and rows lie, float32[n] each, and the pitch, float32[]."""


class SceneTraining(Training):
    """Reconstruction of pictures, from noise that costs much at first and little in the end.

    Args:
        generator: Learns to draw.
        back_encoder: Reads the background's noise off pictures.
        thing_encoder: Reads the things'.
        steps: Of the training.
        fineness: Side of the pictures of a batch, in units of `generator.picture_size`.
        kl_weight: What a nat of noise costs in the end.
        prior_weight: What a nat that the prior lacks costs.
        window: Most points along a side of the window.
        seed: Of what the steps draw at random.
    """

    def __init__(
        self,
        generator: SceneNetwork,
        back_encoder: BackEncoder,
        thing_encoder: ThingEncoder,
        *,
        steps: int,
        fineness: int,
        kl_weight: float,
        prior_weight: float = 0.002,
        window: int = 40,
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed)
        self.generator = generator
        self.back_encoder = back_encoder
        self.thing_encoder = thing_encoder
        self.steps = steps
        self.fineness = fineness
        self.kl_weight = kl_weight
        self.prior_weight = prior_weight
        self.window = min(window, generator.picture_size)

    @property
    def progress(self) -> Tensor:
        """How much of the training is done, 0..1."""
        return ops.minimum(ops.cast(self.optimizer.iterations, "float32") / self.steps, 1.0)

    def updates(self) -> list[Update]:
        """One update of the network and the encoders."""
        networks = (self.generator, self.back_encoder, self.thing_encoder)
        variables = [variable for network in networks for variable in network.trainable_variables]
        return [Update(self.loss_of, variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The loss of `image` uint8[b, f s, f s, 3] and `embedding` float32[b, d], and what to report."""
        fine = to_float(batch["image"])
        picture = ops.average_pool(fine, self.fineness, self.fineness) if self.fineness > 1 else fine
        mixed = self.generator.mix(batch["embedding"])
        mean, log_deviation = self.posterior(picture, mixed)
        noise = mean + ops.exp(log_deviation) * sampling.normal(ops.shape(mean), self.seed_of("posterior"))
        squares = mean**2 + ops.exp(2 * log_deviation) - 1 - 2 * log_deviation
        divergence = 0.5 * ops.mean(ops.sum(squares, axis=[1, 2]))
        nats = self.generator.prior.nats(ops.stop_gradient(noise), ops.stop_gradient(mixed))
        surprise = ops.mean(ops.sum(nats, axis=1))
        window = self.window_of(picture, fine)
        whole, close = self.draw(self.generator.decode(noise, mixed), window)
        reconstruction = self.error(whole, ops.average_pool(picture, COARSE, COARSE)) + self.error(close, window[0])
        cost = self.kl_weight * (1 + FIRST_COST * (1 - self.progress) ** 2)
        loss = reconstruction + cost * divergence + self.prior_weight * surprise
        reported = {"reconstruction": ops.mean(abs(close - window[0])), "divergence": divergence, "surprise": surprise}
        return loss, reported

    def posterior(self, picture: Tensor, mixed: Tensor) -> Moments:
        """Of the noise that could have drawn pictures, float32[b, s, s, 3]: float32[b, parts, noise_size] each."""
        back_mean, back_deviation = self.back_encoder([picture, mixed[:, -1]])
        layers = self.generator.decode_back(back_mean, mixed[:, -1])
        difference = ops.stop_gradient(picture - self.whole(layers, self.generator.picture_size))
        mean, deviation = self.thing_encoder([ops.concatenate([picture, difference], axis=-1), mixed[:, :-1]])
        return (
            ops.concatenate([mean, back_mean[:, None]], axis=1),
            ops.concatenate([deviation, back_deviation[:, None]], axis=1),
        )

    def window_of(self, picture: Tensor, fine: Tensor) -> Window:
        """The same window of all pictures, of the plain ones and the fine ones in turn."""
        chances = sampling.uniform([2], self.seed_of("window"))

        def window(pictures: Tensor) -> Window:
            side = pictures.shape[1]
            at = ops.cast(chances * (side - self.window + 1), "int32")
            shape = [ops.shape(pictures)[0], self.window, self.window, 3]
            pixels = ops.slice(pictures, [0, at[0], at[1], 0], shape)
            centres = ops.convert_to_tensor(pixel_centres(side))
            rows, columns = (ops.slice(centres, [at[axis]], [self.window]) for axis in (0, 1))
            return pixels, columns, rows, ops.convert_to_tensor(1 / side, "float32")

        return ops.cond(self.optimizer.iterations % 2 == 0, lambda: window(picture), lambda: window(fine))

    def draw(self, layers: Layers, window: Window) -> tuple[Tensor, Tensor]:
        """Whole pictures on the coarse grid, and the window."""
        return self.whole(layers, self.generator.picture_size // COARSE), self.generator.paint(layers, *window[1:])

    def whole(self, layers: Layers, side: int) -> Tensor:
        """Whole pictures, float32[b, side, side, 3]."""
        grid = ops.convert_to_tensor(pixel_centres(side))
        return self.generator.paint(layers, grid, grid, ops.convert_to_tensor(1 / side, "float32"))

    def error(self, drawn: Tensor, real: Tensor) -> Tensor:
        """Squared at first, absolute in the end; a scalar."""
        sharpness = ops.maximum(2 * self.progress - 1, 0.0)
        return sharpness * absolute_error(drawn, real) + (1 - sharpness) * 2 * squared_error(drawn, real)
