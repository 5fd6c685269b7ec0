import io
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from easel import data
from tfx_pipeline.datasets import emoji
from tfx_pipeline.datasets.entries import ReadLimits
from tfx_pipeline.datasets.folder import read_folder


def easel_data(*arguments: object) -> Result:
    return CliRunner().invoke(data.app, [str(argument) for argument in arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten captioned pictures, as a person has them."""
    (tmp_path / "mine").mkdir()
    for number in range(10):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(tmp_path / f"mine/{number}.png")
        (tmp_path / f"mine/{number}.txt").write_text(f"red number {number}")
    return tmp_path / "mine"


def test_an_import_says_what_it_does_and_what_comes_next(pictures: Path, tmp_path: Path) -> None:
    done = easel_data("import", pictures, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"Checking the pictures of {pictures} and copying them into {tmp_path}/out: a few seconds.",
        f"Done: 10 captioned pictures in {tmp_path}/out.",
        f"Next: easel run --data {tmp_path}/out",
    ]
    assert done.stderr == ""
    assert len(read_folder(tmp_path / "out").entries) == 10


def test_an_import_tells_what_it_set_aside(pictures: Path, tmp_path: Path) -> None:
    (pictures / "0.png").write_text("not a picture")
    done = easel_data("import", pictures, "--out", tmp_path / "out", "--max-quarantine", "0.1")
    assert done.exit_code == 0
    assert (
        f"Quarantined 1: not a picture of a known format (1). They are listed in {tmp_path}/out/quarantine.jsonl.\n"
        in done.stdout
    )


def test_json_leaves_the_output_to_the_script(pictures: Path, tmp_path: Path) -> None:
    done = easel_data("import", pictures, "--out", tmp_path / "my set", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert len(told.pop("fingerprint")) == 64
    assert told == {
        "out": f"{tmp_path}/my set",
        "count": 10,
        "withheld": 0,
        "quarantined": 0,
        "kinds": {},
        "passed_over": {},
        "next": f"easel run --data '{tmp_path}/my set'",
    }
    assert done.stderr.startswith("Checking the pictures of ")


def test_what_is_passed_over_is_told(pictures: Path, tmp_path: Path) -> None:
    for name in ("@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", ".DS_Store"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(b"")
    done = easel_data("import", pictures, "--out", tmp_path / "out")
    assert "\nIgnored, not part of the dataset: @eaDir (1), .DS_Store (1).\n" in done.stdout


def test_too_many_bad_pictures_fail_in_one_sentence(pictures: Path, tmp_path: Path) -> None:
    (pictures / "0.png").write_text("not a picture")
    done = easel_data("import", pictures, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(
        "1 of 10 pictures (10.0%) were quarantined, and at most 5.0% may be; the most common reason is "
    )
    assert done.stderr.endswith("Fix them, or raise the limit with --max-quarantine 0.10.\n")


def test_the_cure_that_is_named_works(pictures: Path, tmp_path: Path) -> None:
    for number in range(10, 13):
        Image.new("RGB", (8, 8)).save(pictures / f"{number}.png")
    failed = easel_data("import", pictures, "--out", tmp_path / "out")
    share = failed.stderr.split("--max-quarantine ")[1].strip().removesuffix(".")
    assert easel_data("import", pictures, "--out", tmp_path / "out", "--max-quarantine", share).exit_code == 0


def test_megapixels_limit_the_pictures(pictures: Path, tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(pictures / "0.png")
    done = easel_data(
        "import", pictures, "--out", tmp_path / "out", "--max-megapixels", "0.009", "--max-quarantine", "1"
    )
    assert done.exit_code == 0
    assert "picture too large (1)" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "somewhere"),
        ("import", "somewhere", "--out", "out", "--max-quarantine", "1.5"),
        ("import", "somewhere", "--out", "out", "--max-megapixels", "0"),
        ("import", "somewhere", "--out", "out", "--max-megapixels", "90"),
        ("shapes", "--out", "out", "--count", "0"),
        ("shapes", "--out", "out", "--size", "8"),
        ("storybook", "--out", "out", "--count", "0"),
        ("storybook", "--out", "out", "--size", "1024"),
        ("leaves", "--out", "out", "--size", "8"),
        ("emoji", "--out", "out", "--size", "many"),
        ("paint",),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert easel_data(*arguments).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "field", "scale"), [("max_quarantine", "max_share", 1), ("max_megapixels", "max_pixels", 1e-6)]
)
def test_the_options_keep_to_the_limits_of_the_reader(option: str, field: str, scale: float) -> None:
    hint = typing.get_type_hints(data.import_, include_extras=True)[option].__metadata__[0]
    bounds = ReadLimits.model_fields[field].metadata
    assert bounds[0].ge * scale <= hint.min
    assert hint.max <= bounds[1].le * scale
    default = typing.cast(float, data.import_.__defaults__[0 if option == "max_quarantine" else 1])  # type: ignore[index]
    assert default == ReadLimits.model_fields[field].default * scale


def test_shapes_are_drawn_and_can_be_read(tmp_path: Path) -> None:
    done = easel_data("shapes", "--out", tmp_path / "out", "--count", 30, "--size", 16, "--seed", 3)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Drawing 30 pictures of 16 x 16 pixels into {tmp_path}/out: a few seconds.\n")
    assert done.stdout.endswith(f"Next: easel run --data {tmp_path}/out\n")
    reading = read_folder(tmp_path / "out")
    assert len(reading.entries) == 30
    assert reading.quarantined == ()


def test_a_storybook_is_drawn_and_can_be_read(tmp_path: Path) -> None:
    done = easel_data("storybook", "--out", tmp_path / "out", "--count", 30, "--size", 16, "--seed", 3)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Drawing 30 pictures of 16 x 16 pixels into {tmp_path}/out: a few seconds.\n")
    reading = read_folder(tmp_path / "out")
    assert (len(reading.entries), reading.quarantined) == (30, ())
    assert all(entry.text and entry.text_zh and entry.attributes for entry in reading.entries)


def test_leaves_are_drawn_and_can_be_read(tmp_path: Path) -> None:
    done = easel_data("leaves", "--out", tmp_path / "out", "--count", 4, "--size", 32, "--seed", 3)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Drawing 4 pictures of 32 x 32 pixels into {tmp_path}/out: a few seconds.\n")
    reading = read_folder(tmp_path / "out")
    assert (len(reading.entries), reading.quarantined) == (4, ())


def test_shapes_count_in_json(tmp_path: Path) -> None:
    done = easel_data("shapes", "--out", tmp_path / "out", "--count", 5, "--json")
    told = json.loads(done.stdout)
    assert (told["count"], told["out"]) == (5, f"{tmp_path}/out")


@pytest.mark.parametrize("command", ["shapes", "storybook", "leaves", "emoji"])
def test_nothing_is_drawn_over_what_is_there(command: str, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    done = easel_data(command, "--out", tmp_path)
    assert done.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
    assert done.stderr.count("\n") == 1


def test_emoji_are_drawn_or_the_packages_named(tmp_path: Path) -> None:
    done = easel_data("emoji", "--out", tmp_path / "out", "--size", 16)
    if emoji.FONT.exists() and emoji.CLDR.exists():
        assert done.exit_code == 0
        assert done.stdout.endswith(f"Next: easel run --data {tmp_path}/out\n")
    else:
        assert done.exit_code == 1
        assert "sudo apt-get install fonts-noto-color-emoji unicode-cldr-core" in done.stderr


def test_the_help_names_every_option() -> None:
    for command, options in {
        "shapes": ("--out", "--count", "--size", "--seed", "--json"),
        "storybook": ("--out", "--count", "--size", "--seed", "--json"),
        "leaves": ("--out", "--count", "--size", "--seed", "--json"),
        "emoji": ("--out", "--size", "--json"),
        "import": ("SRC", "--out", "--max-quarantine", "--max-megapixels", "--json"),
    }.items():
        told = easel_data(command, "--help")
        assert told.exit_code == 0
        assert [option for option in options if option not in told.stdout] == []


def test_as_a_program(pictures: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-W", "error", "-c", "from easel.data import app; app()"]
    command = [*program, "import", str(pictures), "--out", str(tmp_path / "out")]
    first = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert (first.returncode, json.loads(first.stdout)["count"]) == (0, 10)
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr == f"{tmp_path}/out is not empty: choose a new folder, or remove it first.\n"
    assert subprocess.run([*program, "import"], capture_output=True, check=False).returncode == 2


def test_no_disk_is_one_sentence_too(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    (tmp_path / "file").write_bytes(buffer.getvalue())
    done = easel_data("shapes", "--out", tmp_path / "file" / "out", "--count", 1)
    assert done.exit_code == 1
    assert done.stderr == f"{tmp_path}/file is a file, not a folder: choose another path.\n"
