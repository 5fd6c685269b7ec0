import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from easel.cli import app
from tfx_pipeline.datasets.cards import NOT_STATED, DataCard, licence_keys, size_category
from tfx_pipeline.datasets.entries import Entry
from tfx_pipeline.datasets.folder import read_folder

# What https://github.com/huggingface/hub-docs/blob/main/datasetcard.md describes, of which Easel writes some.
KEYS = {
    "annotations_creators": list,
    "configs": list,
    "dataset_info": dict,
    "language": list,
    "language_creators": list,
    "license": str,
    "license_link": str,
    "license_name": str,
    "pretty_name": str,
    "size_categories": list,
    "source_datasets": list,
    "tags": list,
    "task_categories": list,
    "task_ids": list,
}
SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M"}
ENTRIES = (
    Entry("a.png", "a red | round thing", "红色", {"shape": "circle", "number": 3}),
    Entry("b.png", "", "蓝色", {"shape": "square", "number": 3}, withheld=True),
    Entry("c.png", "green", "", {"shape": "circle", "number": 3, "ratio": 0.5}, more=("also green",)),
)


def header(page: str) -> dict[str, Any]:
    """The metadata of a card, held against what Hugging Face documents."""
    start, text, _ = re.split(r"^---$", page, maxsplit=2, flags=re.MULTILINE)
    assert start == ""
    metadata = yaml.safe_load(text)
    assert {name: type(value) for name, value in metadata.items()} == {name: KEYS[name] for name in metadata}
    assert set(metadata["language"]) <= {"en", "zh"} and set(metadata["size_categories"]) <= SIZES
    return metadata


def test_the_header_is_that_of_a_data_card_of_hugging_face() -> None:
    assert header(DataCard("my set: 1", "Drawn.", "CC-BY-4.0", ENTRIES).page()) == {
        "license": "cc-by-4.0",
        "language": ["en", "zh"],
        "pretty_name": "my set: 1",
        "task_categories": ["text-to-image", "image-to-text"],
        "size_categories": ["n<1K"],
        "tags": ["easel", "imagefolder"],
    }


def test_a_card_counts_what_there_is_and_what_was_set_aside() -> None:
    page = DataCard("mine", "Found.", NOT_STATED, ENTRIES, "f00d", {"empty caption": 2}, {"@eaDir": 1200}).page()
    for row in (
        "| pictures | 3 |",
        "| captions | 5 |",
        "| pictures with a caption in English | 2 |",
        "| pictures with a caption in Chinese | 2 |",
        "| withheld from training | 1 |",
        "| set aside | 2 |",
        "| shape | pictures |\n| --- | --- |\n| circle | 2 |\n| square | 1 |",
        "| empty caption | 2 |",
        "| @eaDir | 1,200 |",
        "`f00d`",
    ):
        assert row in page
    assert "| number |" not in page and "| ratio |" not in page


def test_a_card_leaves_out_what_it_knows_nothing_of() -> None:
    page = DataCard("mine", "Found.", NOT_STATED, ENTRIES[2:]).page()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Licence", "Contents"]
    assert header(page)["language"] == ["en"]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (NOT_STATED, {"license": "unknown"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("My own, v2", {"license": "other", "license_name": "my-own-v2"}),
        ("私有", {"license": "other", "license_name": "custom"}),
    ],
)
def test_a_licence_is_called_what_the_hub_calls_it(given: str, keys: dict[str, str]) -> None:
    assert licence_keys(given) == keys


@pytest.mark.parametrize(
    ("count", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (20_000, "10K<n<100K"), (9_999_999, "1M<n<10M"), (10**7, "10M<n<100M")],
)
def test_a_number_of_pictures_falls_into_one_size(count: int, category: str) -> None:
    assert size_category(count) == category
    assert category in SIZES


def easel(*words: object) -> None:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", ["shapes", "storybook", "leaves"])
def test_drawn_data_say_how_to_draw_them_again(command: str, tmp_path: Path) -> None:
    easel("data", command, "--out", tmp_path / "made", "--count", 12, "--size", 16, "--seed", 3)
    page = (tmp_path / "made/README.md").read_text(encoding="utf-8")
    assert header(page)["license"] == "apache-2.0"
    assert "| pictures | 12 |" in page
    (again,) = re.findall(r"^Drawn with `easel (.+)`\.$", page, re.MULTILINE)
    easel(*again.split(), "--out", tmp_path / "again/made")
    assert (tmp_path / "again/made/metadata.jsonl").read_bytes() == (tmp_path / "made/metadata.jsonl").read_bytes()
    assert (tmp_path / "again/made/README.md").read_text(encoding="utf-8") == page


def test_imported_data_say_what_they_came_from_and_read_as_before(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (8, 8), f"#{name * 6}").save(tmp_path / f"mine/{name}.png")
        (tmp_path / f"mine/{name}.txt").write_text("" if name == "c" else f"picture {name}")
    arguments = ("--out", tmp_path / "out", "--max-quarantine", 0.5, "--license", "CC0-1.0")
    easel("data", "import", tmp_path / "mine", *arguments)
    page = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert header(page)["license"] == "cc0-1.0"
    for line in ("Imported from `mine`", "| empty caption | 1 |", "| pictures | 2 |"):
        assert line in page
    reading = read_folder(tmp_path / "out")
    assert (len(reading.entries), reading.passed_over, reading.quarantined) == (2, {}, ())
