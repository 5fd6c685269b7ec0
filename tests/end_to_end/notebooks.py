"""The notebooks as a person runs them, from the first cell to the last."""

import os
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
ON_WHAT_WAS_PUSHED = ("01_from_prompt_to_picture", "07_serving_clients")


def pictures_of(name: str, **settings: str) -> int:
    """Run a notebook with settings in its environment, and count the pictures that it shows.

    Raises:
        CellExecutionError: If a cell fails.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    with patch.dict(os.environ, settings):
        NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)
