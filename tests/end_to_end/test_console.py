"""How commands talk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from easel.console import failing, say_next, short

REPOSITORY = Path(__file__).parents[2]


def put_script(folder: Path) -> Path:
    folder.mkdir()
    script = folder / "easel"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_the_next_command_is_called_as_this_one_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = put_script(tmp_path / "bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(script), "data"])
    monkeypatch.setenv("PATH", os.defpath)
    say_next("easel run --data 'easel pictures'", "easel report")
    monkeypatch.setenv("PATH", str(script.parent))
    say_next("easel report")
    assert capsys.readouterr().out == (
        "Next: bin/easel run --data 'easel pictures', then: bin/easel report\nNext: easel report\n"
    )


def test_a_missing_file_is_named_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), failing("serving"):
        (tmp_path / "broken.png").read_bytes()
    assert capsys.readouterr().err == f"{tmp_path}/broken.png: No such file or directory.\n"


def test_the_benchmarks_are_missing_outside_of_a_checkout(tmp_path: Path) -> None:
    """The rooms of the wheel alone, without the path of the checkout that site adds."""
    for room in ("easel", "models", "serving", "tfx_pipeline"):
        (tmp_path / room).symlink_to(REPOSITORY / room)
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from easel.cli import main; main()", "bench", "pipeline"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{packages}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        1,
        "The benchmarks are not part of the installed package: run `easel bench` in a checkout.\n",
    )


def test_a_long_text_is_cut_where_a_person_reads_it() -> None:
    assert short("a red circle") == "a red circle"
    assert short("红" * 301) == "红" * 300 + "…"
