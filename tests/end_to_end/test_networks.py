"""The whole line, in this process, with a generator that the project does not bring along."""

from pathlib import Path

import numpy as np
import pytest
from easel_process import easel, write_config
from toy_network import ToyGenerator
from toy_row import TOY, registered

from models.photo_generator import PhotoGenerator
from models.saving import load_model
from models.text_to_image import TextToImage
from serving.client import Client
from serving.process import ServerProcess
from tfx_pipeline.config import RunConfig, load_config
from tfx_pipeline.kinds import FUSED, FUSED_FROM, KINDS
from tfx_pipeline.local_run import Outcome, run_local
from tfx_pipeline.runs.history import Run
from tfx_pipeline.runs.root import Root

SIZE = 16


def config_with_the_toy(folder: Path) -> RunConfig:
    tiny = write_config(folder / "tiny.toml").read_text(encoding="utf-8")
    settings = tiny.replace("[drawing]", f'[data]\npicture_size = {SIZE}\n\n[drawing]\nnetwork = "{TOY.name}"', 1)
    (folder / "toy.toml").write_text(settings, encoding="utf-8")
    return load_config("quick", folder / "toy.toml")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Root]:
    folder = tmp_path_factory.mktemp("toy")
    made = easel("data", "shapes", "--out", folder / "shapes", "--count", 200, "--size", TOY.fineness * SIZE)
    assert made.returncode == 0, made.stderr
    root = Root(folder / "root")
    with registered():
        return run_local(root, folder / "shapes", config_with_the_toy(folder), say=lambda line: None), root


def keras_of(run: Run, name: str) -> Path:
    (file,) = Path(run.models[name]).rglob("*.keras")
    return file


PHOTO = """
[drawing]
network = "photo"
[drawing.photo]
noise_size = 4
style_size = 8
width = 8
most_width = 16
critic_width = 8
critic_most_width = 16
steps = 40
batch_size = 8
[language]
token_size = 16
width = 32
slots = 2
slot_size = 16
steps = 40
[restoration]
widths = [8, 16]
depth = 1
steps = 20
[thresholds]
perplexity_share = 1.5
generator_psnr = 0
generator_ssim = -1
generator_gain = -100
generator_over_mean = -100
generator_copies = 1
generator_agreement = {agreement}
restorer_psnr = 0
restorer_ssim = -1
restorer_gain = -100
"""


@pytest.mark.soak
def test_photographs_go_the_whole_way_and_must_agree_with_their_captions(tmp_path: Path) -> None:
    made = easel("data", "shapes", "--out", tmp_path / "shapes", "--count", 200, "--size", 32)
    assert made.returncode == 0, made.stderr

    def outcome(agreement: float) -> Outcome:
        file = tmp_path / "photo.toml"
        file.write_text(PHOTO.format(agreement=agreement), encoding="utf-8")
        config = load_config("photo", file)
        return run_local(Root(tmp_path / "root"), tmp_path / "shapes", config, say=lambda line: None)

    refused = outcome(0.95)
    assert "generator not blessed: caption agreement" in refused.refusal
    taken = outcome(0.0)
    assert taken.refusal == ""
    generator = load_model(keras_of(taken.run, "generator"))
    assert isinstance(generator, PhotoGenerator)
    assert generator.generate("a red circle", seed=3).shape == (32, 32, 3)


@pytest.mark.soak
def test_another_generator_goes_the_whole_way_to_a_served_picture(run: tuple[Outcome, Root]) -> None:
    outcome, root = run
    assert outcome.refusal == ""
    assert "psnr" in {verdict.model: verdict for verdict in outcome.verdicts}["generator"].metrics
    assert {path.name for path in root.pushed.iterdir()} == {*KINDS, FUSED}
    generator, restorer = (load_model(keras_of(outcome.run, name)) for name in FUSED_FROM)
    assert isinstance(generator, ToyGenerator)
    model = TextToImage(generator, restorer)
    with ServerProcess(root.pushed) as server, Client(server.grpc_address) as client:
        (drawn,) = client.generate("a red circle", seed=3, expand=False, scale=2)
    own = model.generate("a red circle", seed=3, expand=False, scale=2)
    assert own.shape == (2 * SIZE, 2 * SIZE, 3)
    assert abs(np.asarray(drawn.image).astype(int) - own).max() <= 1
