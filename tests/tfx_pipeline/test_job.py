"""What a training starts from."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from tiny_models import tiny_language_model, tiny_restorer
from toy_network import ToyGenerator

from models import pretrained
from models.learning.settings import LearningConfig
from tfx_pipeline.components.training import read_origin, warm_file, write_origin
from tfx_pipeline.training.job import Job


def job(folder: Path, model: str) -> Job:
    """A job with nothing but a name and folders."""
    return Job(model, LearningConfig(), [], [], "", None, folder, folder / "checkpoints")


def test_a_language_model_starts_from_the_one_inside_a_generator(tmp_path: Path) -> None:
    known, new = tiny_language_model(), tiny_language_model()
    known.set_weights([weight + 1 for weight in known.get_weights()])
    ToyGenerator(known, picture_size=16).save(tmp_path / "generator.keras")
    training = job(tmp_path, "language_model")
    training.start_from(tmp_path / "generator.keras", SimpleNamespace(language_model=new))
    assert training.started
    np.testing.assert_array_equal(new.tokens.get_weights()[0], known.tokens.get_weights()[0])


def test_a_model_that_does_not_fit_says_why_and_starts_from_scratch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keras.utils.set_random_seed(1)
    ours = tiny_restorer()
    type(ours)(widths=(8, 24), depth=ours.depth, half_depth=ours.half_depth).save(tmp_path / "restorer.keras")
    training, before = job(tmp_path, "restorer"), ours.get_weights()
    training.start_from(tmp_path / "restorer.keras", SimpleNamespace(restorer=ours))
    assert not training.started
    for weight, kept in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)
    assert capsys.readouterr().err == (
        f"  restorer starts from scratch, since it does not fit {tmp_path}/restorer.keras: "
        f"widths is {list(ours.widths)} here and [8, 24] there\n"
    )


def test_a_trained_model_keeps_what_it_started_from(tmp_path: Path) -> None:
    assert read_origin(tmp_path) == "not recorded"
    for origin in ("", "pretrained restorer.keras 0123456789abcdef"):
        write_origin(tmp_path, origin)
        assert read_origin(tmp_path) == origin


@pytest.mark.parametrize("kind", ["language_model", "generator", "restorer"])
def test_pretrained_weights_are_found_by_their_origin(kind: str) -> None:
    file = warm_file(pretrained.origin(kind), kind)
    assert file == pretrained.weights_file(kind) and file.is_file()


def test_an_artifact_that_has_been_removed_is_nothing_to_start_from(tmp_path: Path) -> None:
    assert warm_file("", "restorer") is None
    assert warm_file(str(tmp_path), "restorer") is None
    (tmp_path / "Format-Serving").mkdir()
    (tmp_path / "Format-Serving/restorer.keras").touch()
    assert warm_file(str(tmp_path), "restorer") == tmp_path / "Format-Serving/restorer.keras"
