from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.folders import FolderError
from tfx_pipeline.datasets.emoji import CLDR, FONT, PACKAGES, EmojiSummary, write_emoji
from tfx_pipeline.datasets.entries import DataSetError, Entry
from tfx_pipeline.datasets.folder import read_folder

needs_font = pytest.mark.skipif(not FONT.exists(), reason=f"Install the Debian package {PACKAGES[0]}.")
needs_names = pytest.mark.skipif(not CLDR.exists(), reason=f"Install the Debian package {PACKAGES[1]}.")

NAMES = {
    "en": {"\U0001f600": "grinning face", "\U0001f44b\U0001f3fd": "waving hand: medium skin tone", "‽": "interrobang"},
    "zh": {"\U0001f600": "嘿嘿", "\U0001f44b\U0001f3fd": "挥手: 中等肤色", "‽": "疑问惊叹号"},
}
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
UNJOINED = "\U0001f600\u200d\U0001f680"


def annotations(path: Path, names: dict[str, str]) -> None:
    told = "".join(
        f'<annotation cp="{e}">x | y</annotation><annotation cp="{e}" type="tts">{n}</annotation>'
        for e, n in names.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<ldml><annotations>{told}</annotations></ldml>", "utf-8")


@pytest.fixture
def cldr(tmp_path: Path) -> Path:
    """A CLDR of four names: three plain ones, of which the font lacks one, and one of the derived."""
    root = tmp_path / "cldr"
    for language, names in NAMES.items():
        annotations(root / f"annotations/{language}.xml", names)
        annotations(root / f"annotationsDerived/{language}.xml", {FAMILY: f"family in {language}", UNJOINED: "nothing"})
    return root


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("<ldml>")])
def test_missing_names_are_told_with_their_packages(
    tmp_path: Path, cldr: Path, spoil: Callable[[Path], object]
) -> None:
    spoil(cldr / "annotations/zh.xml")
    with pytest.raises(DataSetError) as caught:
        write_emoji(tmp_path / "out", size=32, cldr=cldr)
    assert str(caught.value) == (
        f"{cldr}/annotations/zh.xml is missing or damaged; "
        "install it with: sudo apt-get install fonts-noto-color-emoji unicode-cldr-core"
    )
    assert not (tmp_path / "out").exists()


def test_a_missing_font_is_told_with_its_packages(tmp_path: Path, cldr: Path) -> None:
    with pytest.raises(DataSetError, match=r"no\.ttf is missing or damaged; install it with: sudo apt-get install fon"):
        write_emoji(tmp_path / "out", size=32, cldr=cldr, font=tmp_path / "no.ttf")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [0, 15, 513])
def test_a_size_out_of_range_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(DataSetError, match=f"The size is {size} pixels, and must be 16 to 512"):
        write_emoji(tmp_path / "out", size=size)


@needs_font
def test_only_what_the_font_can_draw_becomes_a_picture(tmp_path: Path, cldr: Path) -> None:
    told: list[tuple[str, int, int]] = []
    summary = write_emoji(tmp_path / "out", size=24, cldr=cldr, progress=lambda *step: told.append(step))
    assert summary.count in (1, 2)  # without libraqm nothing is joined, and the family falls apart
    reading = read_folder(tmp_path / "out")
    assert reading.quarantined == ()
    assert reading.entries[0] == Entry("images/1f600.png", "grinning face", "嘿嘿", {"emoji": "\U0001f600"}, False)
    assert "nothing" not in {entry.text for entry in reading.entries}
    assert told == [("drawing emoji", 4, 4)]


@needs_font
def test_skin_tones_are_drawn_on_request(tmp_path: Path, cldr: Path) -> None:
    without = write_emoji(tmp_path / "without", size=16, cldr=cldr)
    with_tones = write_emoji(tmp_path / "with", size=16, cldr=cldr, skin_tones=True)
    assert with_tones.count >= without.count
    assert "\U0001f3fd" not in (tmp_path / "without/metadata.jsonl").read_text("utf-8")


@needs_font
def test_a_grinning_face_is_yellow_on_white(tmp_path: Path, cldr: Path) -> None:
    write_emoji(tmp_path / "out", size=64, cldr=cldr)
    face = np.asarray(Image.open(tmp_path / "out/images/1f600.png"))
    assert face.shape == (64, 64, 3)
    assert face[0, 0].tolist() == [255, 255, 255]
    red, green, blue = face[10, 32].tolist()
    assert red > 200 and green > 150 and blue < 120


@needs_font
def test_a_full_folder_is_refused_before_it_is_touched(tmp_path: Path, cldr: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(FolderError, match="is not empty"):
        write_emoji(tmp_path, size=16, cldr=cldr)


@needs_font
@needs_names
def test_the_whole_set_has_both_names_and_withholds_a_tenth(tmp_path: Path) -> None:
    summary = write_emoji(tmp_path / "out", size=16)
    entries = read_folder(tmp_path / "out").entries
    assert summary == EmojiSummary(len(entries), sum(entry.withheld for entry in entries))
    assert summary.count > 1000
    assert 0.07 < summary.withheld / summary.count < 0.13
    assert all(entry.text and entry.text_zh and entry.attributes["emoji"] for entry in entries)
    assert len({entry.text for entry in entries}) == len(entries)
