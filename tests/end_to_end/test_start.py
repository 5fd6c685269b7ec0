"""A run that starts from the pretrained weights and learns a thing that they have never seen."""

import json
from pathlib import Path

import pytest
from easel_process import Stage, easel, run_stage

from models import pretrained
from models.saving import load_model
from models.vocabulary import RESERVED
from tfx_pipeline.config import load_config
from tfx_pipeline.datasets.storybook.things import ART

SHORT = """
[language]
steps = 20
[drawing]
warmup_steps = 20
adversarial_steps = 0
[drawing.scenes]
steps = 20
[restoration]
steps = 20
depth = {depth}
[thresholds]
perplexity_share = 100
generator_psnr = 0
generator_ssim = -1
generator_gain = -100
generator_over_mean = -100
restorer_psnr = 0
restorer_ssim = -1
restorer_gain = -100
"""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A few steps from the pretrained weights, with a restorer that does not fit them."""
    folder = tmp_path_factory.mktemp("started")
    made = easel("data", "storybook", "--things", ART / "demo", "--out", folder / "data", "--count", 120, "--size", 128)
    assert made.returncode == 0, made.stderr
    depth = load_config("quick", start="pretrained").restoration.depth + 1
    (folder / "short.toml").write_text(SHORT.format(depth=depth), encoding="utf-8")
    return run_stage(
        folder / "root", folder / "data", "--start", "pretrained", "--config", folder / "short.toml", "--json"
    )


def test_trainings_start_from_the_weights_that_fit_and_say_why_another_does_not(started: Stage) -> None:
    assert started.done.returncode == 0, started.done.stderr
    for name in ("language_model", "generator"):
        assert f"{name} starts from the weights in {pretrained.HERE}/generator.keras" in started.done.stderr
    (told,) = [line for line in started.done.stderr.splitlines() if "starts from scratch" in line]
    shipped = load_config("quick", start="pretrained").restoration.depth
    assert told.endswith(f"{pretrained.HERE}/refiner.keras: depth is {shipped + 1} here and {shipped} there")


def test_the_words_that_were_known_stay_and_the_new_ones_follow(started: Stage) -> None:
    (file,) = started.root.glob("pipeline/Trainer.language_model/model/*/Format-Serving/language_model.keras")
    vocabulary, known = load_model(file).vocabulary, [*RESERVED, *pretrained.pieces()]
    assert vocabulary[: len(known)] == known
    assert "▁dinosaur" in vocabulary[len(known) :]


def test_the_model_cards_say_what_each_training_started_from(started: Stage) -> None:
    begun = {}
    for card in started.root.glob("pushed/*/*/assets.extra/model_card.json"):
        told = json.loads(card.read_text(encoding="utf-8"))
        begun[told["model"]] = told["warm_start"]
    assert begun["language_model"] == begun["generator"] == pretrained.origin("generator")
    assert begun["restorer"] == ""
    assert begun["text_to_image"] == f"language_model: {begun['generator']}; generator: {begun['generator']}"


def test_the_same_command_trains_nothing_again(started: Stage) -> None:
    again = started.run("--start", "pretrained", "--config", Path(started.data.parent / "short.toml"), "--json")
    assert json.loads(again.done.stdout)["trained"] == []
