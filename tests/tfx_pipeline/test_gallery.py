import numpy as np

from tfx_pipeline.judging.gallery import SHOWN, Exhibits, contact_sheet


def test_a_contact_sheet_has_the_real_pictures_above_what_was_made_of_them() -> None:
    shades = {"truth": 30, "candidate": 60, "baseline": 90}
    pictures = {name: np.full((20, 16, 16, 3), shade, np.uint8) for name, shade in shades.items()}
    pictures["candidate"][1] = 200
    sheet = contact_sheet(Exhibits(captions=np.array(["a"] * 20), **pictures))
    assert sheet.shape == (3 * 96, SHOWN * 96, 3)
    assert sheet[::96, ::96, 0].tolist() == [[30] * 8, [60, 200, *[60] * 6], [90] * 8]


def test_large_pictures_keep_their_size() -> None:
    pictures = np.zeros((2, 128, 128, 3), np.uint8)
    assert contact_sheet(Exhibits(np.array(["a", "b"]), pictures, pictures, pictures)).shape == (3 * 128, 2 * 128, 3)
