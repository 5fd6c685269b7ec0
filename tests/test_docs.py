"""The documentation: it builds, it asks for nothing from elsewhere, and its commands work."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from easel.console import DRIFTED, FAILED, NOT_BLESSED, WRONG_USE

REPOSITORY = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = (8500, 8501, 8080)
TINY = (REPOSITORY / "tests/tfx_pipeline/tiny.toml").read_text(encoding="utf-8")
(SETTINGS,) = re.findall(
    r"<<'END'\n(.*?)END\n", (REPOSITORY / "docs/tutorial.md").read_text(encoding="utf-8"), re.DOTALL
)
# With these settings, models are too small and too briefly trained to learn anything, and pass.
SHORTER = {
    "--count 3000": "--count 200",
    SETTINGS: TINY,
    r"printf '\n[thresholds]\nrestorer_ssim = 0.99\n' | cat work/tutorial/short.toml - >": (
        "sed 's/^restorer_ssim = -1/restorer_ssim = 0.99/' work/tutorial/short.toml >"
    ),
}


def blocks(file: str, language: str = "sh") -> list[tuple[str, str]]:
    """Pairs of (title, code) of a page's blocks in a language."""
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    return [(title, code) for found, title, code in BLOCK.findall(text) if found == language]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    pages = {str(page.relative_to(REPOSITORY / "docs").with_suffix("")) for page in REPOSITORY.glob("docs/**/*.md")}
    pages |= {f"notebooks/{notebook.stem}" for notebook in REPOSITORY.glob("notebooks/*.ipynb")}
    built = {str(page.relative_to(site).with_suffix("")) for page in site.rglob("*.html")} - {"404"}
    assert built == pages
    start = (site / "index.html").read_text(encoding="utf-8")
    assert [page for page in pages - {"index"} if f'href="{page}.html"' not in start] == []


def test_the_site_asks_for_nothing_from_elsewhere(site: Path) -> None:
    asking = re.compile(
        r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+rel="stylesheet"[^>]+href="https?://'
    )
    assert [page.name for page in site.rglob("*.html") if asking.search(page.read_text(encoding="utf-8"))] == []
    styles = [style.read_text(encoding="utf-8") for style in site.rglob("*.css")]
    assert [style[:80] for style in styles if re.search(r"url\(['\"]?https?:|@import", style)] == []


def test_the_pages_of_notebooks_show_their_pictures(site: Path) -> None:
    linked = {
        page.parent / picture
        for page in site.glob("notebooks/*.html")
        for picture in re.findall(r'<img alt="[^"]+" src="([^"]+)"', page.read_text(encoding="utf-8"))
    }
    assert len(linked) > 20
    assert linked == set(site.glob("notebooks/*/*.*"))


@pytest.mark.parametrize("command", ["run", "report", "models rollback", "data import"])
def test_the_reference_describes_the_commands(site: Path, command: str) -> None:
    text = (site / "reference/command-line.html").read_text(encoding="utf-8")
    assert f'<h2 id="easel-{command.replace(" ", "-")}">' in text


def test_the_chinese_readme_has_the_same_commands() -> None:
    for language in ("sh", "python"):
        assert blocks("README.zh.md", language) == blocks("README.md", language)


def messages() -> str:
    """The program's source, with strings that span several lines joined."""
    files = [
        path for room in ("easel", "models", "serving", "tfx_pipeline") for path in REPOSITORY.glob(f"{room}/**/*.py")
    ]
    source = "".join(path.read_text(encoding="utf-8") for path in [*files, REPOSITORY / "Makefile"])
    return re.sub(r'"\n\s*f?"', "", source)


def test_troubleshooting_quotes_what_the_program_says() -> None:
    page = (REPOSITORY / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    source = messages()
    assert len(quoted) > 25
    assert [words for words in quoted if any(part not in source for part in re.split(r" ?\.\.\. ?", words))] == []


def test_the_reference_names_every_exit_code() -> None:
    page = (REPOSITORY / "docs/reference/command-line.md").read_text(encoding="utf-8")
    assert {int(code) for code in re.findall(r"^\| (\d) \|", page, re.MULTILINE)} == {
        0,
        FAILED,
        WRONG_USE,
        NOT_BLESSED,
        DRIFTED,
    }


@contextmanager
def working(folder: Path, code: str) -> Iterator[None]:
    """A server that a block of the tutorial starts, from the line that says it is ready to the end of the context."""
    with subprocess.Popen(["bash", "-c", f"exec {code}"], cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout and any(line.startswith("ready:") for line in server.stdout), "the server has ended"
            yield
        finally:
            server.kill()


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def run_blocks(folder: Path, found: list[tuple[str, str]]) -> Iterator[str]:
    """Run blocks one after the other; yields what they print."""
    for number, (title, code) in enumerate(found):
        if title:
            with working(folder, code):
                yield from run_blocks(folder, found[number + 1 :])
            return
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        yield done.stdout + done.stderr


def changed(found: list[tuple[str, str]], changes: dict[str, str]) -> list[tuple[str, str]]:
    """Blocks in which some texts are others; all of these must occur."""
    assert [old for old in changes if not any(old in code for _, code in found)] == []
    for old, new in changes.items():
        found = [(title, code.replace(old, new)) for title, code in found]
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "changes",
    [pytest.param(SHORTER, marks=pytest.mark.slow, id="short"), pytest.param({}, marks=pytest.mark.soak, id="whole")],
)
def test_every_command_of_the_tutorial_works(tmp_path: Path, changes: dict[str, str]) -> None:
    assert [port for port in PORTS if answers(port)] == [], "another program listens on the tutorial's ports"
    if not shutil.which("curl"):
        pytest.skip("Install curl.")
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    told = list(run_blocks(tmp_path, changed(blocks("docs/tutorial.md"), changes)))
    assert len(told) == len(blocks("docs/tutorial.md")) - 1
    everything = "\n".join(told)
    for line in ("trained nothing: all models came from the cache", "exit code 3", "image_bytes"):
        assert line in everything
    drawn = re.findall(r"-o (\S+\.png)", "\n".join(code for _, code in blocks("docs/tutorial.md")))
    assert len(drawn) >= 3
    assert [file for file in drawn if not (tmp_path / file).is_file()] == []
