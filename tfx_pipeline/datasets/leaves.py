"""Dead leaves: pictures of overlapping shapes with the statistics of photographs, to train a restorer.

Opaque shapes overlap. Their sizes follow a power law, so pictures have edges and detail at every scale, like
photographs (Matheron, 1968; Lee, Mumford and Huang, 2001). Denoisers trained on such pictures are nearly as good as
those trained on photographs (Achddou, Gousseau and Ladjal, 2021), and even more so with varied shapes, textures,
shading and a camera with depth of field (Achddou et al., "VibrantLeaves", 2025).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Rng = np.random.Generator

OVERSAMPLING = 2
"""The factor of supersampling."""
COVERAGE = 4.0
"""Leaves over each point of the ground, on average."""
MOST_LEAVES = 6000
ATLAS_SIDE = 256
ROUGHNESS = (0.0, 0.6, 1.0, 1.5, 2.0)
"""Exponents of the amplitude spectra, 1 / f**x, of the textures: from grain to clouds."""
SHAPES = ("round", "angular", "long")
SHAPES_ZH = {"round": "圆形", "angular": "多边形", "long": "细长形"}
SIZES = {"fine": (1.0, 2.5), "medium": (2.5, 6.0), "coarse": (6.0, 16.0)}
"""The minimum radius of a leaf in pixels."""
SIZES_ZH = {"fine": "细小", "medium": "中等大小", "coarse": "大片"}


class Style(NamedTuple):
    """The common properties of all leaves in a picture.

    Attributes:
        size: One of `SIZES`.
        shape: The most common of `SHAPES`, which three leaves in five have.
        smallest: The minimum radius in pixels.
        exponent: The exponent of the power law of radii: their density falls as `radius ** -exponent`.
        light: Mean and deviation of the leaves' lightness, 0..1.
        tint: Mean and deviation of their two chroma components.
        texture: Median amplitude of the leaves' textures.
    """

    size: str
    shape: str
    smallest: float
    exponent: float
    light: tuple[float, float]
    tint: tuple[tuple[float, float], float]
    texture: float


class Leaves(NamedTuple):
    """The n leaves of a layer from bottom to top; lengths are in pixels of the canvas.

    Attributes:
        centres: float32[n, 2], x and y.
        radii: float32[n].
        outlines: n polygons, float32[v, 2] each.
    """

    centres: Floats
    radii: Floats
    outlines: list[Floats]


@dataclass(frozen=True)
class LeavesSummary:
    """The number of pictures that were written; none is withheld."""

    count: int
    withheld: int = 0


def write_leaves(
    out: Path, *, count: int, size: int, seed: int, progress: Callable[[int], None] | None = None
) -> LeavesSummary:
    """Write a dataset of dead leaves in the layout of `tfx_pipeline.datasets.captions`.

    Args:
        out: The folder, which must be empty or not exist.
        count: Number of pictures.
        size: Side of the pictures in pixels, 16 to 512.
        seed: Seed; picture i depends only on the seed and on i.
        progress: Called with the number of finished pictures.

    Raises:
        ValueError: A number is out of range, or the folder already contains files.
    """
    if count < 1 or not 16 <= size <= 512:
        raise ValueError(f"count {count} and size {size}: count must be at least 1 and size 16 to 512 pixels.")
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: choose a new folder, or remove it first.")
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            style, file_name = random_style(rng), f"images/{number:06}.png"
            Image.fromarray(draw_leaves(style, size, rng)).save(out / file_name)
            metadata.write(json.dumps(record(style, file_name), ensure_ascii=False) + "\n")
            if progress is not None:
                progress(number + 1)
    return LeavesSummary(count)


def record(style: Style, file_name: str) -> dict[str, Any]:
    """The line of `metadata.jsonl` for one picture."""
    return {
        "file_name": file_name,
        "text": f"{style.size} leaves, most of them {style.shape}",
        "text_zh": f"{SIZES_ZH[style.size]}的叶片，多为{SHAPES_ZH[style.shape]}",
        "attributes": {"kind": "leaves", "size": style.size, "shape": style.shape},
        "withheld": False,
    }


def draw_numbered(size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Picture `number` of the dataset with a seed, uint8[size, size, 3]."""
    rng = np.random.default_rng([seed, number])
    return draw_leaves(random_style(rng), size, rng)


def random_style(rng: Rng) -> Style:
    """A random style; all sizes and shapes are equally likely."""
    size, shape = str(rng.choice(list(SIZES))), str(rng.choice(SHAPES))
    return Style(
        size=size,
        shape=shape,
        smallest=float(np.exp(rng.uniform(*np.log(SIZES[size])))),
        exponent=rng.uniform(2.4, 3.2),
        light=(rng.uniform(0.25, 0.7), rng.uniform(0.08, 0.3)),
        tint=((rng.normal(0, 0.05), rng.normal(0, 0.05)), float(np.exp(rng.normal(-3.5, 0.6)))),
        texture=float(np.exp(rng.normal(-2.8, 0.6))),
    )


def draw_leaves(style: Style, size: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw a picture: a ground covered with leaves, up to two sparser layers above it, and a camera.

    Args:
        style: The style of the leaves.
        size: Side in pixels.
        rng: Source of randomness.

    Returns:
        uint8[size, size, 3].
    """
    side = OVERSAMPLING * size
    atlas = textures(rng)
    focus, depth = rng.integers(3), rng.choice([0.0, rng.uniform(0.5, 4.0)])
    scene = blurred(painted(style, fallen(style, side, COVERAGE, rng), side, atlas, rng)[0], depth * (focus != 0))
    for layer in range(1, 1 + rng.integers(3)):
        paint, there = painted(style, fallen(style, side, rng.uniform(0.1, 0.6), rng), side, atlas, rng)
        soft = depth * abs(layer - focus)
        scene *= 1 - shadow(there, rng)
        scene = scene * (1 - blurred(there, soft)) + blurred(paint * there, soft)
    return photographed(scene, rng)


def fallen(style: Style, side: int, coverage: float, rng: Rng) -> Leaves:
    """Random leaves on a canvas, on average `coverage` over each point."""
    smallest, largest = OVERSAMPLING * style.smallest, 0.6 * side
    power = 1 - style.exponent
    low, high = smallest**power, max(largest, 2 * smallest) ** power
    mean_square = float(np.mean((low + (high - low) * np.linspace(0, 1, 1001)) ** (2 / power)))
    count = int(min(MOST_LEAVES, rng.poisson(1 + coverage * side**2 / (2 * mean_square))))
    radii = (low + (high - low) * rng.random(count)) ** (1 / power)
    centres = rng.uniform(-0.1 * side, 1.1 * side, (count, 2))
    names = np.where(rng.random(count) < 0.6, style.shape, rng.choice(SHAPES, count))
    outlines = [
        OUTLINES[name](rng) * radius + centre for name, radius, centre in zip(names, radii, centres, strict=True)
    ]
    return Leaves(single(centres), single(radii), outlines)


def round_outline(rng: Rng) -> Floats:
    """A smooth closed curve around the origin, of about unit radius: float32[24, 2]."""
    angles = ANGLES[:, None] * np.arange(1, 5) + rng.uniform(0, 2 * np.pi, 4)
    waves = np.exp(np.cos(angles) @ (rng.normal(0, 0.22, 4) / np.sqrt(np.arange(1, 5))))
    return single(waves[:, None] * CIRCLE)


def angular_outline(rng: Rng) -> Floats:
    """A polygon of three to eight corners around the origin, of about unit radius: float32[v, 2]."""
    corners = rng.integers(3, 9)
    angles = (np.arange(corners) + rng.uniform(-0.4, 0.4, corners)) * (2 * np.pi / corners) + rng.uniform(0, 2 * np.pi)
    return single(rng.uniform(0.6, 1.4, (corners, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def long_outline(rng: Rng) -> Floats:
    """A bar, tapered or not and slightly bent, up to thirty times as long as wide: float32[6, 2]."""
    half, bend, angle = np.exp(-rng.uniform(0.5, 2.3)), rng.normal(0, 0.2), rng.uniform(0, 2 * np.pi)
    start, end = half * rng.uniform(0.2, 1, 2)
    length = 1 / np.sqrt(half)
    x = np.array([-length, 0, length, length, 0, -length])
    y = np.array([-start, bend - half, -end, end, bend + half, start]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return single(np.stack([x, y], axis=1) @ turn)


OUTLINES: dict[str, Callable[[Rng], Floats]] = {
    "round": round_outline,
    "angular": angular_outline,
    "long": long_outline,
}
ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def textures(rng: Rng) -> Floats:
    """Periodic noise of each roughness, with unit deviation: float32[5, `ATLAS_SIDE`, `ATLAS_SIDE`]."""
    frequencies = np.hypot(np.fft.fftfreq(ATLAS_SIDE)[:, None], np.fft.rfftfreq(ATLAS_SIDE))
    frequencies[0, 0] = np.inf
    white = np.fft.rfft2(rng.normal(size=(ATLAS_SIDE, ATLAS_SIDE)))
    fields = np.stack([np.fft.irfft2(white * frequencies**-x) for x in ROUGHNESS])
    return single(fields / fields.std(axis=(1, 2), keepdims=True))


def painted(style: Style, leaves: Leaves, side: int, atlas: Floats, rng: Rng) -> tuple[Floats, Floats]:
    """Paint leaves onto an empty canvas.

    Returns:
        Their colours, float32[side, side, 3] in about 0..1, and their coverage, float32[side, side, 1], 0 or 1. The
        colours outside are those of one large leaf beneath them all.
    """
    owners = owned(leaves, side)
    count = len(leaves.radii) + 1
    radii = np.append(np.array(side, np.float32), leaves.radii)
    centres = np.concatenate([np.full((1, 2), side / 2, np.float32), leaves.centres])
    places = np.arange(side, dtype=np.float32)
    x, y = places - centres[owners, 0], places[:, None] - centres[owners, 1]
    shade = shading(x, y, owners, radii, rng)
    pattern = patterned(x, y, owners, count, atlas, rng)
    shown = rng.random(count) < rng.uniform(0.4, 1.0)
    amplitude = single(style.texture * np.exp(rng.normal(0, 0.7, count)) * shown)
    colour = single(rng.normal(1, 0.15, (count, 3)))
    lightness = shade + amplitude[owners] * pattern
    paint = colours(style, count, rng)[owners] + lightness[..., None] * colour[owners]
    return single(paint), single(owners > 0)[..., None]


def owned(leaves: Leaves, side: int) -> NDArray[np.int32]:
    """The number of the topmost leaf at each point, from 1; 0 if there is none: int32[side, side]."""
    canvas = Image.new("I", (side, side))
    draw = ImageDraw.Draw(canvas)
    for number, outline in enumerate(leaves.outlines, 1):
        draw.polygon(outline.ravel().tolist(), fill=number)
    return np.asarray(canvas)


def colours(style: Style, count: int, rng: Rng) -> Floats:
    """Colours of leaves, float32[count, 3]: a lightness, and a tint that is rarely strong."""
    middle, spread = style.tint
    lightness = np.clip(rng.normal(*style.light, count), 0.02, 0.98)
    first, second = (rng.normal(mean, spread, count) for mean in middle)
    return single(np.stack([lightness + first, lightness - (first + second) / 2, lightness + second], axis=1))


def shading(x: Floats, y: Floats, owners: NDArray[np.int32], radii: Floats, rng: Rng) -> Floats:
    """The shading of each point of a leaf, added to its lightness: a gradient across the leaf, and a bulge."""
    slopes = single(rng.normal(0, rng.uniform(0.02, 0.12), (len(radii), 2))) / radii[:, None]
    bulges = single(rng.normal(0, 0.06, len(radii)) * (rng.random(len(radii)) < 0.3)) / radii**2
    across = slopes[owners, 0] * x + slopes[owners, 1] * y + bulges[owners] * (x * x + y * y)
    return np.clip(across, -0.5, 0.5)


def patterned(x: Floats, y: Floats, owners: NDArray[np.int32], count: int, atlas: Floats, rng: Rng) -> Floats:
    """A texture for each leaf: noise, often stretched in one direction like hair, or waves, from soft to sharp."""
    angles, stretch = (
        rng.uniform(0, 2 * np.pi, count),
        np.exp(rng.choice([0.0, 1.0], count) * rng.uniform(0, 2.5, count)),
    )
    scales = np.exp(rng.uniform(-1.2, 0.3, count))
    along = np.stack([np.cos(angles) * scales / stretch, np.sin(angles) * scales / stretch])
    across = np.stack([-np.sin(angles) * scales, np.cos(angles) * scales])
    (ax, ay), (bx, by) = (single(direction)[:, owners] for direction in (along, across))
    u, v = ax * x + ay * y, bx * x + by * y
    kinds = rng.integers(len(atlas), size=count)
    noise = sampled(atlas, kinds[owners], u, v + single(rng.uniform(0, ATLAS_SIDE, count))[owners])
    frequencies = single(2 * np.pi / np.exp(rng.uniform(np.log(4), np.log(40), count)) / scales)
    sharpness = single(np.exp(rng.uniform(-1, 1.5, count)))
    waves = np.tanh(sharpness[owners] * np.sin(frequencies[owners] * v + noise / 2))
    return np.where((rng.random(count) < 0.2)[owners], waves, noise)


def sampled(atlas: Floats, kinds: NDArray[np.int64], u: Floats, v: Floats) -> Floats:
    """The atlas' textures at points, interpolated bilinearly and repeated; float32 of the points' shape."""
    left, top = np.floor(u), np.floor(v)
    right_share, bottom_share = u - left, v - top
    row, column = (places.astype(np.int64) % ATLAS_SIDE for places in (top, left))
    below, beside = (row + 1) % ATLAS_SIDE, (column + 1) % ATLAS_SIDE
    upper = atlas[kinds, row, column] * (1 - right_share) + atlas[kinds, row, beside] * right_share
    lower = atlas[kinds, below, column] * (1 - right_share) + atlas[kinds, below, beside] * right_share
    return single(upper * (1 - bottom_share) + lower * bottom_share)


def shadow(there: Floats, rng: Rng) -> Floats:
    """The shadow of a layer on those beneath it: its outline, shifted and blurred; none for half of the layers."""
    strength = rng.choice([0.0, rng.uniform(0.1, 0.5)])
    moved = np.roll(there, rng.integers(-12, 13, 2), axis=(0, 1))
    return strength * blurred(moved, rng.uniform(1, 8))


def blurred(plane: Floats, deviation: float) -> Floats:
    """A Gaussian blur of float32[h, w, c]."""
    if deviation < 0.2:
        return plane
    # As bytes and channel by channel: Pillow cannot blur float32, and blurs the channels of a picture together.
    planes = [Image.fromarray(to_bytes(plane[..., channel])) for channel in range(plane.shape[-1])]
    soft = [np.asarray(each.filter(ImageFilter.GaussianBlur(float(deviation)))) for each in planes]
    return single(np.stack(soft, axis=-1) / 255)


def photographed(scene: Floats, rng: Rng) -> NDArray[np.uint8]:
    """A scene as photographed: with uneven light, contrast, the blur of a lens, and quantized levels."""
    side = len(scene)
    light = np.asarray(
        Image.fromarray(single(rng.normal(1, 0.12, (4, 4)))).resize((side, side), Image.Resampling.BICUBIC)
    )
    seen = 0.5 + (scene * light[..., None] - 0.5) * rng.uniform(0.8, 1.4)
    sharp = blurred(seen, rng.choice([rng.uniform(0, 1.2), rng.uniform(0.8, 2.4)]))
    blocks = sharp.reshape(side // OVERSAMPLING, OVERSAMPLING, side // OVERSAMPLING, OVERSAMPLING, -1)
    return to_bytes(blocks.mean((1, 3)))


def to_bytes(values: Floats) -> NDArray[np.uint8]:
    """Values in 0..1, clipped and rounded to 256 levels."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def single(values: NDArray[Any]) -> Floats:
    """Values in single precision, which halves the time of drawing."""
    return values.astype(np.float32)
