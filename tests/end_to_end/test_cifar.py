"""Real photographs through the whole line: `make test-soak CIFAR=cifar10.tar.gz`, an ImageFolder of 50,000 pictures."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

ARCHIVE = os.environ.get("EASEL_CIFAR", "")
EASEL = Path(sys.executable).with_name("easel")
TRUNCATED, EMPTIED = 5, 2

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not ARCHIVE, reason="EASEL_CIFAR does not name the archive"),
]


def easel(*words: str | Path) -> dict[str, object]:
    """Run a command with --json and give its answer."""
    done = subprocess.run([EASEL, *words, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def damaged_copy(folder: Path) -> Path:
    """The archive unpacked, with five pictures truncated and two captions emptied."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    rows = [json.loads(line) for line in (top / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows[:: len(rows) // TRUNCATED][:TRUNCATED]:
        picture = top / row["file_name"]
        picture.write_bytes(picture.read_bytes()[:200])
    for row in rows[100 : 100 + EMPTIED]:
        row["text"] = row["text_zh"] = ""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (top / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    return top


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data and the run go; EASEL_KEEP keeps them for a look afterwards."""
    kept = os.environ.get("EASEL_KEEP")
    return Path(kept) if kept else tmp_path_factory.mktemp("cifar")


@pytest.fixture(scope="session")
def imported(place: Path) -> dict[str, object]:
    source = damaged_copy(place / "source")
    return easel("data", "import", source, "--out", place / "data")


@pytest.fixture(scope="session")
def trained(place: Path, imported: dict[str, object]) -> dict[str, object]:
    return easel("run", "--data", place / "data", "--root", place / "root", "--profile", "quick")


def test_seven_entries_are_quarantined_with_their_reasons(place: Path, imported: dict[str, object]) -> None:
    quarantine = [json.loads(line) for line in (place / "data" / "quarantine.jsonl").read_text().splitlines()]
    assert imported["count"] == 50_000 - TRUNCATED - EMPTIED
    assert len(quarantine) == TRUNCATED + EMPTIED
    assert all(entry["reason"] for entry in quarantine)


def test_photographs_become_pushed_models(place: Path, trained: dict[str, object]) -> None:
    assert trained["blessed"], trained["refusal"]
    assert set(trained["pushed"]) == {"text_to_image", "language_model", "generator", "restorer"}


def test_each_class_can_be_drawn(place: Path, imported: dict[str, object], trained: dict[str, object]) -> None:
    rows = [json.loads(line) for line in (place / "data" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    captions = sorted({row["text"] for row in rows})
    for number, caption in enumerate(captions):
        out = place / f"class-{number:02}.png"
        easel("generate", caption, "--local", "--root", place / "root", "-n", "8", "--scale", "2", "-o", out)
        with Image.open(out) as sheet:
            assert sheet.width > sheet.height
