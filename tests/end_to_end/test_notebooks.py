from pathlib import Path

import nbformat
import pytest

from notebooks import FOLDER, ON_WHAT_WAS_PUSHED, pictures_of

SMALL = {
    "02_the_data": {"EASEL_PICTURES": "200"},
    "03_the_language_model": {"EASEL_STEPS": "60"},
    "04_the_gan_watched_live": {"EASEL_STEPS": "80"},
    "05_restoration": {"EASEL_PICTURES": "12"},
    "06_the_pipeline_step_by_step": {"EASEL_STEPS": "40", "EASEL_PICTURES": "200"},
}
QUICK = ("02_the_data", "05_restoration")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_notebook_is_kept_without_outputs(file: Path) -> None:
    cells = nbformat.read(file, as_version=4).cells
    assert [cell.id for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_every_notebook_is_run_by_some_test() -> None:
    assert {file.stem for file in FOLDER.glob("*.ipynb")} == {*SMALL, *ON_WHAT_WAS_PUSHED}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]
)
def test_a_notebook_needs_nothing_but_itself(name: str) -> None:
    assert pictures_of(name, **SMALL[name]) >= 3
