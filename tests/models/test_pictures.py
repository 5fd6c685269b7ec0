import numpy as np
import pytest
import tensorflow as tf
from odd_pictures import encoded
from PIL import Image
from tiny_models import pictures

from models.pictures import decode, decode_mask, decode_squares, encode_png, square
from models.tensors import to_float, to_uint8


def test_every_grey_level_survives_the_way_to_float_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    floats = to_float(levels).numpy()
    assert (floats[0], floats[-1]) == (-1.0, 1.0)
    np.testing.assert_array_equal(to_uint8(floats), levels)


def test_values_outside_are_clipped() -> None:
    assert to_uint8(tf.constant([-7.0, -1.0, 0.0, 1.0, 7.0])).numpy().tolist() == [0, 0, 128, 255, 255]


def test_png_is_lossless() -> None:
    drawn = pictures(3)
    encoded = encode_png(tf.constant(drawn))
    assert encoded.shape == (3,)
    for picture, png in zip(drawn, encoded.numpy(), strict=True):
        assert png.startswith(b"\x89PNG")
        np.testing.assert_array_equal(decode(png), picture)


def test_grey_and_transparent_pictures_decode_to_rgb() -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    np.testing.assert_array_equal(decode(tf.io.encode_png(grey)), np.repeat(grey, 3, axis=2))
    assert decode(tf.io.encode_png(np.full((8, 8, 4), 9, np.uint8))).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_a_bmp_with_a_palette_is_an_error_and_one_without_is_read(mode: str) -> None:
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    assert decode(encoded(picture, "BMP")).numpy().tolist() == np.asarray(picture).tolist()
    with pytest.raises(tf.errors.InvalidArgumentError, match="a BMP with a palette, which is not read here: send it"):
        decode(encoded(picture.convert(mode), "BMP"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_masks_of_every_format_are_read(kind: str) -> None:
    mask = Image.new("RGB", (8, 8), "white")
    mask.paste((90, 130, 110), (0, 0, 8, 3))
    expected = np.ones((8, 8, 1), np.float32)
    expected[:3] = 0
    np.testing.assert_array_equal(decode_mask(encoded(mask, kind, quality=100)), expected)


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (9, 20)])
def test_square_is_the_middle(shape: tuple[int, int]) -> None:
    picture = np.zeros((*shape, 3), np.uint8)
    side, long = min(shape), max(shape)
    begin = (long - side) // 2
    picture[:, begin : begin + side] = 200
    if shape[0] > shape[1]:
        picture[:] = 0
        picture[begin : begin + side] = 200
    np.testing.assert_array_equal(square(tf.constant(picture), side), np.full((side, side, 3), 200))


def test_squares_of_any_size_share_one_batch() -> None:
    encoded = [tf.io.encode_png(np.full((h, w, 3), 77, np.uint8)) for h, w in ((5, 9), (40, 30), (16, 16))]
    squares = decode_squares(tf.stack(encoded), 16)
    assert squares.dtype == tf.uint8
    np.testing.assert_array_equal(squares, np.full((3, 16, 16, 3), 77))


def test_shrinking_averages() -> None:
    checkers = np.indices((32, 32)).sum(0)[..., None] % 2 * 255 * np.ones(3)
    shrunk = square(tf.constant(checkers.astype(np.uint8)), 8).numpy().astype(int)
    assert abs(shrunk - 127).max() <= 4
