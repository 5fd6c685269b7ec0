"""A dataset of emoji from two Debian packages, with pictures from Noto Color Emoji and names from Unicode's CLDR.

Each of about two thousand emoji is a picture with its English and its Chinese name. A tenth is withheld by a hash of
the emoji, so that the same ones are withheld at every size and in every version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageDraw, ImageFont

from serving.folders import fresh_folder
from tfx_pipeline.datasets.cards import DataCard
from tfx_pipeline.datasets.entries import JSONL, DataSetError, Entry, write_metadata
from tfx_pipeline.datasets.folder import Progress
from tfx_pipeline.datasets.importing import IMAGES

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
CLDR = Path("/usr/share/unicode/cldr/common")
LICENCE = "OFL-1.1 (the font's pictures) and Unicode-3.0 (the names)"
PACKAGES = "fonts-noto-color-emoji", "unicode-cldr-core"
MIN_SIZE, MAX_SIZE = 16, 512

# The font is a set of bitmaps of this one size; a glyph is 136 x 128 pixels, and two in a row are at least 272 wide.
_POINTS, _SIDE, _TOP, _WIDEST = 109, 136, 4, 150
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_STEP = 64


@dataclass(frozen=True)
class EmojiSummary:
    """How many emoji were drawn, and how many of them are withheld from training."""

    count: int
    withheld: int


def write_emoji(
    out: str | Path,
    *,
    size: int,
    skin_tones: bool = False,
    font: str | Path = FONT,
    cldr: str | Path = CLDR,
    progress: Progress | None = None,
) -> EmojiSummary:
    """Draw every emoji that has a name in both languages, on white, as `images/<code points>.png`.

    Args:
      out: the folder to make; it must be empty or not exist.
      size: side of the square pictures in pixels, 16 to 512; the font's own is 136, beyond it they are enlarged.
      skin_tones: whether to draw the variants by skin tone, which double the number.
      font: the file NotoColorEmoji.ttf.
      cldr: CLDR's `common` folder, which holds `annotations` and `annotationsDerived`.
      progress: called with the number of emoji processed so far.

    Raises:
      DataSetError: `size` is out of range, or the font or the names are not installed.
      FolderError: `out` holds something.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise DataSetError(f"The size is {size} pixels, and must be {MIN_SIZE} to {MAX_SIZE}.")
    names = _names(Path(cldr), skin_tones=skin_tones)
    typeface = _typeface(Path(font))
    with fresh_folder(Path(out)) as made:
        (made / IMAGES).mkdir()
        entries = list(_draw_all(made, names, typeface, size, progress))
        write_metadata(made / JSONL, entries)
        DataCard(Path(out).name, f"Drawn with `easel data emoji --size {size}`.", LICENCE, entries).write(made)
    return EmojiSummary(len(entries), sum(entry.withheld for entry in entries))


def _draw_all(
    made: Path, names: dict[str, tuple[str, str]], font: ImageFont.FreeTypeFont, size: int, progress: Progress | None
) -> Iterator[Entry]:
    for number, (emoji, (english, chinese)) in enumerate(names.items(), start=1):
        if progress and (number % _STEP == 0 or number == len(names)):
            progress("drawing emoji", number, len(names))
        picture = _drawn(emoji, font)
        if picture is not None:
            name = f"{IMAGES}/{'-'.join(f'{ord(letter):x}' for letter in emoji)}.png"
            picture.resize((size, size), Image.Resampling.LANCZOS).save(made / name)
            yield Entry(name, english, chinese, {"emoji": emoji}, _withheld(emoji))


def _drawn(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """Draw one emoji on white; returns None if the font has no glyph for it."""
    left, top, right, _ = font.getbbox(emoji)
    if right - left > _WIDEST:  # a sequence that the font cannot join falls apart into its members, side by side
        return None
    glyph = Image.new("RGBA", (_SIDE, _SIDE))
    ImageDraw.Draw(glyph).text((-left, _TOP - top), emoji, font=font, embedded_color=True)
    if glyph.getbbox() is None:
        return None
    return Image.alpha_composite(Image.new("RGBA", glyph.size, "white"), glyph).convert("RGB")


def _withheld(emoji: str) -> bool:
    return int.from_bytes(hashlib.sha256(emoji.encode()).digest()) % 10 == 0


def _typeface(path: Path) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, _POINTS)
    except OSError as error:
        raise _not_installed(path) from error


def _names(cldr: Path, *, skin_tones: bool) -> dict[str, tuple[str, str]]:
    english, chinese = _language(cldr, "en"), _language(cldr, "zh")
    both = {emoji: (name, chinese[emoji]) for emoji, name in english.items() if emoji in chinese}
    return {emoji: pair for emoji, pair in both.items() if skin_tones or not _SKIN_TONES & set(emoji)}


def _language(cldr: Path, language: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for folder in ("annotations", "annotationsDerived"):
        path = cldr / folder / f"{language}.xml"
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise _not_installed(path) from error
        spoken = (node for node in root.iter("annotation") if node.get("type") == "tts" and node.text)
        names |= {node.get("cp", ""): (node.text or "").strip() for node in spoken}
    return names


def _not_installed(path: Path) -> DataSetError:
    return DataSetError(f"{path} is missing or damaged; install it with: sudo apt-get install {' '.join(PACKAGES)}")
