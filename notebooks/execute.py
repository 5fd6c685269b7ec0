"""Execute the notebooks and write their outputs back: `make notebooks`, or `python -m notebooks.execute 01 07`."""

import base64
import io
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parent
PICTURES = ("image/png", "image/jpeg")
LOG = re.compile(r"^(?:WARNING: All log messages before absl|[IW]\d{4} ).*$", re.MULTILINE)
"""What TensorFlow logs before a program can tell it not to."""
TIMEOUT = 1800
"""Seconds that a cell may take."""


def executed(file: Path, **settings: str) -> NotebookNode:
    """A notebook with the outputs of an execution, in the form in which they are committed.

    It runs in a temporary folder, which also takes its temporary files, so nothing on this machine but the checkout
    can change what it shows.

    Args:
        file: The notebook.
        settings: Environment variables, which make it shorter or name trained models.

    Raises:
        CellExecutionError: If a cell fails.
    """
    notebook = nbformat.read(file, as_version=4)
    metadata = notebook.metadata.copy()
    with TemporaryDirectory() as folder, patch.dict(os.environ, environment(folder, settings)):
        NotebookClient(
            notebook,
            timeout=TIMEOUT,
            resources={"metadata": {"path": folder}},
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR"],
            record_timing=False,
        ).execute()
    notebook.metadata = metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [tidied(output) for output in cell.outputs if is_shown(output)]
    return notebook


def environment(folder: str, settings: dict[str, str]) -> dict[str, str]:
    """What a kernel finds in its environment: this checkout, a folder for temporary files, and settings."""
    return {"PYTHONPATH": str(FOLDER.parent), "TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "3", **settings}


def is_shown(output: NotebookNode) -> bool:
    """Whether an output says anything to a reader: a widget needs a kernel, and TensorFlow logs which devices it found."""
    if output.output_type == "stream":
        return output.name != "stderr" or bool(LOG.sub("", output.text).strip())
    return not any("widget" in kind for kind in output.get("data", {}))


def tidied(output: NotebookNode) -> NotebookNode:
    """The same output, its picture in as few bytes as PNG or JPEG takes."""
    data = output.get("data", {})
    encoded = next((data[kind] for kind in PICTURES if kind in data), None)
    if encoded is not None:
        kind, content = compressed(base64.b64decode(encoded))
        output["data"] = {name: value for name, value in data.items() if name not in PICTURES}
        output["data"][kind] = base64.b64encode(content).decode()
    return output


def compressed(content: bytes) -> tuple[str, bytes]:
    """A picture as PNG of 256 colours or as JPEG, whichever is smaller, and its kind."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    png, jpeg = io.BytesIO(), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(png, "png", optimize=True)
    picture.save(jpeg, "jpeg", quality=75, optimize=True)
    return min((PICTURES[0], png.getvalue()), (PICTURES[1], jpeg.getvalue()), key=lambda pair: len(pair[1]))


def main(names: list[str]) -> None:
    """Execute the notebooks whose names begin with one of `names`, or all of them."""
    for file in sorted(FOLDER.glob("*.ipynb")):
        if file.name.startswith(tuple(names) or ""):
            print(f"Executing {file.name}.")
            nbformat.write(executed(file), file)


if __name__ == "__main__":
    main(sys.argv[1:])
