"""A network that draws scenes: a background, things with a canvas each, and a foreground such as rain or snow.

Flat art has sharp edges at every resolution, which pixels cannot provide. So a part of the picture is a small canvas of
logits, one for each colour of a palette, and is interpolated before the softmax, as distance fields are (Green, 2007,
"Improved alpha-tested magnification"): an edge is then as sharp on a fine grid as on a coarse one. A thing's canvas
is decoded once and placed by its own frame (spatial transformers, Jaderberg et al., 2015; sprites learned from pictures
alone as in MarioNette, Smirnov et al., 2021), and nearer things occlude those behind them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from models.backends import backend
from models.drawing_network import DrawingNetwork
from models.language_network import LanguageNetwork
from models.layers import MultiHeadAttention, leaky
from models.part_prior import NoiseSizes, PartPrior
from models.tensors import Tensor

CLEAR_LOGIT = 3.0
"""Subtracted from the logit of opacity, because most of a canvas is empty."""
FAINT_LOGIT = 2.0
"""Initial logit of opacity of canvases; an invisible canvas would receive no gradient."""
SHARPEST = 8.0
"""Upscale factor, relative to a part's canvas, beyond which its edges get no sharper."""
WHERE = 5
"""How many numbers of a thing's noise determine its placement; see `Placement.of_noise`."""
MARGIN = 1.08
"""Size of a canvas relative to its thing, which leaves room for the edges."""
HIDDEN_LOGIT = -300.0
"""Replaces the logit of opacity of absent things."""
LEAST_SPREAD = 1e-3
"""Variance along an axis of embeddings, as a share of the largest, below which it is noise and not scaled up."""
FEATURES = 16
"""Side of the feature map from which one convolution makes a canvas."""


class Placement(NamedTuple):
    """The positions and sizes of things, float32[m] each.

    Attributes:
        x, y: Centres, in shares of the picture's side.
        width, height: Sides, likewise.
        nearness: Logits; of two things, the one with the larger value occludes the other.
    """

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    nearness: Tensor

    @classmethod
    def of_noise(cls, noise_MxN: Tensor) -> "Placement":
        """The placement that the first numbers of noise encode; typical placements are roughly standard normal."""
        x, y, *sides, nearness = ops.unstack(noise_MxN[:, :WHERE], WHERE, axis=-1)
        width, height = (0.3 * ops.exp(0.5 * ops.clip(side, -6.0, 3.0)) for side in sides)
        return cls(0.5 + 0.25 * x, 0.5 + 0.25 * y, width, height, 4 * nearness)


def noise_of_boxes(boxes: Tensor) -> Tensor:
    """The noise that encodes boxes as placements; the inverse of `Placement.of_noise`.

    Args:
        boxes: float32[..., 5]: x and y of the centre, width and height in shares of the picture's side, and nearness.

    Returns:
        float32[..., 5].
    """
    x, y, width, height, nearness = ops.unstack(boxes, WHERE, axis=-1)
    sides = (2 * ops.log(MARGIN * ops.maximum(side, 0.01) / 0.3) for side in (width, height))
    return ops.stack([4 * (x - 0.5), 4 * (y - 0.5), *sides, nearness], axis=-1)


class Styles(NamedTuple):
    """Layers that turn captions and noise into a style for the shapes, and this into a style for the colours."""

    shape: list[keras.layers.Layer]
    colour: list[keras.layers.Layer]

    @classmethod
    def of(cls, width: int) -> "Styles":
        """New layers of a width."""
        return cls(*([keras.layers.Dense(width, activation=leaky) for _ in range(2)] for _ in range(2)))


class Things(NamedTuple):
    """Decoded things, before they are rendered on a grid.

    Attributes:
        canvases: float32[m, n, n, colours + 1], logits of each thing's colours and of its opacity.
        palettes: float32[m, colours, 3].
        placement: Placement of each thing.
        rows: int32[m], indices of the decoded things among those of all scenes; None if all are decoded.
        nearness: float32[b, things per scene], of all things, decoded or not.
    """

    canvases: Tensor
    palettes: Tensor
    placement: Placement
    rows: Tensor | None
    nearness: Tensor


class Layers(NamedTuple):
    """Decoded scenes, before they are rendered on a grid.

    Attributes:
        back: float32[b, s, s, colours + 1], logits of the background's colours and of the foreground.
        ramps: float32[b, colours, 3, 3], each background colour as a linear function of (x, y, 1).
        front_colour: float32[b, 3], colour of the foreground.
        light: float32[b, 2, 3], factors and offsets of the colours of things.
        things: The things of all scenes; None for backgrounds alone.
    """

    back: Tensor
    ramps: Tensor
    front_colour: Tensor
    light: Tensor
    things: Things | None = None


@keras.saving.register_keras_serializable(package="easel")
class SceneNetwork(DrawingNetwork):
    """Draws a background and up to `things` things from noise and a caption embedding.

    Args:
        language_model: Encodes captions; it is not trained with this network.
        picture_size: Side of a picture in pixels.
        things: Maximum number of things in a picture.
        shape_size: How many numbers of a part's noise determine its shape; the `WHERE` numbers before them place it.
        colour_size: How many numbers after these determine its colours.
        components: Normal distributions in each mixture from which a part's noise is sampled.
        width: Units of the hidden layers.
        canvas: Side of a thing's canvas, a multiple of 16.
        back_canvas: Side of the background's canvas, a multiple of 16.
        features: Channels of the feature map of a thing's canvas.
        back_features: Channels of the feature map of the background's canvas.
        memory: Units of the layer before a thing's feature map, about as many as there are shapes to remember.
        back_memory: The same for the background.
        colours: Number of colours of a thing.
        back_colours: Number of colours of the background, each of which may change linearly over the picture.
    """

    def __init__(
        self,
        language_model: LanguageNetwork,
        *,
        picture_size: int = 64,
        things: int = 5,
        shape_size: int = 6,
        colour_size: int = 4,
        components: int = 40,
        width: int = 192,
        canvas: int = 64,
        back_canvas: int = 80,
        features: int = 16,
        back_features: int = 32,
        memory: int = 320,
        back_memory: int = 160,
        colours: int = 6,
        back_colours: int = 8,
        **kwargs: Any,
    ) -> None:
        # Cast by hand: positions and blending stay in full precision, whatever the precision of the convolutions.
        super().__init__(**{"autocast": False, **kwargs})
        if canvas % FEATURES or back_canvas % FEATURES:
            raise ValueError(f"canvas {canvas} and back_canvas {back_canvas} must be multiples of {FEATURES}.")
        self.language_model = language_model
        self.picture_size = picture_size
        self.things = things
        self.shape_size = shape_size
        self.colour_size = colour_size
        self.noise_sizes = NoiseSizes(WHERE, shape_size, colour_size)
        self.noise_size = sum(self.noise_sizes)
        self.components = components
        self.width = width
        self.canvas = canvas
        self.back_canvas = back_canvas
        self.features = features
        self.back_features = back_features
        self.memory = memory
        self.back_memory = back_memory
        self.colours = colours
        self.back_colours = back_colours
        language_model.trainable = False
        self.parts = things + 1
        self.mixer = SlotMixer(self.parts, width)
        self.prior = PartPrior(self.noise_sizes, components)
        self.thing_style, self.back_style = Styles.of(width), Styles.of(width)
        policy = self.dtype_policy
        self.draw_thing = CanvasDecoder(canvas // FEATURES, memory, features, colours + 1, dtype=policy)
        self.draw_back = CanvasDecoder(
            back_canvas // FEATURES, back_memory, back_features, back_colours + 1, dtype=policy
        )
        self.palette = keras.layers.Dense(3 * colours, name="palette")
        self.presence = keras.layers.Dense(1, name="presence")
        self.ramps = keras.layers.Dense(9 * back_colours, name="ramps")
        self.front_colour = keras.layers.Dense(3, name="front_colour")
        self.light = keras.layers.Dense(6, kernel_initializer="zeros", name="light")
        noise = ops.zeros([1, self.parts, self.noise_size])
        self([noise, ops.zeros([1, language_model.embedding_size])])
        self.prior.nats(noise, ops.zeros([1, self.parts, width]))

    def build(self, *_: Any) -> None:
        """Does nothing: the constructor has already built every layer."""
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("things", "shape_size", "colour_size", "components", "width", "canvas", "back_canvas")
        decoders = ("features", "back_features", "memory", "back_memory", "colours", "back_colours")
        return {**super().get_config(), **{name: getattr(self, name) for name in (*names, *decoders)}}

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """Draw pictures.

        Args:
            inputs: Noise, float32[b, parts, noise_size], and caption embeddings, float32[b, embedding_size].

        Returns:
            Pictures, float32[b, picture_size, picture_size, 3]; about -1..1, not clipped.
        """
        noise, embedding = inputs
        mixed = self.mix(embedding)
        return self.whole(self.decode(noise, mixed, present=self.presences(mixed) > 0), self.picture_size)

    def presences(self, mixed: Tensor) -> Tensor:
        """Logits of the presence of each thing, float32[b, things]; `mixed` is what `mix` returns."""
        return self.presence(mixed[:, : self.things])[..., 0]

    def mix(self, embedding: Tensor) -> Tensor:
        """Encode what a caption says about each part: float32[b, embedding_size] -> float32[b, parts, width]."""
        slots = self.language_model.slots
        return self.mixer(ops.reshape(embedding, [-1, slots, self.language_model.embedding_size // slots]))

    def decode(
        self,
        noise: Tensor,
        mixed: Tensor,
        rows: Tensor | None = None,
        *,
        present: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> Layers:
        """Decode the layers of scenes; the last part is the background.

        Args:
            noise: float32[b, parts, noise_size].
            mixed: float32[b, parts, width], as `mix` returns it.
            rows: int32[m], which of the b * things things to decode; None for all of them.
            present: bool[b, things], which of these are visible; None for all of them.
            kept: float32[b, parts, 1], 0 for parts whose appearance depends only on the caption, 1 for parts whose
                noise is used; None for all ones.
        """
        kept = ops.ones_like(noise[..., :1]) if kept is None else kept
        parts = (ops.reshape(x[:, : self.things], [-1, x.shape[-1]]) for x in (noise, mixed, kept))
        own, said, own_kept = parts if rows is None else (ops.take(x, rows, axis=0) for x in parts)
        style, hue = self.styles(self.thing_style, said, own, own_kept)
        opacity = ops.convert_to_tensor(FAINT_LOGIT, "float32")
        if present is not None:
            shown = ops.reshape(present, [-1]) if rows is None else ops.take(ops.reshape(present, [-1]), rows)
            opacity = ops.where(shown, FAINT_LOGIT, HIDDEN_LOGIT)[:, None, None, None]
        things = Things(
            canvases=self.draw_thing(style) + opacity * np.eye(self.colours + 1, dtype=np.float32)[-1],
            palettes=ops.reshape(self.palette(hue), [-1, self.colours, 3]),
            placement=Placement.of_noise(own),
            rows=rows,
            nearness=4 * noise[:, : self.things, WHERE - 1],
        )
        return self.decode_back(noise[:, -1], mixed[:, -1], kept[:, -1])._replace(things=things)

    def decode_back(self, noise: Tensor, mixed: Tensor, kept: Tensor) -> Layers:
        """Decode the background alone; `noise`, `mixed` and `kept` are its rows of those of `decode`."""
        style, hue = self.styles(self.back_style, mixed, noise, kept)
        return Layers(
            back=self.draw_back(style),
            ramps=ops.reshape(self.ramps(hue), [-1, self.back_colours, 3, 3]),
            front_colour=self.front_colour(hue),
            light=ops.reshape(self.light(hue), [-1, 2, 3]),
        )

    def styles(self, layers: Styles, said: Tensor, noise: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The styles of the shapes and of the colours of m parts, float32[m, width] each.

        Colours depend on shapes, but not the reverse: a cat's pose is learned once, not once for each colour of coat.
        """
        _, shape, colour = ops.split(kept * noise, self.noise_sizes.cuts, axis=-1)
        style = through(layers.shape, ops.concatenate([said, shape, kept], axis=-1))
        return style, through(layers.colour, ops.concatenate([said, style, colour, kept], axis=-1))

    def whole(self, layers: Layers, side: int) -> Tensor:
        """Render whole pictures, float32[b, side, side, 3]."""
        grid = ops.convert_to_tensor(pixel_centres(side))
        return self.paint(layers, grid, grid, ops.convert_to_tensor(1 / side, "float32"))

    def paint(self, layers: Layers, xs: Tensor, ys: Tensor, pitch: Tensor) -> Tensor:
        """Render a rectangular grid of points.

        Args:
            layers: The layers of b scenes.
            xs: float32[w], positions of the columns, 0..1.
            ys: float32[h], positions of the rows, 0..1.
            pitch: Distance between neighbours, float32[].

        Returns:
            float32[b, h, w, 3].
        """
        back, front = self._scenery(layers, xs, ys, pitch)
        if layers.things is not None:
            seen, colours, gap = self._crowd(layers.things, xs, ys, pitch)
            gain, shift = 1 + layers.light[:, 0, :, None], layers.light[:, 1, :, None]
            back = (colours * gain + seen * shift + gap * back) / (seen + gap)
        picture = back + front * (layers.front_colour[..., None] - back)
        return ops.reshape(ops.transpose(picture, [0, 2, 1]), [-1, ops.shape(ys)[0], ops.shape(xs)[0], 3])

    def _crowd(self, things: Things, xs: Tensor, ys: Tensor, pitch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Total visibility of things, [b, 1, p], their colours weighted by it, [b, 3, p], and the gaps, [b, 1, p]."""
        points = ops.shape(ys)[0] * ops.shape(xs)[0]
        shown = self._shown(things, xs, ys, pitch)
        if things.rows is not None:
            of_row = ops.one_hot(things.rows, ops.size(things.nearness), axis=0)
            shown = ops.matmul(of_row, ops.reshape(shown, [-1, 4 * points]))
        shown = ops.reshape(shown, [-1, self.things, 4, points])
        seen, gap = visibility(shown[:, :, 3], things.nearness)
        colours = sum(seen[:, i, None] * shown[:, i, :3] for i in range(self.things))
        return ops.sum(seen, axis=1, keepdims=True), colours, ops.expand_dims(gap, 1)

    def _scenery(self, layers: Layers, xs: Tensor, ys: Tensor, pitch: Tensor) -> tuple[Tensor, Tensor]:
        """The background, float32[b, 3, p], and the opacity of the foreground, float32[b, 1, p]."""
        side, count, batch = layers.back.shape[1], self.back_colours, ops.shape(layers.back)[0]
        blur, sharpness = ops.maximum(pitch * side, 1.0), ops.clip(1 / (pitch * side), 0.5, SHARPEST)
        rows, columns = (
            ops.broadcast_to(hats(at * side - 0.5, side, blur)[None], [batch, ops.shape(at)[0], side])
            for at in (ys, xs)
        )
        logits = sharpness * sampled(layers.back, rows, columns)
        ramps = ops.reshape(layers.ramps, [-1, count, 9])
        by_places = backend.product(ramps, softmax_of_channels(logits[:, :count]), transpose_x=True)
        by_x, by_y, even = ops.unstack(ops.reshape(by_places, [batch, 3, 3, -1]), 3, axis=1)
        grid = [ops.shape(ys)[0], ops.shape(xs)[0]]
        x, y = (ops.reshape(ops.broadcast_to(2 * at - 1, grid), [-1]) for at in (xs[None, :], ys[:, None]))
        return by_x * x + by_y * y + even, ops.sigmoid(logits[:, count:] - CLEAR_LOGIT * sharpness)

    def _shown(self, things: Things, xs: Tensor, ys: Tensor, pitch: Tensor) -> Tensor:
        """Colour and opacity of each thing alone, float32[m, 4, p]."""
        place, side, points = things.placement, self.canvas, ops.shape(ys)[0] * ops.shape(xs)[0]
        rows, down = framed(ys, place.y, place.height, side, pitch)
        columns, across = framed(xs, place.x, place.width, side, pitch)
        sharpness = ops.clip(ops.rsqrt(across * down), 0.5, SHARPEST)
        # The gradient of the edges must not change the size of a thing.
        sharpness = ops.stop_gradient(sharpness)[:, None, None]
        logits = sharpness * sampled(things.canvases, rows, columns)
        shares = softmax_of_channels(logits[:, : self.colours])
        colours = backend.product(things.palettes, shares, transpose_x=True)
        # A thing is entirely transparent outside its canvas.
        covered = ops.reshape(
            ops.sum(rows, axis=2, keepdims=True) * ops.expand_dims(ops.sum(columns, axis=2), 1), [-1, 1, points]
        )
        opacity = covered * ops.sigmoid(logits[:, self.colours :] - CLEAR_LOGIT * sharpness)
        return ops.concatenate([colours, opacity], axis=1)


def visibility(opacity_BxKxP: Tensor, nearness_BxK: Tensor) -> tuple[Tensor, Tensor]:
    """Visibility of each thing behind those in front of it, float32[b, k, p], and of the background, [b, p]."""
    k = opacity_BxKxP.shape[1]
    in_front = ops.sigmoid(nearness_BxK[:, None, :] - nearness_BxK[:, :, None]) * (1 - ops.eye(k))
    seen, gap = opacity_BxKxP, ops.ones_like(opacity_BxKxP[:, 0])
    for j in range(k):
        opacity = opacity_BxKxP[:, j]
        seen, gap = seen * (1 - in_front[:, :, j, None] * ops.expand_dims(opacity, 1)), gap * (1 - opacity)
    return seen, gap


def through(layers: Sequence[keras.layers.Layer], x: Tensor) -> Tensor:
    """Apply layers one after the other."""
    for layer in layers:
        x = layer(x)
    return x


def pixel_centres(side: int) -> NDArray[np.float32]:
    """The centres of `side` pixels in 0..1."""
    return ((np.arange(side) + 0.5) / side).astype(np.float32)


def framed(at: Tensor, centre_M: Tensor, extent_M: Tensor, side: int, pitch: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of a canvas's cells at points, float32[m, p, side], and the pitch of points in cells, float32[m]."""
    cells = pitch * side / extent_M
    inside = ((at - centre_M[:, None]) / extent_M[:, None] + 0.5) * side - 0.5
    return hats(inside, side, ops.maximum(cells, 1.0)[:, None, None]), cells


def hats(at: Tensor, side: int, width: Any) -> Tensor:
    """Weights [..., p, side] of cells at points [..., p], in cells: hat functions of half-width `width`."""
    return ops.relu(1 - ops.abs(ops.expand_dims(at, -1) - ops.arange(side, dtype="float32")) / width) / width


def sampled(canvas_MxSxSxC: Tensor, rows_MxHxS: Tensor, columns_MxWxS: Tensor) -> Tensor:
    """Canvases sampled at the intersections of rows and columns: float32[m, c, h * w]."""
    _, _, side, channels = canvas_MxSxSxC.shape
    height, width = ops.shape(rows_MxHxS)[1], ops.shape(columns_MxWxS)[1]
    # Rows first, so that moving the channels, the slowest operation, happens on a smaller grid.
    x = ops.matmul(rows_MxHxS, ops.reshape(canvas_MxSxSxC, [-1, side, side * channels]))
    x = ops.transpose(ops.reshape(x, [-1, height * side, channels]), [0, 2, 1])
    x = ops.matmul(ops.reshape(x, [-1, channels * height, side]), ops.transpose(columns_MxWxS, [0, 2, 1]))
    return ops.reshape(x, [-1, channels, height * width])


def softmax_of_channels(logits_MxCxP: Tensor) -> Tensor:
    """Softmax over the second axis; Keras's own would transpose twice."""
    exponentials = ops.exp(logits_MxCxP - ops.stop_gradient(ops.max(logits_MxCxP, axis=1, keepdims=True)))
    return exponentials / ops.sum(exponentials, axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="easel")
class CanvasDecoder(keras.layers.Layer):
    """Decodes a style into a square canvas: a dense layer makes a small feature map, a convolution the canvas.

    The shapes of things have to be memorised; a dense layer does so, and is cheap on a CPU.

    Args:
        finer: Side of the canvas in units of `FEATURES`.
        memory: Units of the hidden layer.
        features: Channels of the feature map.
        channels: Channels of the canvas.
    """

    def __init__(self, finer: int, memory: int, features: int, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.finer = finer
        self.features = features
        self.channels = channels
        self.hidden = keras.layers.Dense(memory, activation=leaky)
        self.enter = keras.layers.Dense(FEATURES**2 * features, activation=leaky, name="enter")
        self.leave = keras.layers.Conv2D(finer**2 * channels, 3, padding="same", dtype=self.dtype_policy)

    def call(self, style_BxC: Tensor) -> Tensor:
        """float32[b, c] -> float32[b, s, s, channels]."""
        x = ops.reshape(self.enter(self.hidden(style_BxC)), [-1, FEATURES, FEATURES, self.features])
        canvas = self.leave(x)
        return ops.cast(ops.depth_to_space(canvas, self.finer) if self.finer > 1 else canvas, "float32")


@keras.saving.register_keras_serializable(package="easel")
class Attending(keras.layers.Layer):
    """A transformer block with pre-normalisation: optional cross-attention, self-attention and a small network.

    Args:
        width: Channels, a multiple of `heads`.
        heads: Attention heads.
        outward: Whether the block begins with cross-attention.
    """

    def __init__(self, width: int, *, heads: int = 4, outward: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.looks = [MultiHeadAttention(heads, width // heads) for _ in range(1 + outward)]
        self.norms = [keras.layers.LayerNormalization() for _ in range(2 + outward)]
        self.widen = keras.layers.Dense(2 * width, activation="gelu")
        self.narrow = keras.layers.Dense(width)

    def call(self, x_BxKxC: Tensor, outside_BxTxC: Tensor | None = None) -> Tensor:
        """float32[b, k, width] -> the same shape; `outside_BxTxC` is the input of the cross-attention."""
        inward, *outward = self.looks
        if outside_BxTxC is not None:
            x_BxKxC = x_BxKxC + outward[0](self.norms[2](x_BxKxC), outside_BxTxC)
        x = self.norms[0](x_BxKxC)
        x_BxKxC = x_BxKxC + inward(x, x)
        return x_BxKxC + self.narrow(self.widen(self.norms[1](x_BxKxC)))


@keras.saving.register_keras_serializable(package="easel")
class SlotMixer(keras.layers.Layer):
    """Maps the slots of a caption to the parts of a picture: self-attention over a query for each part and the slots.

    Captions differ most along a few directions of their embeddings, but the kind of a thing is encoded along many small
    ones, which learn slowly (LeCun et al., 1998, "Efficient backprop"). So slots are whitened first; see `adapt`.

    Args:
        parts: Parts of a picture.
        width: Channels of a part.
        depth: Blocks of attention.
    """

    def __init__(self, parts: int, width: int, *, depth: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts
        self.width = width
        self.blocks = [Attending(width) for _ in range(depth)]
        self.leave = keras.layers.LayerNormalization()

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the queries and the weights of the slots; `shape` is that of the slots."""
        slots, size = (int(side) for side in shape[1:] if side)
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.queries = self.add_weight(shape=(self.parts, self.width), initializer=normal, name="queries")
        self.numbers = self.add_weight(shape=(slots, self.width), initializer=normal, name="numbers")
        self.mean = self.add_weight(shape=(slots, size), initializer="zeros", trainable=False, name="mean")
        self.whitening = self.add_weight(
            shape=(slots, size, size),
            initializer=lambda shape, dtype=None: np.broadcast_to(np.eye(size), shape),
            trainable=False,
            name="whitening",
        )
        self.kernel = self.add_weight(shape=(slots, size, self.width), initializer="glorot_uniform", name="kernel")
        super().build(shape)

    def adapt(self, embeddings: NDArray[np.float32]) -> None:
        """Set the whitening of the slots from the statistics of embeddings, float32[n, slots * c]."""
        slots, size = self.mean.shape
        rows = embeddings.reshape(-1, slots, size).swapaxes(0, 1)
        spread, axes = np.linalg.eigh(np.stack([np.cov(slot, rowvar=False).reshape(size, size) for slot in rows]))
        least = LEAST_SPREAD * np.maximum(spread[:, -1:], 1e-6)
        self.mean.assign(rows.mean(axis=1))
        self.whitening.assign(axes / np.sqrt(np.maximum(spread, least))[:, None] @ axes.swapaxes(1, 2))

    def call(self, slots_BxKxC: Tensor) -> Tensor:
        """float32[b, slots, c] -> float32[b, parts, width]."""
        queries = ops.broadcast_to(self.queries[None], [ops.shape(slots_BxKxC)[0], self.parts, self.width])
        slots = ops.stack(ops.unstack(slots_BxKxC - self.mean, slots_BxKxC.shape[1], axis=1))
        said = backend.product(backend.product(slots, self.whitening), self.kernel)
        said_BxKxC = ops.stack(ops.unstack(said, slots_BxKxC.shape[1]), axis=1)
        x = ops.concatenate([queries, said_BxKxC + self.numbers], axis=1)
        for block in self.blocks:
            x = block(x)
        return self.leave(x[:, : self.parts])
