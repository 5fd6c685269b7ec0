"""A folder of pictures and captions in every variant that people have, and what should become of each of them."""

import codecs
import csv
import io
import json
import os
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from odd_pictures import chunk, encoded, png, profile, turned
from PIL import Image, ImageCms, PngImagePlugin

GROUP = 16
"""Pictures that one folder holds, whose captions are laid out in one way."""


class Format(NamedTuple):
    """How Pillow writes a format: its endings, the modes it can hold, and how far its pixels may be off."""

    endings: tuple[str, ...]
    modes: tuple[str, ...]
    options: dict[str, object]
    has_exif: bool = True
    off: int = 0


class Layout(NamedTuple):
    """How the captions of a group are kept: the ending of files beside the pictures, or a table and its columns."""

    way: str
    encoding: str
    line_end: str
    columns: tuple[str, str]


class Odd(NamedTuple):
    """An encoded picture.

    Attributes:
        ending: Of its file.
        data: The file.
        shows: What is to be seen, on white; None where it cannot be read.
        off: Grey levels by which a reader may miss that.
        is_clear: Whether it has an alpha channel.
    """

    ending: str
    data: bytes
    shows: Image.Image | None
    off: int
    is_clear: bool = False


@dataclass
class OddFolder:
    """What was laid out, by the path of a picture, and what should be passed over."""

    root: Path
    captions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: dict[str, Odd] = field(default_factory=dict)
    aside: set[str] = field(default_factory=set)
    passed_over: int = 0

    @property
    def legal(self) -> dict[str, Odd]:
        return {name: self.pictures[name] for name in self.captions.keys() - self.aside}


FORMATS = {
    "PNG": Format((".png", ".PNG"), ("1", "L", "LA", "P", "RGB", "RGBA"), {}),
    "JPEG": Format((".jpg", ".jpeg", ".jfif", ".JPG"), ("L", "RGB", "CMYK"), {"quality": 100, "subsampling": 0}, off=8),
    "WEBP": Format((".webp",), ("RGB", "RGBA"), {"lossless": True, "exact": True}),
    "TIFF": Format((".tif", ".tiff"), ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB"), {}, off=2),
    "AVIF": Format((".avif",), ("RGB", "RGBA"), {"quality": 100, "subsampling": "4:4:4"}, off=16),
    "GIF": Format((".gif",), ("L", "P"), {}, has_exif=False),
    "BMP": Format((".bmp", ".dib"), ("1", "L", "P", "RGB"), {}, has_exif=False),
    "JPEG2000": Format((".jp2",), ("L", "RGB", "RGBA"), {}, has_exif=False),
    "PPM": Format((".ppm", ".pnm"), ("1", "L", "RGB"), {}, has_exif=False),
}
SRGB = ImageCms.createProfile("sRGB")
PROFILES = {
    "none": b"",
    "wide": profile(),
    "linear": profile(1.0),
    "grey": profile(1.4, ()),
    "srgb": ImageCms.ImageCmsProfile(SRGB).tobytes(),
    "rubbish": b"no profile" * 20,
}
_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_ENCODINGS = {
    "utf-8": b"",
    "utf-8 ": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    " utf-16-le": b"",
    "latin-1": b"",
    "gbk": b"",
}
_UNKNOWN = ("latin-1", "gbk")
_LINE_ENDS = ("\n", "\r\n", "\r")
_WAYS = (".txt", ".caption", "metadata.jsonl", "metadata.csv", "metadata.tsv")
_COLUMNS = (("file_name", "text"), ("image", "caption"), ("Path", "prompt"), ("filename", "Description"))
_NAMES = (
    "{}",
    "a b {}",
    "[{}] *?",
    "工作 {}",
    "caf\u00e9 {}",
    "cafe\u0301 {}",
    "IMG_{}",
    "🐈{}",
    "-{}",
    "x.y.{}",
    "l" * 180 + "{}",
    "'{}\"",
)
_SYSTEMS = ("@eaDir/{}/SYNOPHOTO_THUMB_M.jpg", "._{}", ".DS_Store", "Thumbs.db", "__MACOSX/{}", "#recycle/{}")


# Pictures


def odd_pictures(count: int, seed: int = 0) -> Iterator[Odd]:
    """Pictures of every format, mode and depth in turn, with any orientation, profile and damage."""
    rng = random.Random(seed)
    ways = [(kind, mode) for kind, form in FORMATS.items() for mode in form.modes] + list(DEPTHS)
    for number in range(count):
        way = ways[number % len(ways)]
        orientation, icc = rng.choice(range(9)), rng.choice(list(PROFILES))
        made = deep(way, rng) if isinstance(way, str) else written(*way, orientation, icc, rng)
        yield damaged(made, rng) if rng.random() < 0.2 else made


def scene(rng: random.Random) -> Image.Image:
    """Flat areas of any colours, no two corners alike, 24 wide and 16 high, with an alpha channel."""
    picture = Image.new("RGBA", (24, 16), (*rng.randbytes(3), 255))
    for left, top in product((0, 8, 16), (0, 8)):
        picture.paste((*rng.randbytes(3), rng.choice((255, 255, 128, 0))), (left, top, left + 8, top + 8))
    return picture


def written(kind: str, mode: str, orientation: int, icc: str, rng: random.Random) -> Odd:
    form, whole = FORMATS[kind], scene(rng)
    stored = (
        whole.convert("RGB").convert(mode.replace("A", ""), dither=Image.Dither.NONE)
        if mode != "LAB"
        else whole.convert("RGB").convert("LAB")
    )
    shows = converted(stored, icc if form.has_exif else "none")
    if mode.endswith("A"):
        stored.putalpha(whole.getchannel("A"))
        shows = Image.composite(shows, Image.new("RGB", shows.size, "white"), whole.getchannel("A"))
    options: dict[str, Any] = dict(form.options)
    if kind == "PNG" and rng.random() < 0.1:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("workflow", "much " * 250_000, zip=True)
    if form.has_exif:
        # Into these alone, Pillow writes rubbish as it is.
        rubbish = not orientation and kind in ("PNG", "JPEG", "WEBP")
        options["exif"] = b"Exif\0\0rubbish" if rubbish else turned(orientation)
        options |= {"icc_profile": PROFILES[icc]} if PROFILES[icc] else {}
        stored = stored.transpose(_BACK[orientation]) if orientation in _BACK else stored
    return Odd(rng.choice(form.endings), encoded(stored, kind, **options), shows, form.off + 2, mode.endswith("A"))


def converted(stored: Image.Image, icc: str) -> Image.Image:
    """What colours mean under a profile, by littlecms; profiles for other modes, and rubbish, mean nothing."""
    grey = stored.mode in ("1", "L")
    if icc in ("wide", "linear") and stored.mode not in ("CMYK", "LAB"):
        source = stored.convert("RGB")
    elif icc == "grey" and grey:
        source = stored.convert("L")
    else:
        return stored.convert("RGB")
    made = ImageCms.profileToProfile(
        source, ImageCms.ImageCmsProfile(io.BytesIO(PROFILES[icc])), SRGB, outputMode="RGB"
    )
    assert made
    return made


def deep(way: str, rng: random.Random) -> Odd:
    """A PNG of a depth, or with a colour key, that Pillow does not write."""
    depth, kind, keyed = DEPTHS[way]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    values = np.random.default_rng(rng.randrange(2**32)).integers(0, 2**depth, (4, 8, channels))
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    rows = [np.packbits(row.ravel()).tobytes() for row in bits]
    palette = rng.randbytes(3 * 2**depth) if kind == 3 else b""
    key = values[0, 0]
    chunks = [chunk(b"PLTE", palette)] if palette else []
    if keyed:
        chunks.append(chunk(b"tRNS", bytes([255] * int(key[0]) + [0]) if palette else key.astype(">u2").tobytes()))
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)[values[..., 0]] if palette else _eight(values, depth)
    alpha = (
        np.where((values == key).all(-1), 0, 255)
        if keyed
        else colours[..., -1]
        if kind in (4, 6)
        else np.full((4, 8), 255)
    )
    colours = colours[..., : {4: 1, 6: 3}.get(kind, 3)]
    colours = np.broadcast_to(colours, (4, 8, 3)) * (alpha / 255)[..., None] + 255 * (1 - alpha / 255)[..., None]
    shows = Image.fromarray(colours.round().astype(np.uint8))
    return Odd(".png", png((8, 4), depth, kind, rows, *chunks), shows, 1, kind in (4, 6))


def _eight(values: np.ndarray, depth: int) -> np.ndarray:
    return values >> 8 if depth == 16 else values * 255 // (2**depth - 1)


DEPTHS = {
    **{f"grey {depth}": (depth, 0, False) for depth in (1, 2, 4, 8, 16)},
    **{f"grey {depth} with a key": (depth, 0, True) for depth in (1, 2, 4, 8, 16)},
    **{f"palette {depth}": (depth, 3, keyed) for depth, keyed in ((1, False), (2, True), (4, False), (8, True))},
    **{f"RGB {depth}": (depth, 2, False) for depth in (8, 16)},
    **{f"alpha {depth} {kind}": (depth, kind, False) for depth in (8, 16) for kind in (4, 6)},
    "RGB 8 with a key": (8, 2, True),
}


def damaged(odd: Odd, rng: random.Random) -> Odd:
    data = rng.choice((odd.data[: len(odd.data) // 2], odd.data[:9], b"", b"a letter", b"<svg/>", bytes(200)))
    return Odd(odd.ending, data, None, 0)


# Folders


def lay_out(root: Path, count: int, seed: int = 0) -> OddFolder:
    """Write a folder of so many pictures, with captions, links and what systems leave."""
    rng, made = random.Random(seed), OddFolder(root)
    pictures = list(odd_pictures(count, seed))
    layouts = [Layout(*way) for way in product(_WAYS, _ENCODINGS, _LINE_ENDS, _COLUMNS)]
    rng.shuffle(layouts)
    for number, start in enumerate(range(0, count, GROUP)):
        _add_group(made, f"{number:03}", pictures[start : start + GROUP], layouts[number % len(layouts)], rng)
    _add_links(made)
    return made


def _add_group(made: OddFolder, folder: str, pictures: list[Odd], layout: Layout, rng: random.Random) -> None:
    is_unknown = layout.encoding in _UNKNOWN
    # In an encoding that is not known, only plain names can be told.
    names = ["{}" if is_unknown else rng.choice(_NAMES) for _ in pictures]
    group = {
        f"{folder}/{name.format(at)}{odd.ending}": odd
        for at, (name, odd) in enumerate(zip(names, pictures, strict=True))
    }
    captions = {
        name: tuple(f"caf\u00e9 {at} of {name[:3]}" for at in range(rng.choice((1, 1, 2, 5)))) for name in group
    }
    for name, odd in group.items():
        _write(made.root / name, odd.data)
    tell = _beside if layout.way.startswith(".") else _table
    tell(made.root, captions, layout)
    _write(made.root / folder / rng.choice(_SYSTEMS).format("x.png"), b"")
    made.passed_over += 1
    made.captions |= captions
    made.pictures |= group
    made.aside |= {name for name, odd in group.items() if odd.shows is None or is_unknown}


def _beside(root: Path, captions: dict[str, tuple[str, ...]], layout: Layout) -> None:
    for name, texts in captions.items():
        text = layout.line_end.join((*texts, ""))
        _write((root / name).with_name(Path(name).stem + layout.way), _text(text, layout.encoding))


def _table(root: Path, captions: dict[str, tuple[str, ...]], layout: Layout) -> None:
    """Names are composed in a table, whatever they are on the disk, and captions are rows, or a list."""
    columns, named = (
        layout.columns,
        {unicodedata.normalize("NFC", Path(name).name): captions[name] for name in captions},
    )
    if layout.way.endswith(".jsonl"):
        rows = [{columns[0]: name, columns[1]: texts} for name, texts in named.items()]
        text = layout.line_end.join(json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        out = io.StringIO()
        delimiter = "\t" if layout.way.endswith("tsv") else ","
        writer = csv.writer(out, delimiter=delimiter, lineterminator=layout.line_end)
        writer.writerows([columns, *((name, text) for name, texts in named.items() for text in texts)])
        text = out.getvalue()
    folder = next(iter(captions)).partition("/")[0]
    _write(root / folder / layout.way, _text(text, layout.encoding))


def _text(text: str, encoding: str) -> bytes:
    return _ENCODINGS[encoding] + text.encode(encoding.strip(), "replace")


def _add_links(made: OddFolder) -> None:
    """A link to a picture of the folder is one; links out of it, to nowhere and to folders outside are set aside."""
    name, odd = next((name, odd) for name, odd in made.legal.items())
    outside = made.root.with_name(made.root.name + " outside")
    for path in (outside / "a.png", outside / "folder/b.png"):
        _write(path, odd.data)
    for link, target in {"in": made.root / name, "out": outside / "a.png", "nowhere": outside / "gone.png"}.items():
        path = made.root / f"links/{link}.png"
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))
        _write(path.with_suffix(".txt"), link.encode())
        made.captions[f"links/{link}.png"] = (link,)
    (made.root / "links/folder").symlink_to(outside / "folder")
    made.pictures["links/in.png"] = odd
    made.aside |= {"links/out.png", "links/nowhere.png", "links/folder"}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
