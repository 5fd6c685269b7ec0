"""What is installed from elsewhere than a checkout: the metadata that pip reads, and the wheel."""

import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from easel import IMPORT_NAMES, console

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
UNPUBLISHED = set(PROJECT["tool"]["uv"]["sources"])

needs_hatchling = pytest.mark.skipif(not find_spec("hatchling"), reason="Install hatchling: make install-dev")


def test_extras_ask_for_nothing_that_only_uv_finds() -> None:
    asked = [Requirement(each) for listed in EXTRAS.values() for each in listed]
    names = {canonicalize_name(each.name) for each in asked}
    assert names.isdisjoint(UNPUBLISHED | {"tfx"})
    assert {extra for each in asked if each.name == "easel" for extra in each.extras} <= set(EXTRAS)


def test_what_is_not_published_is_asked_for_by_a_version_that_nobody_can_publish() -> None:
    asked = [Requirement(each) for listed in GROUPS.values() for each in listed if isinstance(each, str)]
    ours = [each for each in asked if each.name in UNPUBLISHED]
    assert {each.name for each in ours} == UNPUBLISHED
    assert [
        str(each) for each in ours if not all("+" in one.version and one.operator == "==" for one in each.specifier)
    ] == []


def test_the_command_line_knows_which_parts_are_groups() -> None:
    assert set(console.GROUPS) == set(GROUPS) - {"dev"}


@pytest.mark.parametrize(
    ("part", "in_a_checkout", "in_a_wheel"),
    [
        ("local", "install it with `.uv/bin/uv sync --frozen --inexact --extra local`", "easel[local]"),
        ("pipeline", "install it with `.uv/bin/uv sync --frozen --inexact --group pipeline`", "in a checkout"),
    ],
)
def test_a_missing_part_is_added_to_what_is_installed(
    part: str, in_a_checkout: str, in_a_wheel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert console.adding(part) == in_a_checkout
    monkeypatch.setattr(console, "INSTALLED_IN", tmp_path)
    assert in_a_wheel in console.adding(part)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*.whl")
    return ZipFile(file)


@needs_hatchling
def test_the_wheel_holds_the_packages_whole_and_nothing_else(wheel: ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    here = {
        str(file.relative_to(REPOSITORY))
        for package in IMPORT_NAMES
        for file in (REPOSITORY / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert held == here
    assert {f"{package}/py.typed" for package in IMPORT_NAMES} <= held


@needs_hatchling
def test_no_package_index_takes_the_wheel(wheel: ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    assert "Classifier: Private :: Do Not Upload" in lines
    assert [line for line in lines if line.startswith("Requires-Dist: tfx")] == []


@needs_hatchling
def test_the_wheel_works_away_from_the_checkout(wheel: ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    version = python_m_easel("--version", path=[tmp_path / "site"], cwd=tmp_path)
    assert (version.returncode, version.stdout) == (0, f"easel {PROJECT['project']['version']}\n")
    drawn = python_m_easel(
        "data", "storybook", "--out", "scenes", "--count", "2", path=[tmp_path / "site"], cwd=tmp_path
    )
    assert drawn.returncode == 0, drawn.stderr
    assert len(list((tmp_path / "scenes/images").iterdir())) == 2


def test_a_module_that_hides_a_package_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "models.py").touch()
    done = python_m_easel("--version", path=[tmp_path, REPOSITORY], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"`import models` finds {tmp_path}/models.py, not Easel's models: install Easel in an environment of its own.\n"
    )


def python_m_easel(*words: str, path: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-m", "easel", *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
