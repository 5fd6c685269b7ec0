from pathlib import Path

from tfx_pipeline.config import RunConfig
from tfx_pipeline.pushing.cards import ModelCard, limits
from tfx_pipeline.runs.commit import code_commit

CARD = ModelCard(
    model="restorer",
    version=7,
    licence="CC-BY-4.0",
    commit="0123abc",
    data={"fingerprint": "f00d", "pictures": 1234},
    config={"seed": 0, "restoration": {"steps": 20}},
    metrics={"restorer": {"all": {"psnr": 21.5, "ssim": 0.81}, "language=zh": {"psnr": 20.25, "ssim": 0.8}}},
    warm_start="",
    limits=["It knows no cats."],
)


def test_a_page_tells_everything_of_the_card() -> None:
    page = CARD.page()
    for words in ("# restorer 7", "CC-BY-4.0", "0123abc", "f00d", "1234", "It knows no cats.", '"steps": 20'):
        assert words in page
    assert "| slice | psnr | ssim |\n| --- | --- | --- |\n| all | 21.5 | 0.81 |\n| language=zh | 20.25 | 0.8 |" in page


def test_a_slice_that_lacks_a_metric_has_a_gap() -> None:
    card = CARD.model_copy(update={"metrics": {"restorer": {"all": {"psnr": 1.0}, "size=up to 32": {}}}})
    assert "| size=up to 32 | nan |" in card.page()


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    CARD.write(tmp_path)
    written = (tmp_path / "assets.extra/model_card.json").read_text(encoding="utf-8")
    assert ModelCard.model_validate_json(written) == CARD


def test_limits_follow_from_the_settings_and_end_with_their_own() -> None:
    config = RunConfig.model_validate({"data": {"picture_size": 64}, "card": {"limits": ["No faces."]}})
    told = list(limits(config, 1234))
    assert "64 x 64" in told[0]
    assert "1,234 captioned pictures" in told[1]
    assert told[-1] == "No faces."


def test_the_commit_is_of_this_code() -> None:
    commit = code_commit()
    assert commit == "" or len(commit.removesuffix("-dirty")) == 40
