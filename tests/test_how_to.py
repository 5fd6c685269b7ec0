"""The pages on adding something of one's own: what they say is done in a copy of the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Trainings too short to learn anything, whose models pass.
SHORT = "[data]\npicture_size = 16\n" + (REPOSITORY / "tests/tfx_pipeline/tiny.toml").read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Triples of (language, title, code), in the order of a page."""
    return BLOCK.findall((REPOSITORY / "docs/how-to" / page).read_text(encoding="utf-8"))


def titled(page: str, title: str) -> str:
    """The one block with a title."""
    (code,) = (code for _, name, code in blocks(page) if name == title)
    return code


def commands(page: str) -> list[str]:
    """The blocks of shell commands."""
    return [code for language, _, code in blocks(page) if language == "sh"]


@dataclass(frozen=True)
class Checkout:
    """A copy of the packages, which a test may change."""

    folder: Path

    def insert(self, file: str, code: str, *, before: str) -> None:
        """Put code before a line that occurs once."""
        path = self.folder / file
        head, line, tail = path.read_text(encoding="utf-8").partition(before)
        assert line and before not in tail, f"{file} no longer has the line {before!r}"
        path.write_text(head + code + line + tail, encoding="utf-8")

    def settings(self, title: str, code: str) -> None:
        """Write a file of settings, with short trainings beneath what it says."""
        (section,) = re.findall(r"^\[(\w+)\]$", code, re.MULTILINE)
        values = code.partition("]\n")[2]
        lines = [line for line in SHORT.splitlines() if line.partition(" =")[0] not in values]
        short = "\n".join(lines).replace(f"[{section}]\n", f"[{section}]\n{values}")
        (self.folder / title).write_text(short, encoding="utf-8")

    def run(self, code: str) -> str:
        """Run shell commands with the `easel` and the Python of this checkout; all of them must succeed."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "easel").write_text(f'#!/bin/sh\nexec {sys.executable} -m easel "$@"\n', encoding="utf-8")
        (programs / "easel").chmod(0o755)
        path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "PYTHONPATH": str(self.folder)}
        command = ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for package in ("easel", "models", "serving", "tfx_pipeline"):
        shutil.copytree(REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return Checkout(tmp_path)


def smaller(code: str) -> str:
    """Commands that draw fewer and smaller pictures."""
    assert "--count 3000 --size 64" in code
    return code.replace("--count 3000 --size 64", "--count 200 --size 32")


def test_the_network_of_the_page_is_the_one_that_the_tests_run() -> None:
    assert titled("network.md", "toy_network.py") == (REPOSITORY / "tests/models/toy_network.py").read_text("utf-8")


@pytest.mark.slow
def test_a_network_of_ones_own_is_added_as_the_page_says(checkout: Checkout) -> None:
    (checkout.folder / "toy_network.py").write_text(titled("network.md", "toy_network.py"), encoding="utf-8")
    table = checkout.folder / "models/learning/networks.py"
    kept = re.sub(r"^NETWORKS = .*\n", "", table.read_text(encoding="utf-8"), flags=re.MULTILINE)
    table.write_text(kept + titled("network.md", "models/learning/networks.py"), encoding="utf-8")
    checkout.settings("toy.toml", titled("network.md", "toy.toml"))
    train, test = commands("network.md")
    checkout.run(smaller(train))
    assert (checkout.folder / "toy.png").read_bytes().startswith(b"\x89PNG")
    assert [file for file in test.split() if file.endswith(".py") and not (REPOSITORY / file).is_file()] == []


@pytest.mark.slow
def test_a_metric_is_added_as_the_page_says(checkout: Checkout) -> None:
    functions = checkout.folder / "models/metrics.py"
    added = (
        functions.read_text("utf-8") + "\n\n" + titled("metric.md", functions.relative_to(checkout.folder).as_posix())
    )
    functions.write_text(added, encoding="utf-8")
    table, settings = "tfx_pipeline/judging/metrics.py", "tfx_pipeline/config.py"
    checkout.insert(table, titled("metric.md", table), before="OF_DRAWINGS = (\n")
    checkout.insert(settings, titled("metric.md", settings), before="    psnr_drop: Annotated")
    checkout.settings("strict.toml", titled("metric.md", "strict.toml"))
    (run,) = commands("metric.md")
    said = checkout.run(smaller(run))
    assert "exit code 3" in said
    assert re.search(r"restorer not blessed: mean absolute error [\d.]+ grey levels > 0\.50?", said), said
    shown = json.loads(checkout.run("easel runs --root work/metric show latest --json 2>/dev/null"))
    assert all("mae" in shown["metrics"][model]["all"] for model in ("generator", "restorer"))


def few(code: str) -> str:
    """Commands that draw few and small pictures, below the working folder."""
    return re.sub(r"--count \d+ --size \d+", "--count 300 --size 16", code).replace("/tmp/", "")


def test_a_thing_is_added_to_the_storybook_as_the_page_says(checkout: Checkout) -> None:
    storybook = checkout.folder / "tfx_pipeline/datasets/storybook"
    for variant, drawing in (("sitting", "grazing"), ("climbing", "stomping")):
        shutil.copy(storybook / f"demo/dinosaur-{drawing}.svg", storybook / f"things/squirrel-{variant}.svg")
    (facts,) = (code for language, _, code in blocks("storybook.md") if language == "toml")
    with (storybook / "things/animals.toml").open("a", encoding="utf-8") as table:
        table.write(facts)
    look = next(code for code in commands("storybook.md") if "grep squirrel" in code)
    assert "squirrel" in checkout.run(few(look.partition("\n")[2]))


def test_a_folder_of_things_is_drawn_as_the_page_says(checkout: Checkout) -> None:
    shutil.copytree(checkout.folder / "tfx_pipeline/datasets/storybook/demo", checkout.folder / "my-things")
    (teach,) = (code for code in commands("storybook.md") if "--things my-things" in code)
    draw, train = teach.splitlines()
    checkout.run(few(draw))
    captions = (checkout.folder / "data/mine/metadata.jsonl").read_text(encoding="utf-8")
    assert captions.count("dinosaur") >= 150
    assert train == "easel run --data data/mine --start pretrained"  # What tests/end_to_end/test_start.py runs.
