"""What CI must not pass over: tests that are skipped where something could have been installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="Install Chromium.")
def test_marked() -> None: ...

def test_in_its_middle() -> None:
    pytest.skip("Install Chromium.")

@pytest.mark.skipif(True, reason="Only root may.")
def test_elsewhere() -> None: ...
"""


@pytest.mark.parametrize(
    ("options", "summary"), [([], "3 skipped"), (["--all-installed"], "1 failed, 1 skipped, 1 error")]
)
def test_what_could_be_installed_is_not_skipped(tmp_path: Path, options: list[str], summary: str) -> None:
    (tmp_path / "test_skipped.py").write_text(SKIPPED, encoding="utf-8")
    (tmp_path / "pytest.ini").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-q", str(tmp_path), *options]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert summary in done.stdout, done.stdout + done.stderr
