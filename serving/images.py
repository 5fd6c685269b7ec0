"""Reading pictures, for the import, training, restoring, the page, the HTTP API and the client.

Pictures of any format, mode, bit depth, palette, colour key, alpha channel, EXIF orientation and colour profile are
converted to upright pictures in 8-bit sRGB; otherwise the error is one sentence. Only the first frame or page is read.
"""

import binascii
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TypeAlias, cast

from PIL import Image, ImageChops, ImageCms, ImageFile, PngImagePlugin

ImageLike: TypeAlias = Image.Image | bytes | str | Path

READ = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 and PNM"
MOST_PIXELS = 178_956_970
"""Default limit on the pixels of a picture; Pillow refuses larger ones as well."""

# Other tools write whole workflows into a PNG; Pillow's default limit is 1 MB per chunk. The limit on all is 64 MB.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    *((0, mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((4, mark, "AVIF") for mark in (b"ftypavif", b"ftypavis")),
    *((0, mark, "JPEG2000") for mark in (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")),
    *((0, b"P%d%c" % (kind, space), "PPM") for kind in range(1, 7) for space in b" \t\r\n"),
)
# The beginning of base64, in either alphabet and in whole groups of four letters.
_BASE64 = re.compile(rb"((?:[A-Za-z0-9+/_-]{4}){8})[A-Za-z0-9+/_=\s-]*")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PLAIN_FORMATS, _PLAIN_MODES = ("JPEG", "MPO", "PNG"), ("RGB", "L")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Colour spaces of ICC profiles, and the modes of the pictures to which they apply.
_PROFILED = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_DESCRIBABLE = {"1": ("L", "RGB"), "L": ("L", "RGB"), "CMYK": ("CMYK",), "LAB": ("LAB",)}
_SRGB = ImageCms.createProfile("sRGB")
# Every combination of 16 levels of red, green and blue.
_CUBE = Image.frombytes(
    "RGB", (64, 64), bytes(17 * level for colour in product(range(16), repeat=3) for level in colour)
)
_HIGH_BYTES = [value >> 8 for value in range(2**16)]
_ROUNDING = 2
"""Tolerance in grey levels within which a profile counts as sRGB."""


class PictureError(ValueError):
    """A picture cannot be read; the message is one sentence that says what to do."""


class UnknownFormatError(PictureError):
    """The bytes are not a picture in a known format."""


class TooLargeError(PictureError):
    """A picture has more pixels, according to its header, than the caller allows."""


def read_picture(source: ImageLike, *, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """Read a picture.

    Args:
        source: A Pillow picture, the bytes of an encoded one, or a path.
        max_pixels: Maximum number of pixels, checked against the header before decoding.

    Returns:
        An upright picture in sRGB with 8 bits per channel: mode RGB, or RGBA if some of it is transparent.

    Raises:
        PictureError: It cannot be read.
        OSError: The path cannot be read.
    """
    return standard(source if isinstance(source, Image.Image) else decoded(_data(source), max_pixels=max_pixels))


def read_mask(source: ImageLike, *, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """Read a mask: the hole is its transparent part or, in an opaque mask, its white part.

    Returns:
        Mode L: 255 in the hole and 0 elsewhere.

    Raises:
        PictureError: It cannot be read, or marks nothing or everything as the hole.
        OSError: The path cannot be read.
    """
    mask = read_picture(source, max_pixels=max_pixels)
    hole = transparent(mask) or mask.convert("L").point(lambda level: 255 if level > 127 else 0)
    if hole.getextrema() == (0, 0):
        raise PictureError("The mask has no hole: make it transparent or white where the picture should be filled.")
    if hole.getextrema() == (255, 255):
        raise PictureError("The mask covers the whole picture: leave a part of it opaque or black.")
    return hole


def portable(source: ImageLike, *, max_pixels: int = MOST_PIXELS) -> bytes:
    """Encode a picture, on white, as a PNG or JPEG that every decoder reads as `read_picture` does.

    Raises:
        PictureError: It cannot be read.
        OSError: The path cannot be read.
    """
    if isinstance(source, Image.Image):
        return as_png(on_white(standard(source)))
    return rendered(_data(source), max_pixels=max_pixels)[1]


def rendered(data: bytes, *, max_pixels: int = MOST_PIXELS) -> tuple[Image.Image, bytes]:
    """Decode a picture once: on white, mode RGB, and encoded by `portable`, which keeps the file if possible.

    Raises:
        PictureError: It cannot be read.
    """
    stored = decoded(data, max_pixels=max_pixels)
    picture = on_white(standard(stored))
    return picture, data if _is_portable(stored) else as_png(picture)


def size_of(data: bytes) -> tuple[int, int]:
    """The width and height in the header of an encoded picture, before rotation.

    Raises:
        PictureError: The header cannot be read.
    """
    return _opened(data).size


def decoded(data: bytes, *, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """Decode a picture as it is stored, without the conversions of `standard`.

    Raises:
        PictureError: It cannot be decoded.
    """
    picture = _opened(data)
    width, height = picture.size
    if max_pixels and width * height > max_pixels:
        message = f"The picture has {width:,} x {height:,} pixels, {width * height / 1e6:,.0f} megapixels, and at most"
        raise TooLargeError(f"{message} {max_pixels / 1e6:,.6g} are allowed; make it smaller.")
    with _decoding():
        picture.load()
    return picture


def standard(picture: Image.Image) -> Image.Image:
    """Convert a picture to an upright one in sRGB without metadata: RGB, or RGBA if some of it is transparent.

    Raises:
        PictureError: Its values have no known range.
    """
    with _decoding():
        turn = _turn(picture)
        colours, alpha = _parted(picture if turn is None else picture.transpose(turn))
        in_srgb = _in_srgb(colours, picture.info.get("icc_profile"))
        if alpha is not None:
            in_srgb.putalpha(alpha)
    # The metadata has been applied to the pixels; it must not be applied again.
    in_srgb.info = {}
    return in_srgb


def deep_grey(picture: Image.Image) -> Image.Image | None:
    """The result of `decoded` if it is a 16-bit grey picture, upright, mode I, with its levels; else None."""
    is_deep = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM")
    if not is_deep or picture.has_transparency_data:
        return None
    with _decoding():
        turn, whole = _turn(picture), picture.convert("I")
        return whole if turn is None else whole.transpose(turn)


def on_white(picture: Image.Image) -> Image.Image:
    """Composite the result of `standard` on white, mode RGB."""
    if picture.mode == "RGB":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def transparent(picture: Image.Image) -> Image.Image | None:
    """A mask, mode L, of the pixels of `standard`'s result that are more than half transparent; None if none are."""
    if picture.mode != "RGBA":
        return None
    holes = picture.getchannel("A").point(lambda level: 255 if level < 128 else 0)
    return holes if holes.getbbox() else None


def as_png(picture: Image.Image) -> bytes:
    """Encode the result of `standard`, `on_white` or `read_mask` as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _data(source: bytes | str | Path) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _opened(data: bytes) -> Image.Image:
    """Read the header; `Image.open` would refuse large pictures without reporting their size."""
    name = _format(data)
    if not name:
        raise UnknownFormatError(f"The file {_content(data[:512])}; only {READ} are accepted.")
    if name not in Image.OPEN:
        Image.init()
    with _decoding():
        stream = io.BytesIO(_believable(data) if name == "PNG" else data)
        picture: ImageFile.ImageFile = Image.OPEN[name][0](stream, "")
        # Pillow scales 2-bit and 4-bit grey to 8 bits, but not the value of the transparent grey.
        factor = {"L;2": 85, "L;4": 17}.get(str(picture.tile[0].args), 1) if name == "PNG" and picture.tile else 1
        if factor > 1 and "transparency" in picture.info:
            picture.info["transparency"] *= factor
    return picture


def _format(data: bytes) -> str:
    """The format of an encoded picture, by Pillow's name; empty if it is unknown."""
    return next((name for at, mark, name in _MAGIC if data[at : at + len(mark)] == mark), "")


def _believable(data: bytes) -> bytes:
    """A PNG without metadata chunks that have wrong checksums, which browsers ignore but Pillow does not accept."""
    broken, at = [], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name, is_metadata = data[at + 4 : at + 8], bool(data[at + 4] & 0x20)
        checksum = int.from_bytes(data[end - 4 : end], "big")
        if is_metadata and name != b"tRNS" and zlib.crc32(data[at + 4 : end - 4]) != checksum:
            broken.append(slice(at, end))
        at = end
    for part in reversed(broken):
        data = data[: part.start] + data[part.stop :]
    return data


def _is_portable(picture: Image.Image) -> bool:
    """Whether a picture was decoded from a PNG or JPEG file that looks the same without its metadata."""
    return (
        picture.format in _PLAIN_FORMATS
        and picture.mode in _PLAIN_MODES
        and not picture.has_transparency_data
        and _turn(picture) is None
        and _conversion(picture.info.get("icc_profile"), picture.mode) is None
    )


@contextmanager
def _decoding() -> Iterator[None]:
    # Pillow's decoders raise a dozen types of errors for damaged files.
    try:
        yield
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"The picture is too large to decode: {error}") from error
    except Exception as error:
        raise PictureError(f"The picture cannot be decoded: {_plain(error)}.") from error


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """The rotation in the EXIF data; None for invalid EXIF data, for which Pillow raises a dozen types of errors."""
    with suppress(Exception):
        return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    return None


def _parted(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours with 8 bits per channel, and the alpha channel if some of it is transparent."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _from_16_bits(picture)
    if not picture.has_transparency_data:
        return picture, None
    layered = picture.convert("RGBA")
    alpha = layered.getchannel("A")
    colours = layered.convert("L" if picture.mode in ("LA", "La", "L", "1") else "RGB")
    return colours, None if alpha.getextrema() == (255, 255) else alpha


def _from_16_bits(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    # Pillow scales PNM with more than 8 bits to 16 bits, in a mode that other formats use for values of any range.
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PPM"):
        low, high = cast(tuple[float, float], picture.getextrema())
        problem = f"its values range from {low:g} to {high:g}, and the white level is unknown"
        raise ValueError(f"{problem}; save it with 8 or 16 bits per channel")
    whole, key = picture.convert("I"), picture.info.get("transparency")
    alpha = None if key is None else whole.point([255 * (value != key) for value in range(2**16)], "L")
    return whole.point(_HIGH_BYTES, "L"), alpha


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    conversion = _conversion(profile, picture.mode)
    if conversion is None:
        return picture.convert("RGB")
    return conversion.apply(picture.convert(conversion.input_mode))


@lru_cache(maxsize=64)
def _conversion(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion to sRGB; None if the profile is sRGB, is broken, or is for pictures of another mode."""
    with suppress(ImageCms.PyCMSError, OSError, ValueError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        described = _PROFILED.get(source.profile.xcolor_space, "")
        if described in _DESCRIBABLE.get(mode, ("RGB",)):
            conversion = ImageCms.buildTransform(source, _SRGB, described, "RGB")
            return None if described == "RGB" and _changes_nothing(conversion) else conversion
    return None


def _changes_nothing(conversion: ImageCms.ImageCmsTransform) -> bool:
    difference = ImageChops.difference(conversion.apply(_CUBE), _CUBE)
    return max(difference.tobytes()) <= _ROUNDING


# What is wrong, in words


def mistaken(data: bytes) -> str:
    """What was given in place of the bytes of a picture, if it is a common mistake, such as `a URL`; else empty."""
    head = data[:200].lstrip()
    if head.lower().startswith((b"http://", b"https://", b"file://")):
        return "a URL"
    if head.lower().startswith(b"data:image/"):
        return "a data URL"
    letters = _BASE64.fullmatch(head)
    return "base64 text" if letters and _format(binascii.a2b_base64(letters[1].translate(_STANDARD))) else ""


def _content(head: bytes) -> str:
    if not head:
        return "is empty"
    if b"<svg" in head.lower():
        return "holds an SVG drawing"
    if head[4:8] == b"ftyp":
        return "holds a HEIC picture or a film"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "holds a JPEG XL picture"
    return f"holds {mistaken(head) or ('text' if _is_text(head) else 'nothing known')}"


def _is_text(head: bytes) -> bool:
    # The cut may have split a character, which must not make the text look binary.
    return all(letter.isprintable() or letter.isspace() for letter in head.decode("utf-8", "ignore")) and 0 not in head


def _plain(error: BaseException) -> str:
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(message.split()).rstrip(".") or "its data make no sense"
