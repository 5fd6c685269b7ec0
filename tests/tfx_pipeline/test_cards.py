import re
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from tfx_pipeline.config import RunConfig
from tfx_pipeline.pushing.cards import ModelCard, Samples, limits, read_card
from tfx_pipeline.runs.commit import code_commit

CARD = ModelCard(
    model="restorer",
    task="image-to-image",
    use="Restores pictures.",
    version=7,
    licence="CC-BY-4.0",
    commit="0123abc",
    data={"fingerprint": "f00d", "pictures": 1234, "languages": "en zh"},
    config={"seed": 0, "restoration": {"steps": 20}, "card": {"datasets": ["me/birds"]}},
    metrics={"restorer": {"all": {"psnr": 21.5, "ssim": 0.81}, "language=zh": {"psnr": 20.25, "ssim": 0.8}}},
    warm_start="",
    limits=["It knows no cats."],
    samples=Samples(rows=["real", "restored", "damaged"], captions=["a red: circle", "一只猫"]),
)
# What https://github.com/huggingface/hub-docs/blob/main/modelcard.md describes, of which Easel writes some.
KEYS = {
    "base_model": str,
    "datasets": list,
    "language": list,
    "library_name": str,
    "license": str,
    "license_link": str,
    "license_name": str,
    "metrics": list,
    "model-index": list,
    "pipeline_tag": str,
    "tags": list,
}
RESULT = {"task": {"type", "name"}, "dataset": {"type", "name", "split"}}


def header(page: str) -> dict[str, Any]:
    """The metadata of a card, held against what Hugging Face documents."""
    start, text, _ = re.split(r"^---$", page, maxsplit=2, flags=re.MULTILINE)
    assert start == ""
    metadata = yaml.safe_load(text)
    assert {name: type(value) for name, value in metadata.items()} == {name: KEYS[name] for name in metadata}
    for model in metadata["model-index"]:
        for result in model["results"]:
            assert {name: set(result[name]) for name in RESULT} == RESULT
            assert all(isinstance(metric["value"], float) and metric["type"] for metric in result["metrics"])
    return metadata


def test_the_header_is_that_of_a_model_card_of_hugging_face() -> None:
    metadata = header(CARD.page())
    (model,) = metadata.pop("model-index")
    assert metadata == {
        "license": "cc-by-4.0",
        "language": ["en", "zh"],
        "library_name": "keras",
        "pipeline_tag": "image-to-image",
        "tags": ["easel", "saved-model", "tensorflow", "tensorflow-serving", "tfx"],
        "datasets": ["me/birds"],
        "metrics": ["psnr", "ssim"],
    }
    (result,) = model["results"]
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {"psnr": 21.5, "ssim": 0.81}


def test_the_header_leaves_out_what_is_unknown_or_no_number() -> None:
    metrics = {"restorer": {"all": {"psnr": float("nan"), "ssim": 0.5}}}
    metadata = header(CARD.model_copy(update={"config": {}, "metrics": metrics, "licence": "not stated"}).page())
    assert "datasets" not in metadata
    assert metadata["license"] == "unknown"
    (result,) = metadata["model-index"][0]["results"]
    assert [metric["type"] for metric in result["metrics"]] == ["ssim"]


def test_a_page_has_the_sections_of_a_model_card() -> None:
    sections = re.findall(r"^## (.+)$", CARD.page(), re.MULTILINE)
    assert sections == ["Intended use", "Training data", "Evaluation", "Limitations", "Training"]


def test_a_page_shows_samples_with_their_captions_where_there_are_any() -> None:
    page = CARD.page()
    assert "![Samples](samples.png)" in page and "real; restored; damaged" in page
    assert "1. a red: circle\n2. 一只猫" in page
    assert "samples" not in CARD.model_copy(update={"samples": None}).page()


def test_a_page_tells_everything_of_the_card() -> None:
    page = CARD.page()
    for words in ("# restorer 7", "CC-BY-4.0", "0123abc", "f00d", "1234", "It knows no cats.", '"steps": 20'):
        assert words in page
    assert "| slice | psnr | ssim |\n| --- | --- | --- |\n| all | 21.5 | 0.81 |\n| language=zh | 20.25 | 0.8 |" in page


def test_a_slice_that_lacks_a_metric_has_a_gap() -> None:
    card = CARD.model_copy(update={"metrics": {"restorer": {"all": {"psnr": 1.0}, "size=up to 32": {}}}})
    assert "| size=up to 32 | nan |" in card.page()


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    Image.new("RGB", (96, 288)).save(tmp_path / "cards/restorer.png")
    (tmp_path / "cards/restorer.json").write_text(CARD.model_dump_json(), encoding="utf-8")
    card, samples = read_card(tmp_path / "cards", "restorer")
    card.write(tmp_path, samples)
    written = (tmp_path / "assets.extra/model_card.json").read_text(encoding="utf-8")
    assert ModelCard.model_validate_json(written) == CARD
    assert samples and (tmp_path / "assets.extra/samples.png").read_bytes() == samples.read_bytes()


def test_limits_follow_from_the_settings_and_end_with_their_own() -> None:
    config = RunConfig.model_validate({"data": {"picture_size": 64}, "card": {"limits": ["No faces."]}})
    told = list(limits(config, 1234))
    assert "64 x 64" in told[0]
    assert "1,234 captioned pictures" in told[1]
    assert told[-1] == "No faces."


def test_the_commit_is_of_this_code() -> None:
    commit = code_commit()
    assert commit == "" or len(commit.removesuffix("-dirty")) == 40
