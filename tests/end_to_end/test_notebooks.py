"""The notebooks, executed, and compared with the outputs that are committed."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from PIL import Image

from notebooks.execute import FOLDER, executed

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
QUICK = "02"
# Long trainings are shorter here: their outputs vary anyway.
SHORTER = {"04_the_gan_watched_live": {"EASEL_STEPS": "80"}, "08_the_generators_compared": {"EASEL_STEPS": "40"}}
# The tag of cells that show times, or what a training made: rounding differs between processors, and every step adds
# to the difference. Their words and the sizes of their pictures are compared, those of others to the number and pixel.
VARIES = "varies"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|var|work|Users)/")
ESCAPE = "\x1b"
"""Begins the colours of a progress bar."""
LARGEST = 300_000


def code_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_committed_with_clean_outputs(file: Path) -> None:
    cells = code_cells(nbformat.read(file, as_version=4))
    outputs = [output for cell in cells.values() for output in cell.outputs]
    assert [cell.execution_count for cell in cells.values()] == list(range(1, len(cells) + 1))
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    texts = [text for output in outputs for text in (text_of(output), output.get("data", {}).get("text/html", ""))]
    assert [text for text in texts if ABSOLUTE_PATH.search(text) or ESCAPE in text] == []
    assert sum(picture_of(output) is not None for output in outputs) >= 3
    assert file.stat().st_size < LARGEST


@pytest.mark.parametrize(
    "file",
    [file if file.stem.startswith(QUICK) else pytest.param(file, marks=pytest.mark.slow) for file in NOTEBOOKS],
    ids=lambda file: file.stem,
)
def test_a_notebook_shows_what_is_committed(file: Path) -> None:
    committed = code_cells(nbformat.read(file, as_version=4))
    again = code_cells(executed(file, **SHORTER.get(file.stem, {})))
    found = {name: list(differences(cell, again[name])) for name, cell in committed.items()}
    assert {name: each for name, each in found.items() if each} == {}, "After a change, run `make notebooks`."


def differences(committed: NotebookNode, again: NotebookNode) -> Iterator[str]:
    """How the outputs of two executions of a cell differ, as far as they must not."""
    varies = VARIES in committed.metadata.get("tags", ())
    if kinds(committed) != kinds(again):
        yield f"outputs: {kinds(committed)}, then {kinds(again)}"
        return
    for first, second in zip(committed.outputs, again.outputs, strict=True):
        before, after = text_of(first), text_of(second)
        if words(before) != words(after) or not (varies or close(before, after)):
            yield f"text: {before!r}, then {after!r}"
        if not same(picture_of(first), picture_of(second), size_alone=varies):
            yield "another picture"


def kinds(cell: NotebookNode) -> list[set[str]]:
    """What each output of a cell consists of; PNG and JPEG count as one, since the smaller one is kept."""
    return [
        {output.get("name", "")} | {re.sub("(?<=image/).*", "any", kind) for kind in output.get("data", {})}
        for output in cell.outputs
    ]


def text_of(output: NotebookNode) -> str:
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def words(text: str) -> list[str]:
    """A text without its numbers and the spaces that align them."""
    return NUMBER.sub("#", text).split()


def close(before: str, after: str) -> bool:
    """Whether the numbers in two texts are equal up to rounding."""
    numbers = (list(map(float, NUMBER.findall(text))) for text in (before, after))
    return next(numbers) == pytest.approx(next(numbers), rel=0.02, abs=0.02)


def picture_of(output: NotebookNode) -> np.ndarray | None:
    """The picture that an output shows, uint8[h, w, 3]."""
    encoded = [content for kind, content in output.get("data", {}).items() if kind.startswith("image/")]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[0]))).convert("RGB")) if encoded else None


def same(first: np.ndarray | None, second: np.ndarray | None, *, size_alone: bool) -> bool:
    """Whether two pictures have about the same size and, unless it is the size alone that counts, the same pixels.

    A plot is cut to its labels, whose width may differ by a few pixels. Rounding and JPEG change pixels by a few grey
    levels, a digit in a label changes a few pixels by more; another drawing, or a shifted curve, changes over 1%.
    """
    if first is None or second is None:
        return first is second
    if np.abs(np.subtract(first.shape, second.shape)).max() > (40 if size_alone else 3):
        return False
    height, width, _ = np.minimum(first.shape, second.shape)
    distance = np.abs(first[:height, :width].astype(int) - second[:height, :width]).max(axis=-1)
    return size_alone or float((distance > 32).mean()) < 0.01


# What the comparison notices


def cell(*outputs: NotebookNode, tags: tuple[str, ...] = ()) -> NotebookNode:
    return nbformat.v4.new_code_cell(outputs=list(outputs), metadata={"tags": list(tags)})


def printed(text: str) -> NotebookNode:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def drawn(pixels: np.ndarray) -> NotebookNode:
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "png")
    data = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": "<Figure>"}
    return nbformat.v4.new_output("display_data", data=data)


GREY = np.full([40, 60, 3], 128, np.uint8)
SQUARE = np.pad(np.full([5, 5, 3], 255, np.uint8), [(0, 35), (0, 55), (0, 0)])


@pytest.mark.parametrize(
    ("first", "second", "tags", "expected"),
    [
        (printed("1.00 dB"), printed("1.01 dB"), (), 0),
        (printed("1.00 dB"), printed("9.00 dB"), (), 1),
        (printed("1.00 dB"), printed("9.00 dB"), (VARIES,), 0),
        (printed("1.00 dB"), printed("1.00 nats"), (VARIES,), 1),
        (printed("1 dB"), printed("1 dB, 2 dB"), (), 1),
        (printed("1 dB"), drawn(GREY), (VARIES,), 1),
        (drawn(GREY), drawn(GREY + 5), (), 0),
        (drawn(GREY), drawn(np.where(SQUARE, SQUARE, GREY)), (), 1),
        (drawn(GREY), drawn(np.where(SQUARE, SQUARE, GREY)), (VARIES,), 0),
        (drawn(GREY), drawn(np.tile(GREY, (2, 2, 1))), (VARIES,), 1),
    ],
)
def test_the_comparison_notices_other_outputs(
    first: NotebookNode, second: NotebookNode, tags: tuple[str, ...], expected: int
) -> None:
    assert len(list(differences(cell(first, tags=tags), cell(second)))) == expected


def test_the_comparison_notices_a_missing_output() -> None:
    assert len(list(differences(cell(printed("1"), drawn(GREY)), cell(printed("1"))))) == 1
