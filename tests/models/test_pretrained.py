import hashlib
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.quality import judge
from benchmarks.quality.drawing import told
from models.pretrained import HERE, load_pretrained, origin, pieces
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED


@pytest.fixture(scope="module")
def model() -> TextToImage:
    return load_pretrained()


def test_the_weights_are_small_enough_to_carry() -> None:
    assert sum(file.stat().st_size for file in HERE.glob("*.keras")) < 10_000_000


def test_a_fresh_process_loads_them() -> None:
    program = "from models.pretrained import load_pretrained; print(type(load_pretrained().generator).__module__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "models.generator\n"), done.stderr


def test_its_words_and_files_are_known_without_loading_it(model: TextToImage) -> None:
    assert [*RESERVED, *pieces()] == model.generator.language_model.vocabulary
    for name, file in (("language_model", "generator"), ("generator", "generator"), ("restorer", "restorer")):
        digest = hashlib.sha256((HERE / f"{file}.keras").read_bytes()).hexdigest()
        assert origin(name) == f"pretrained {file}.keras {digest[:16]}"


def test_captions_of_single_objects_that_were_withheld_are_obeyed(model: TextToImage) -> None:
    asked = told(100, size=32, seed=5, shares={"single": 1.0}, withheld=True, canonical=True)
    captions = [pair[number % 2] for number, pair in enumerate(asked.captions)]
    drawn = model.generate(captions, seed=list(range(100)), expand=False)
    assert judge.all_right(drawn, asked.scenes).mean() > 0.8


def test_a_bare_prompt_becomes_a_scene_that_shows_it(model: TextToImage) -> None:
    read = judge.read(model.generate(["a red circle"] * 32, seed=list(range(32))))
    things = [{(sprite.shape, sprite.colour) for sprite in scene.sprites} if scene else set() for scene in read]
    assert np.mean([("circle", "red") in each for each in things]) > 0.4
