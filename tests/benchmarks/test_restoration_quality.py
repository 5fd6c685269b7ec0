import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import restoration
from benchmarks.quality.restoration import (
    SIGMA,
    Recipe,
    bicubic,
    denoising_psnr,
    enlarging_psnr,
    hole_psnr,
    inpainting_gain,
    luma,
    main,
    measure_shipped,
    random_holes,
    telea,
)
from models.restorer import Restorer

KEYS = {"set12_sigma25_psnr", "set5_x2_psnr", "inpaint_gain_db", "training_minutes"}


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """Waves of a few directions, so that there is something to learn."""
    random = np.random.default_rng(seed)
    y, x = np.indices((height, width))[..., None] / 12
    waves = [np.sin(a * x + b * y + c) for a, b, c in random.uniform(-1, 1, (4, 3, 3))]
    return np.clip(np.rint(128 + 30 * sum(waves)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for name, count, (height, width) in (("train", 3, (70, 80)), ("Set12", 1, (64, 64)), ("Set5", 2, (61, 70))):
        (root / name).mkdir()
        for seed in range(count):
            Image.fromarray(photograph(height, width, seed)).save(root / name / f"{seed}.png")
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        restoration, "CPU", Recipe({"widths": (8, 8), "depth": 1}, batch=4, phases=((3e-3, 2), (1e-3, 2)))
    )


@pytest.fixture(scope="module")
def fresh() -> Restorer:
    return Restorer(widths=(8, 8), depth=1)


@pytest.mark.slow
def test_a_measurement_has_its_rows_and_its_time(
    photos: Path, small: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2", reason="Install opencv-python-headless.")
    arguments = ["restoration", "--photos", str(photos), "--minutes", "1"]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert rows.keys() == KEYS
    assert 10 < rows["set12_sigma25_psnr"] < 50 and 10 < rows["set5_x2_psnr"] < 60
    assert np.isfinite(rows["inpaint_gain_db"]) and 0 < rows["training_minutes"] < 5


def test_a_missing_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["restoration", "--photos", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.strip().endswith("train holds no pictures: put BMP, JPEG or PNG files there.")


def test_shipped_weights_are_scored_without_training(photos: Path, fresh: Restorer, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    fresh.save(tmp_path / "restorer.keras")
    first, again = (measure_shipped(photos, tmp_path, seed=3) for _ in range(2))
    took = [figures.pop("shipped_512_s") for figures in (first, again)]
    assert first == again and min(took) > 0
    assert set(first) == {"shipped_set12_sigma25_psnr", "shipped_set5_x2_psnr", "shipped_inpaint_gain_db"}
    assert first["shipped_set12_sigma25_psnr"] == pytest.approx(20 * np.log10(255 / SIGMA), abs=0.5)


def test_a_restorer_that_does_nothing_leaves_the_noise(fresh: Restorer) -> None:
    middle = np.full((200, 200, 3), 128, np.uint8)
    value = denoising_psnr(fresh, middle, np.random.default_rng(0))
    assert value == pytest.approx(20 * np.log10(255 / SIGMA), abs=0.1)


def test_the_seed_decides_noise_and_holes(fresh: Restorer) -> None:
    picture = photograph(64, 64, 0)
    values = [denoising_psnr(fresh, picture, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
    masks = [random_holes(64, 90, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert masks[0].shape == (64, 90) and np.array_equal(*masks[:2]) and not np.array_equal(*masks[1:])


def test_holes_cover_a_part_of_the_picture() -> None:
    shares = [random_holes(256, 256, np.random.default_rng(seed)).mean() for seed in range(10)]
    assert min(shares) > 0.08 and max(shares) < 0.3


def test_smooth_pictures_survive_being_halved_and_doubled() -> None:
    smooth = photograph(81, 71, 0)
    assert enlarging_psnr(bicubic, smooth) > 40
    blank = enlarging_psnr(lambda small: np.zeros((2 * small.shape[0], 2 * small.shape[1], 3), np.uint8), smooth)
    assert blank < 20


def test_luma_is_matlabs() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    np.testing.assert_allclose(luma(colours)[0, :, 0], [16, 235, 81.481], atol=1e-3)


def test_the_psnr_of_holes_leaves_the_rest_out() -> None:
    picture, mask = photograph(32, 32, 0), np.zeros((32, 32), bool)
    mask[4:8, 4:8] = True
    outside, inside = picture.copy(), picture.copy()
    outside[~mask] ^= 255
    inside[mask] = np.where(inside[mask] < 128, inside[mask] + 10, inside[mask] - 10)
    assert hole_psnr(outside, picture, mask) == 100
    assert hole_psnr(inside, picture, mask) == pytest.approx(20 * np.log10(25.5), abs=1e-3)


def test_telea_changes_holes_alone_and_its_gain_over_itself_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2", reason="Install opencv-python-headless.")
    picture = photograph(64, 64, 0)
    mask = random_holes(64, 64, np.random.default_rng(0))
    np.testing.assert_array_equal(telea(picture, mask)[~mask], picture[~mask])
    restorer = Restorer(widths=(8, 8), depth=1)
    monkeypatch.setattr(restorer, "restore", lambda picture, mask, **_: telea(picture, mask))
    assert inpainting_gain(restorer, picture, np.random.default_rng(0)) == 0


def test_without_opencv_the_row_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="The inpainting row needs OpenCV: pip install opencv-python-headless"):
        telea(photograph(16, 16, 0), np.zeros((16, 16), bool))
