"""Any picture becomes upright 8-bit sRGB, or a sentence."""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import chunk, encoded, halves, png, profile, turned
from PIL import Image, ImageCms, PngImagePlugin

from serving.images import (
    PictureError,
    TooLargeError,
    UnknownFormatError,
    on_white,
    portable,
    read_mask,
    read_picture,
    size_of,
)

GREYS = np.arange(256, dtype=np.uint8)


def pixels(source: bytes | Image.Image) -> np.ndarray:
    return np.asarray(on_white(read_picture(source))).astype(int)


def plain(data: bytes) -> np.ndarray:
    """What a decoder makes of an encoded picture that knows nothing of metadata."""
    picture = Image.open(io.BytesIO(data))
    assert picture.format in ("PNG", "JPEG") and picture.mode in ("RGB", "L")
    return np.asarray(picture.convert("RGB")).astype(int)


# Formats, modes and depths


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("PNG", "LA", {}),
        ("PNG", "1", {}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("BMP", "L", {}),
        ("BMP", "1", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "LAB", {}),
        ("AVIF", "RGB", {"quality": 100, "subsampling": "4:4:4"}),
        ("JPEG2000", "RGB", {}),
        ("PPM", "RGB", {}),
        ("PPM", "L", {}),
    ],
)
def test_every_format_and_mode_keeps_its_colours(kind: str, mode: str, options: dict[str, object]) -> None:
    picture = halves(mode)
    expected = np.asarray(picture.convert("RGB")).astype(int)
    data = encoded(picture, kind, **options)
    np.testing.assert_allclose(pixels(data), expected, atol=6)
    np.testing.assert_allclose(plain(portable(data)), expected, atol=6)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_every_depth_of_grey_keeps_its_tones(depth: int) -> None:
    tones = 2 ** min(depth, 8)
    row = np.arange(tones) * 257 if depth == 16 else np.arange(tones)
    packed = np.packbits((row[:, None] >> np.arange(depth)[::-1]) & 1).tobytes()
    expected = np.linspace(0, 255, tones).round().astype(int)
    np.testing.assert_array_equal(pixels(png((tones, 1), depth, 0, [packed]))[0], expected[:, None].repeat(3, 1))


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_16_bit_ramp_keeps_all_its_tones(byte_order: str) -> None:
    ramp = Image.fromarray(np.arange(65536, dtype=f"{byte_order}u2").reshape(256, 256))
    assert len(np.unique(pixels(ramp))) == len(np.unique(pixels(encoded(ramp, "TIFF")))) == 256
    assert pixels(ramp)[255, 255].tolist() == [255] * 3


def test_16_bit_pnm_is_scaled_by_the_largest_value_that_it_names() -> None:
    assert pixels(b"P5 3 1 1023\n" + struct.pack(">3H", 0, 512, 1023))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)), "from 0 to 1, and the white"),
        (Image.fromarray(np.full((8, 8), -3, np.int32)), "its values range from -3 to -3"),
        (Image.new("L", (8, 8), 200).convert("I"), "its values range from 200 to 200"),
    ],
)
def test_values_of_no_known_range_are_refused(picture: Image.Image, told: str) -> None:
    for source in (picture, encoded(picture, "TIFF")):
        with pytest.raises(PictureError, match=f"{told}.*save it with 8 or 16 bits per channel"):
            read_picture(source)


def test_the_first_frame_of_an_animation_is_read() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        np.testing.assert_array_equal(pixels(data)[0, 0], [255, 0, 0])


# Transparency


def test_transparency_is_kept_and_laid_on_white_where_a_picture_is_opaque() -> None:
    picture = Image.new("RGBA", (3, 1), (255, 0, 0, 0))
    picture.putpixel((0, 0), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 128))
    assert read_picture(encoded(picture)).getchannel("A").tobytes() == bytes([255, 128, 0])
    np.testing.assert_allclose(plain(portable(encoded(picture)))[0], [[255, 0, 0], [127] * 3, [255] * 3], atol=1)


def test_an_alpha_channel_that_says_nothing_goes() -> None:
    assert read_picture(halves("RGBA")).mode == "RGB"


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        assert pixels(encoded(picture, kind, transparency=1))[0].tolist() == [[255, 0, 0], [255, 255, 255]]


KEYED = {
    "RGB of 8 bits": (
        png((2, 1), 8, 2, [bytes([255, 0, 255, 9, 9, 9])], chunk(b"tRNS", bytes([0, 255, 0, 0, 0, 255]))),
        9,
    ),
    "RGB of 16 bits": (
        png((2, 1), 16, 2, [b"\xff\xff\0\0\xff\xff" + b"\x09\x09" * 3], chunk(b"tRNS", b"\xff\xff\0\0\xff\xff")),
        9,
    ),
    "grey of 16 bits": (png((2, 1), 16, 0, [b"\x80\x01\x80\x02"], chunk(b"tRNS", b"\x80\x01")), 128),
    "grey of 8 bits": (png((2, 1), 8, 0, [b"\x80\x81"], chunk(b"tRNS", b"\0\x80")), 129),
    "grey of 4 bits": (png((2, 1), 4, 0, [b"\x3f"], chunk(b"tRNS", b"\0\x03")), 255),
    "grey of 2 bits": (png((2, 1), 2, 0, [b"\x60"], chunk(b"tRNS", b"\0\x01")), 170),
    "grey of 1 bit": (png((2, 1), 1, 0, [b"\x40"], chunk(b"tRNS", b"\0\0")), 255),
}


@pytest.mark.parametrize(("data", "other"), KEYED.values(), ids=KEYED)
def test_a_colour_key_is_laid_on_white(data: bytes, other: int) -> None:
    assert read_picture(data).getchannel("A").tobytes() == b"\0\xff"
    assert plain(portable(data))[0].tolist() == [[255] * 3, [other] * 3]


# EXIF


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (8, 16), "white")
    upright.paste("black", (0, 0, 4, 8))
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    back |= {number: Image.Transpose(at) for number, at in ((2, 0), (3, 3), (4, 1), (5, 5), (7, 6))}
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    data = encoded(stored, kind, exif=turned(orientation), quality=100)
    np.testing.assert_allclose(pixels(data), np.asarray(upright), atol=8)
    np.testing.assert_allclose(plain(portable(data)), np.asarray(upright), atol=8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage!", b"", b"MM\0*\xff\xff\xff\xff", turned(6)[:14], turned(77)])
def test_exif_that_makes_no_sense_says_nothing(exif: bytes) -> None:
    for data in (
        png((1, 1), 8, 0, [b"\x07"], chunk(b"eXIf", exif)),
        encoded(Image.new("L", (1, 1), 7), "JPEG", exif=exif),
    ):
        assert pixels(data).tolist() == [[[7] * 3]]
        assert portable(data) == data


def test_a_picture_of_pillows_is_turned_too() -> None:
    stored = Image.open(io.BytesIO(encoded(halves(), "JPEG", exif=turned(6), quality=95)))
    assert read_picture(stored).size == (8, 16)


def test_what_was_read_is_not_turned_or_converted_again() -> None:
    once = read_picture(encoded(halves(), "JPEG", exif=turned(6), icc_profile=profile(), quality=95))
    again = read_picture(once)
    assert (again.size, again.tobytes()) == ((8, 16), once.tobytes())


# Profiles


def referee(picture: Image.Image, icc: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted
    return np.asarray(converted).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_wide_gamut_is_converted_to_srgb(kind: str) -> None:
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    data = encoded(picture, kind, icc_profile=profile(), quality=100, lossless=True)
    assert referee(picture, profile())[0, 0].tolist() == [216, 93, 24]
    np.testing.assert_allclose(pixels(data)[0, 0], [216, 93, 24], atol=2)
    np.testing.assert_allclose(plain(portable(data))[0, 0], [216, 93, 24], atol=2)


def test_grey_with_a_profile_of_grey_or_of_colours_is_converted() -> None:
    grey = Image.new("L", (2, 2), 100)
    for icc in (profile(1.0, ()), profile(1.0)):
        expected = referee(grey if icc == profile(1.0, ()) else grey.convert("RGB"), icc)
        assert expected[0, 0, 0] > 160
        np.testing.assert_array_equal(pixels(encoded(grey, icc_profile=icc)), expected)


@pytest.mark.parametrize("mode", ["P", "RGBA", "1"])
def test_a_profile_counts_whatever_the_mode(mode: str) -> None:
    picture = halves(mode)
    expected = referee(picture.convert("RGB"), profile())
    np.testing.assert_array_equal(pixels(encoded(picture, icc_profile=profile())), expected)


def test_a_profile_that_is_srgb_changes_nothing() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "JPEG"):
        data = encoded(halves(), kind, icc_profile=icc)
        assert portable(data) == data


@pytest.mark.parametrize("icc", [b"rubbish", profile()[:200], profile(2.2, ()), b"\0" * 4000])
def test_a_profile_that_cannot_be_believed_is_left_aside(icc: bytes) -> None:
    np.testing.assert_array_equal(pixels(encoded(halves(), icc_profile=icc)), np.asarray(halves()))


# Damage, limits and text


def test_much_text_in_a_png_is_no_reason_to_refuse_it() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "x" * 1_200_000, zip=True)
    info.add_itxt("prompt", "y" * 1_200_000, zip=True)
    info.add_text("parameters", "z" * 1_200_000)
    data = encoded(halves(), pnginfo=info)
    assert portable(data) == data


@pytest.mark.parametrize(
    ("name", "body"), [(b"iCCP", b"x\0\0" + zlib.compress(profile())), (b"tEXt", b"a\0b"), (b"eXIf", turned(6)[6:])]
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_metadata_with_a_wrong_checksum_is_left_aside(name: bytes, body: bytes, is_cut: bool) -> None:
    whole, broken = encoded(halves()), chunk(name, body)[:-1] + b"?"
    data = whole[:-12] + broken[:-3] if is_cut else whole[:33] + broken + whole[33:]
    np.testing.assert_array_equal(pixels(data), np.asarray(halves()))
    assert portable(data) == data


def test_transparency_with_a_wrong_checksum_is_refused() -> None:
    data = KEYED["RGB of 8 bits"][0]
    at = data.index(b"tRNS") + 10
    with pytest.raises(PictureError, match=r"bad header checksum in b'tRNS'"):
        read_picture(data[:at] + b"????" + data[at + 4 :])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is empty;"),
        (b"just some words", "The file holds text;"),
        ("字".encode() * 300, "The file holds text;"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "The file holds an SVG drawing;"),
        (b"\0\0\0\x18ftypheic", "The file holds a HEIC picture or a film;"),
        (b"\xff\x0a\0\0", "The file holds a JPEG XL picture;"),
        (base64.b64encode(encoded(halves())), "The file holds base64 text;"),
        (base64.urlsafe_b64encode(encoded(halves(), "WEBP")), "The file holds base64 text;"),
        (b"data:image/png;base64,iVBORw0KGgo=", "The file holds a data URL;"),
        (b"iVBORw0KGgo", "The file holds text;"),
        (b"\0\1\2\3", "The file holds nothing known;"),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(data: bytes, told: str) -> None:
    for read in (read_picture, portable, size_of):
        with pytest.raises(UnknownFormatError) as caught:
            read(data)
        taken = "only PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 and PNM are accepted."
        assert str(caught.value) == f"{told} {taken}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_half_a_picture_is_refused(kind: str) -> None:
    whole = encoded(Image.effect_noise((64, 64), 80).convert("RGB"), kind)
    with pytest.raises(PictureError, match=r"^The picture cannot be decoded: .*\.$"):
        read_picture(whole[: len(whole) // 2])


def test_the_limit_counts_pixels_before_they_are_decoded() -> None:
    assert read_picture(halves(), max_pixels=1).size == (16, 8)
    assert read_picture(encoded(halves()), max_pixels=128).size == (16, 8)
    with pytest.raises(TooLargeError, match=r"has 16 x 8 pixels, 0 megapixels, and at most 0\.000127 are allowed"):
        read_picture(encoded(halves()), max_pixels=127)
    assert size_of(encoded(halves(), "WEBP")) == (16, 8)


# Masks


def holed(mode: str = "L") -> Image.Image:
    mask = Image.new("L", (8, 8))
    mask.paste(255, (2, 3, 5, 6))
    return mask.convert(mode, dither=Image.Dither.NONE)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "L"),
        ("PNG", "1"),
        ("BMP", "L"),
        ("BMP", "1"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("JPEG", "L"),
        ("TIFF", "1"),
    ],
)
def test_white_is_the_hole_of_an_opaque_mask(kind: str, mode: str, tmp_path: Path) -> None:
    (tmp_path / "mask").write_bytes(encoded(holed(mode), kind, lossless=True, quality=95))
    for source in (tmp_path / "mask", str(tmp_path / "mask"), (tmp_path / "mask").read_bytes(), holed(mode)):
        assert read_mask(source).tobytes() == holed().tobytes()


@pytest.mark.parametrize("beneath", ["white", "black"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_is_the_hole_of_any_other_whatever_lies_beneath(mode: str, beneath: str) -> None:
    mask = Image.new("RGB", (8, 8), beneath).convert("RGBA")
    mask.putalpha(holed().point(lambda level: 255 - level))
    assert read_mask(encoded(mask.convert(mode))).tobytes() == holed().tobytes()


@pytest.mark.parametrize(
    ("level", "told"), [(0, "The mask has no hole: make it transp"), (255, "The mask covers the whole")]
)
def test_a_mask_without_a_hole_or_a_rim_is_refused(level: int, told: str) -> None:
    with pytest.raises(PictureError, match=told):
        read_mask(Image.new("L", (8, 8), level))
    opaque = Image.new("RGBA", (8, 8), (0, 0, 0, 255 - level))
    with pytest.raises(PictureError, match=told):
        read_mask(opaque)
