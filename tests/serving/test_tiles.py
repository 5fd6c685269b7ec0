import numpy as np
import pytest
from numpy.typing import NDArray

from serving.tiles import MARGIN, STRIDE, TILE, spans, tiled

Planes = NDArray[np.float32]


def blurred(part: Planes) -> Planes:
    """Sums over all pixels up to 2 away."""
    padded = np.pad(part[..., :3], [(2, 2), (2, 2), (0, 0)])
    height, width = part.shape[:2]
    return sum(padded[y : y + height, x : x + width] for y in range(5) for x in range(5))


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(
    ("length", "tile", "margin"),
    [(8, 16, 4), (16, 16, 4), (17, 16, 4), (101, 32, 8), (64, 32, 12), (3001, TILE, MARGIN)],
)
def test_tiles_cover_a_side_once_and_see_what_influences_them(length: int, tile: int, margin: int, stride: int) -> None:
    kept = [at for start, end, _, _ in spans(length, tile, margin, stride) for at in range(start, end)]
    assert kept == list(range(length))
    for start, end, first, last in spans(length, tile, margin, stride):
        assert first % stride == 0
        assert last - first <= tile
        assert first <= max(start - margin, 0)
        assert last >= min(end + margin, length)


def test_the_networks_of_a_picture_larger_than_a_tile_leave_no_seam() -> None:
    planes = np.random.default_rng(0).random((70, 45, 4), np.float32)
    np.testing.assert_allclose(tiled(blurred, planes, tile=16, margin=4), blurred(planes), rtol=1e-5)


def test_too_narrow_a_margin_would_show_seams() -> None:
    planes = np.random.default_rng(0).random((70, 45, 3), np.float32)
    assert abs(tiled(blurred, planes, tile=16, margin=0) - blurred(planes)).max() > 0.1


@pytest.mark.parametrize(("height", "width"), [(600, 600), (1000, 580), (3000, 4000)])
def test_what_a_network_gets_does_not_grow_with_the_picture(height: int, width: int) -> None:
    seen: list[tuple[int, ...]] = []

    def watched(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen.append(part.shape)
        return part

    told: list[tuple[int, int]] = []
    picture = np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width))
    out = tiled(watched, picture, advance=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(out, picture)
    assert max(max(shape) for shape in seen) <= TILE
    kept = TILE - 2 * MARGIN
    assert len(seen) == -(-height // kept) * -(-width // kept)
    assert told == [(done, len(seen)) for done in range(1, len(seen) + 1)]


def test_a_picture_within_a_tile_passes_in_one_piece() -> None:
    seen = []
    tiled(lambda part: seen.append(part.shape) or part, np.zeros((TILE, 40, 3)))
    assert seen == [(TILE, 40, 3)]


def test_enlarged_tiles_make_the_enlarged_whole() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 37, 3))

    def doubled(part: NDArray[np.int64]) -> NDArray[np.int64]:
        return part.repeat(2, axis=0).repeat(2, axis=1)

    np.testing.assert_array_equal(tiled(doubled, picture, tile=16, margin=4, scale=2), doubled(picture))


def test_tiles_are_those_of_the_models() -> None:
    from models import restorer, restorer_network
    from models.pretrained import load_restorer

    assert (restorer.TILE, restorer_network.STRIDE) == (TILE, STRIDE)
    assert load_restorer().reach == MARGIN
