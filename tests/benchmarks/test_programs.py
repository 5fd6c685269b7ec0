import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality import language, run_programs
from benchmarks.quality.programs import ElsewhereError, fit_elsewhere, signature
from models.language_model import LanguageModel
from models.language_training import TextTraining
from models.learning.fit import Cosine, fit
from models.learning.inputs import Batches, Captioned
from models.learning.recipes import learn_language, learn_to_draw
from models.vocabulary import RESERVED
from tfx_pipeline.config import RunConfig

IDS = np.random.default_rng(0).integers(len(RESERVED), 12, 10_000)
STEPS = 60


def text_training() -> TextTraining:
    keras.utils.set_random_seed(0)
    vocabulary = [*RESERVED, *"abcdefgh"]
    model = LanguageModel(vocabulary, length=16, token_size=8, width=12, reading_depth=0, slot_size=8, exact=True)
    training = TextTraining(model, streams=language.STREAMS)
    training.compile(optimizer=keras.optimizers.Adam(Cosine(1e-2, STEPS, floor=0.1), clipnorm=1.0))
    return training


def weights_of(training: TextTraining) -> list[np.ndarray]:
    return [variable.numpy() for variable in training.language_model.variables]


def run_elsewhere(program: Path, *options: str) -> dict[str, Any]:
    """As on a machine that has this one file and JAX."""
    command = [sys.executable, run_programs.__file__, str(program), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=program)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextTraining, dict[str, Any], Path]:
    """A text learned elsewhere, the machine's figures, and the program's folder."""
    folder = tmp_path_factory.mktemp("programs")
    with pytest.raises(
        ElsewhereError,
        match=r"text waits in .*: copy it to a machine with JAX, run benchmarks",
    ):
        fit_elsewhere(text_training(), language.windows(IDS), folder=folder, label="text", steps=STEPS)
    figures = run_elsewhere(folder / "text")
    training = text_training()
    fit_elsewhere(training, language.windows(IDS), folder=folder, label="text", steps=STEPS)
    return training, figures, folder / "text"


def test_what_jax_learns_is_what_tensorflow_learns(
    trained: tuple[TextTraining, dict[str, Any], Path], tmp_path: Path
) -> None:
    here = text_training()
    fit(here, language.windows(IDS), label="text", steps=STEPS, checkpoints=tmp_path / "c", run_dir=tmp_path / "r")
    for there, own in zip(weights_of(trained[0]), weights_of(here), strict=True):
        np.testing.assert_allclose(there, own, atol=1e-3)
    before = text_training().language_model.tokens.embeddings
    assert not np.allclose(here.language_model.tokens.embeddings, before, atol=1e-2)
    ids = tf.constant(IDS[None, :16])
    np.testing.assert_allclose(trained[0].language_model(ids)[0], here.language_model(ids)[0], atol=1e-3)


def test_the_other_machine_says_what_it_did(trained: tuple[TextTraining, dict[str, Any], Path]) -> None:
    _, figures, program = trained
    assert (figures["steps"], figures["device"]) == (STEPS, "cpu")
    assert figures["flops_per_step"] > 1e5 and figures["seconds"] >= figures["compile_s"] > 0
    assert 0 < figures["nats_per_piece"] < np.log(12)
    assert json.loads((program / run_programs.FIGURES).read_text()) == figures


def test_a_training_that_ran_out_of_time_goes_on(
    trained: tuple[TextTraining, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "text"
    program.mkdir()
    for name in (run_programs.SPEC, run_programs.CODE, run_programs.START, run_programs.GIVEN):
        (program / name).write_bytes((trained[2] / name).read_bytes())
    monkeypatch.setattr(run_programs, "CHUNK", 20)
    # The clock stands still until the first chunk is through, and then all time is over.
    ticks = iter([0.0, 0.0])
    monkeypatch.setattr(run_programs, "monotonic", lambda: next(ticks, 1e6))
    assert run_programs.run(program, minutes=1)["steps"] == 20
    assert not (program / run_programs.TRAINED).exists()
    monkeypatch.undo()
    assert run_programs.run(program, minutes=1)["steps"] == STEPS
    whole, parts = (run_programs.arrays(folder / run_programs.TRAINED) for folder in (trained[2], program))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_rows_come_once_an_epoch_and_other_ones_after_a_pause() -> None:
    spec = {"batch_size": 4, "total": 10, "seed": 3}
    rows = run_programs.rows_of(spec, 0)
    seen = np.concatenate([next(rows) for _ in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:4], next(run_programs.rows_of(spec, 50)))


def test_a_signature_is_read() -> None:
    code = """module {
  func.func private @inner(%arg0: tensor<i1>) -> tensor<i1> {
  func.func @main(%arg0: tensor<i64> loc("a"), %arg1: tensor<2x3xf32> loc("b")) -> (tensor<f32>, tensor<4xui8>) {
    return"""
    assert signature(code) == ([[[], "int64"], [[2, 3], "float32"]], [[[], "float32"], [[4], "uint8"]])


@pytest.mark.slow
def test_every_phase_of_the_generator_becomes_a_program(tmp_path: Path) -> None:
    """Whatever changes from step to step must be an argument; XLA would take it for a constant otherwise."""
    small = {"steps": 50, "batch_size": 4, "width": 16, "token_size": 16, "slot_size": 16}
    config = RunConfig.model_validate(
        {
            "data": {"picture_size": 16, "caption_length": 8},
            "language": small,
            "drawing": {"warmup_steps": 50, "adversarial_steps": 50, "batch_size": 4, "width": 16, "style_size": 16},
        }
    )
    random = np.random.default_rng(0)
    vocabulary = [*RESERVED, *"abcd"]
    captions = random.integers(len(RESERVED), len(vocabulary), [20, 2, 8])
    data = Captioned(random.integers(256, size=[20, 16, 16, 3], dtype=np.uint8), captions)
    phases: list[str] = []

    def elsewhere(model: keras.Model, batches: Batches, *, label: str, steps: int, **_: Any) -> None:
        with pytest.raises(ElsewhereError):
            fit_elsewhere(model, batches, folder=tmp_path, label=label, steps=steps)
        figures = run_elsewhere(tmp_path / label)
        assert all(np.isfinite(value) for value in figures.values() if isinstance(value, float))
        fit_elsewhere(model, batches, folder=tmp_path, label=label, steps=steps)
        phases.append(label)

    model = learn_language(data, np.zeros([0, 8], np.int64), vocabulary, config, fit=elsewhere)
    learn_to_draw(data, model, config, fit=elsewhere)
    assert phases == ["language_model", "generator_warmup", "generator_adversarial"]
