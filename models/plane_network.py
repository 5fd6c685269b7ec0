"""An implicit network, a function of the plane: maps coordinates to colours, conditioned on the caption."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.drawing_network import DrawingNetwork
from models.language_network import LanguageNetwork
from models.layers import AffineFrames, Modulated, blend, coordinates, in_patches, leaky, numbered, plane, sine
from models.noise import NoisePrior
from models.tensors import Tensor


@keras.saving.register_keras_serializable(package="easel")
class PlaneNetwork(DrawingNetwork):
    """Draws a picture from noise and a caption embedding.

    Each slot of the embedding draws a layer of its own. A style, computed from the slot and the noise, places affine
    frames on a grid of points and modulates the layers that map points to colours (an implicit network as in SIREN,
    Sitzmann et al. 2020, modulated as in FiLM, Perez et al. 2018); the last layer outputs a small block of pixels for
    each point. The slots' layers are blended by a softmax at each pixel.

    Args:
        language_model: Encodes captions; it is not trained with this network.
        picture_size: Side of a picture in pixels, a multiple of twice the `block`.
        noise_size: Width of the noise.
        components: Number of Gaussians in the mixture from which the noise of a caption is sampled.
        style_size: Width of the style.
        frames: Number of affine frames.
        width: Channels at each point.
        depth: Number of modulated layers.
        block: Side of the block of pixels that each point of the grid outputs.
    """

    def __init__(
        self,
        language_model: LanguageNetwork,
        *,
        picture_size: int = 32,
        noise_size: int = 8,
        components: int = 16,
        style_size: int = 128,
        frames: int = 16,
        width: int = 64,
        depth: int = 4,
        block: int = 2,
        **kwargs: Any,
    ) -> None:
        # Cast by hand: coordinates and blending stay in full precision, whatever the precision of the layers.
        super().__init__(**{"autocast": False, **kwargs})
        if picture_size % (2 * block):
            raise ValueError(f"picture_size {picture_size} is not a multiple of twice the block, {2 * block}.")
        self.language_model = language_model
        self.picture_size = picture_size
        self.noise_size = noise_size
        self.components = components
        self.style_size = style_size
        self.frames = frames
        self.width = width
        self.depth = depth
        self.block = block
        language_model.trainable = False
        self.slots = language_model.slots
        self.points = in_patches(coordinates(picture_size // block))
        self.style = keras.Sequential(
            [
                keras.Input((language_model.slot_size + self.slots + noise_size,)),
                keras.layers.Dense(style_size, activation=leaky),
                keras.layers.Dense(style_size, activation=leaky),
            ]
        )
        self.prior = NoisePrior(noise_size, components)
        self.prior(ops.zeros([1, language_model.embedding_size]))
        self.place = AffineFrames(frames)
        self.waves = keras.layers.Dense(
            width,
            activation=sine,
            kernel_initializer=keras.initializers.RandomNormal(stddev=2.5 / np.sqrt(frames)),
            bias_initializer=keras.initializers.RandomUniform(-3, 3),
        )
        self.layers_of_points = [Modulated(width, dtype=self.dtype_policy) for _ in range(depth)]
        self.colours = keras.layers.Dense(4 * block**2, name="colours", dtype=self.dtype_policy)
        self([ops.zeros([1, noise_size]), ops.zeros([1, language_model.embedding_size])])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("noise_size", "components", "style_size", "frames", "width", "depth", "block")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs: Sequence[Tensor], patches: Tensor | None = None) -> Tensor:
        """Draw pictures, or some patches of them.

        Args:
            inputs: Noise, float32[b, noise_size], and caption embeddings, float32[b, embedding_size].
            patches: int32[n], indices of the patches to draw, as `cut` counts them.

        Returns:
            Pictures, float32[b, picture_size, picture_size, 3], or patches, float32[b * n, 2 block, 2 block, 3]; about
            -1..1, not clipped.
        """
        points_Nx4x3 = self.points if patches is None else ops.take(self.points, patches, axis=0)
        return self.paint(self.seen(inputs, ops.reshape(points_Nx4x3, [-1, 3])), whole=patches is None)

    def seen(self, inputs: Sequence[Tensor], points_Px3: Tensor) -> Tensor:
        """The outputs of each slot at points (x, y, 1), a block of pixels each: [b * slots, p, 4 block²]."""
        noise, embedding = inputs
        slots = numbered(embedding, self.slots)
        noise_of_slots = ops.broadcast_to(noise[:, None], [ops.shape(noise)[0], self.slots, self.noise_size])
        both = ops.concatenate([slots, noise_of_slots], axis=-1)
        style = self.style(ops.reshape(both, [-1, self.style.input_shape[-1]]))
        x = self.waves(self.place(style, points_Px3))
        for layer in self.layers_of_points:
            x = layer([x, style])
        return ops.cast(self.colours(x), "float32")

    def call_finer(self, inputs: Sequence[Tensor], scale: Tensor) -> Tensor:
        """Draw on a finer grid than in training; a function of the plane can be evaluated anywhere.

        Every pixel is evaluated at a point of its own, and is always the same pixel of that point's block, one next to
        the centre: so neighbouring pixels come from neighbouring points, and the blocks leave no seams.

        Args:
            inputs: As for `call`.
            scale: Upscale factor, an integer scalar.

        Returns:
            float32[b, scale * picture_size, scale * picture_size, 3]; about -1..1, not clipped.
        """
        side, middle = self.picture_size * scale, self.block // 2
        offset = (2 * middle + 1 - self.block) / self.picture_size
        seen = self.seen(inputs, plane(side) - ops.convert_to_tensor([offset, offset, 0.0]))
        blocks = ops.reshape(seen, [-1, self.slots, ops.shape(seen)[1], self.block**2, 4])
        return blend(ops.reshape(blocks[..., middle * (self.block + 1), :], [-1, self.slots, side, side, 4]))

    def paint(self, colours: Tensor, *, whole: bool) -> Tensor:
        """Blend the outputs of the slots, [b * slots, points, 4 block²], to pictures or patches."""
        block, side = self.block, 2 * self.block
        layers = ops.reshape(colours, [-1, self.slots, ops.shape(colours)[1] // 4 * side, side, 4])
        blocks = ops.reshape(blend(layers), [-1, 2, 2, block, block, 3])
        patches = ops.reshape(ops.transpose(blocks, [0, 1, 3, 2, 4, 5]), [-1, side, side, 3])
        if not whole:
            return patches
        count = self.picture_size // side
        rows = ops.transpose(ops.reshape(patches, [-1, count, count, side, side, 3]), [0, 1, 3, 2, 4, 5])
        return ops.reshape(rows, [-1, self.picture_size, self.picture_size, 3])

    def cut(self, pictures: Tensor, patches: Tensor) -> Tensor:
        """Cut patches from pictures, numbered row by row: float32[b, s, s, 3] -> [b * n, 2 block, 2 block, 3]."""
        side = 2 * self.block
        count = self.picture_size // side
        rows = ops.transpose(ops.reshape(pictures, [-1, count, side, count, side, 3]), [0, 1, 3, 2, 4, 5])
        cells = ops.reshape(rows, [-1, count**2, side, side, 3])
        return ops.reshape(ops.take(cells, patches, axis=1), [-1, side, side, 3])
