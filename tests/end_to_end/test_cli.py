import importlib.metadata
import json
import re
import shlex
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import typer
from easel_process import easel
from PIL import Image
from typer.testing import CliRunner

from easel import console, pictures
from easel.cli import app
from easel.doctor import EXTRAS

COMMANDS = (
    "doctor",
    "data",
    "demo",
    "run",
    "runs",
    "report",
    "serve",
    "studio",
    "models",
    "bench",
    "compile",
    "export",
    "generate",
    "restore",
    "inspect",
)

needs_litert = pytest.mark.skipif(not find_spec("ai_edge_litert"), reason="Install LiteRT: make install-dev")


def commands(command: click.Command, path: str = "easel") -> Iterator[tuple[str, click.Command]]:
    """Every command of the tree with its words."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


TREE = dict(commands(typer.main.get_command(app)))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("path", TREE)
def test_every_command_and_option_has_help(path: str) -> None:
    command = TREE[path]
    assert command.help
    silent = [option.name for option in command.params if option.name != "help" and not getattr(option, "help", None)]
    assert silent == []


@pytest.mark.parametrize("path", [path for path in TREE if path != "easel"])
def test_help_begins_with_a_sentence(path: str) -> None:
    words = str(TREE[path].help).split()
    assert words[0][0].isupper()
    assert str(TREE[path].help).strip().endswith(".")


def test_the_version_is_that_of_the_installed_package() -> None:
    done = easel("--version")
    assert (done.returncode, done.stdout) == (0, f"easel {importlib.metadata.version('easel')}\n")


def test_easel_alone_says_where_to_begin_with_commands_that_exist() -> None:
    done = easel()
    assert (done.returncode, done.stderr) == (0, "")
    told = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(told) == 5
    for program, *words in told:
        assert Path(program).name == "easel"
        path = max((path for path in TREE if f"easel {' '.join(words)} ".startswith(f"{path} ")), key=len)
        flags = {flag for parameter in TREE[path].params for flag in parameter.opts}
        assert path != "easel"
        assert [word for word in words if word.startswith("--") and word not in flags] == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [("easel re", ["report", "restore"]), ("easel data st", ["storybook"]), ("easel run --pro", ["--profile"])],
)
def test_a_shell_completes_commands_and_options(
    line: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_EASEL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert easel().stdout.split() == expected


def test_the_reference_explains_every_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/command-line.md").read_text(encoding="utf-8")
    explained = [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert explained == [0, console.FAILED, console.WRONG_USE, console.NOT_BLESSED, console.DRIFTED]


def test_help_lists_the_commands() -> None:
    told = CliRunner().invoke(app, ["--help"])
    assert told.exit_code == 0
    listed = [line.split()[0] for line in told.stdout.splitlines() if line.startswith("  ")]
    assert [name for name in COMMANDS if name not in listed] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("paint",),
        ("run",),
        ("run", "--data"),
        ("generate",),
        ("generate", "a", "-n", "0"),
        ("generate", "a", "--scale", "big"),
        ("generate", "a", "--temperature", "-1"),
        ("generate", "a", "-o", "a.JPG"),
        ("restore", "a.png", "--noise", "300"),
        ("restore", "a.png", "-o", "a.webp"),
        ("serve", "--port", "70000"),
        ("runs", "forget"),
        ("runs", "clean"),
        ("runs", "clean", "--keep", "0"),
        ("run", "--data", "data", "--watch", "--every", "0"),
        ("bench", "pipeline", "--counts", "many"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo", "--config", "none.toml"),
        ("compile", "kubeflow", "--data", "data", "--root", "root", "--image", "easel", "--profile", "fast"),
        ("run", "--data", "data", "--beam-runner", "DaskRunner"),
    ],
    ids=lambda words: words[0],
)
def test_settings_that_make_no_sense_are_wrong_use_in_every_command(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_profile_is_wrong_use(tmp_path: Path) -> None:
    done = easel("run", "--data", tmp_path, "--root", tmp_path / "root", "--profile", "fast")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no profile 'fast': choose one of brief, quick, standard, photo.\n"
    assert not (tmp_path / "root").exists()


def test_a_setting_out_of_range_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[restoration]\nsteps = 0\n")
    done = easel("run", "--data", tmp_path, "--root", tmp_path / "root", "--config", tmp_path / "config.toml")
    assert done.returncode == 2
    assert done.stderr == "The setting restoration.steps is 0: input should be greater than or equal to 1.\n"


@pytest.mark.parametrize("command", ["generate", "restore"])
def test_a_server_that_is_not_there_is_one_sentence_with_the_cure(command: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.png")
    subject = "a red circle" if command == "generate" else tmp_path / "picture.png"
    address = f"127.0.0.1:{closed_port()}"
    done = easel(command, subject, "--server", address, "-o", tmp_path / "out.png")
    assert done.returncode == 1
    assert done.stderr == f"no server answers at {address}: start one with `easel serve`, or give its address\n"
    assert not (tmp_path / "out.png").exists()


def test_a_picture_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = easel("restore", tmp_path / "none.png", "-o", tmp_path / "out.png")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "none.png") in done.stderr


@pytest.mark.slow
@needs_litert
def test_drawing_before_any_training_writes_the_pretrained_models_for_litert_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out.png"
    arguments = ("generate", "a red house", "--local", "--root", tmp_path, "-o", out)
    first = easel(*arguments)
    assert first.returncode == 0, first.stderr
    (bundle,) = (tmp_path / "cache" / "easel").iterdir()
    whose = f"No run has pushed a model to {tmp_path}: using the pretrained models.\n"
    assert first.stderr == f"{whose}Converting them to LiteRT in {bundle}: half a minute, only once.\n"
    drawn = out.read_bytes()
    second = easel(*arguments)
    assert (second.returncode, second.stderr) == (0, whose)
    assert out.read_bytes() == drawn
    with Image.open(out) as picture:
        assert picture.size == (64, 64)
    restored = easel("restore", out, "--local", "--enlarge", "--root", bundle, "-o", tmp_path / "large.png")
    assert (restored.returncode, restored.stderr) == (0, "")
    with Image.open(tmp_path / "large.png") as picture:
        assert picture.size == (128, 128)


@pytest.mark.slow
def test_without_litert_the_pretrained_models_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda _: None)
    (tmp_path / "pretrained").mkdir()
    assert pictures.models_here(tmp_path) == tmp_path / "pretrained"


@pytest.mark.slow
@needs_litert
def test_a_bundle_draws_wherever_it_is(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    done = easel("export", "litert", bundle, "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert written == {"bundle": str(bundle), "bytes": sum(file.stat().st_size for file in bundle.iterdir())}
    moved = bundle.rename(tmp_path / "moved")
    drawn = easel("generate", "a dgo", "--local", "--root", moved, "-n", "2", "-o", tmp_path / "out.png")
    assert (drawn.returncode, drawn.stderr) == (0, "")
    assert "Read as 'a dog'." in drawn.stdout
    again = easel("export", "litert", moved)
    assert (again.returncode, again.stderr) == (
        1,
        f"{moved} is not empty: choose a new folder, or remove it first.\n",
    )


@pytest.mark.parametrize(
    "arguments", [("runs",), ("runs", "show"), ("runs", "show", "2026"), ("report",)], ids=" ".join
)
def test_a_root_without_runs_names_the_cure(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = easel(*arguments, "--root", tmp_path / "nowhere")
    assert done.returncode == 1
    assert done.stderr == (
        f"There are no runs in {tmp_path}/nowhere: start one with `easel run --root {tmp_path}/nowhere`.\n"
    )
    assert not (tmp_path / "nowhere").exists()


def test_data_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = easel("run", "--data", tmp_path / "nowhere", "--root", tmp_path / "root")
    assert done.returncode == 1
    assert done.stderr == f"There is no folder {tmp_path}/nowhere: give a folder of captioned pictures.\n"


def test_serving_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = easel("serve", "--root", tmp_path / "nowhere", "--port", 0, "--rest-api-port", 0, "--studio-port", 0)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}/nowhere" in done.stderr


def test_the_doctor_finds_everything_that_the_tests_need() -> None:
    done = easel("doctor", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(EXTRAS) <= set(told)
    assert [name for name in ("models", "serving", "pipeline") if told[name]["cure"]] == []
    assert told["XLA"]["state"] == "compiles"
    assert {"Python", "C library", "machine", "GPU", "device policy"} <= set(told)


def test_the_doctor_talks_to_a_person() -> None:
    done = easel("doctor")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "ok   Python: 3.11" in done.stdout
    assert done.stdout.strip().splitlines()[-1].endswith("easel data shapes --out data/shapes")


@pytest.mark.slow
def test_the_quality_bench_runs_what_there_is_and_says_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "tinyshakespeare.txt").write_text("to be, or not to be, that is the question. " * 150)
    done = easel("bench", "quality", "--data", tmp_path, "--rows", "text,photos", "--budget-minutes", "0.01", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert 0.5 < figures["shakespeare_nats"] < 4 and figures["set12_sigma25_psnr"] is None
    assert "photos: not run, because photos is not in the data folder." in done.stderr


def test_a_row_of_quality_that_does_not_exist_is_wrong_use() -> None:
    done = easel("bench", "quality", "--rows", "paintings")
    assert done.returncode == 2
    assert "There is no row 'paintings': choose among storybook," in done.stderr


@pytest.mark.slow
def test_the_pipeline_bench_tells_what_preprocessing_costs() -> None:
    done = easel("bench", "pipeline", "--counts", "300,600", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["pictures_per_s"] > 0 and set(figures["by_count"]) == {"300", "600"}
    assert figures["seconds"].keys() >= {"looking", "FolderExampleGen", "StatisticsGen", "Transform"}
    assert -0.5 < figures["memory_growth_10k_to_100k"] < 0.5
    assert 0 < figures["transformed_bytes_ratio"] <= 1.2
    assert figures["reader_share"] > 0 and figures["stored_share"] > 0
    assert figures["stored_pixels_mb"] >= 28 and figures["stored_memory_mb"] > 0
