"""One loaded version, without a server around it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_native_id

import fake_models
import numpy as np
import pytest
import tensorflow as tf

from serving.server.errors import StatusError
from serving.server.servable import Servable
from serving.warmup import write_warmup

TEXT = np.array([b"a\x00"], object)


@pytest.fixture(scope="module")
def column(tmp_path_factory: pytest.TempPathFactory) -> Servable:
    """Doubles a column of numbers, [None, 1], and hands texts through."""
    module = tf.Module()

    @tf.function(input_signature=[fake_models.spec(tf.float32, "x", [None, 1]), fake_models.spec(tf.string, "text")])
    def double(x: tf.Tensor, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 2 * x, "text": text, "size": tf.size(x)}

    folder = fake_models.export(module, tmp_path_factory.mktemp("column") / "1", serving_default=double)
    return Servable("column", 1, folder)


@pytest.mark.parametrize("shape", [(), (3,), (3, 1), (3, 2), (0, 1)])
def test_inputs_are_not_held_against_static_shapes(column: Servable, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 1.5, np.float32)
    outputs = column.run("serving_default", {"text": TEXT, "x": x})
    assert np.array_equal(outputs["y"], 2 * x) and outputs["y"].shape == shape
    assert outputs["size"].shape == () and outputs["size"] == x.size


def test_texts_keep_their_zeros(column: Servable) -> None:
    outputs = column.run("serving_default", {"text": TEXT, "x": np.ones(1, np.float32)}, ["text"])
    assert list(outputs) == ["text"] and outputs["text"].tolist() == [b"a\x00"]


def test_many_threads_each_get_their_own_answer(column: Servable) -> None:
    def doubled(number: int) -> float:
        given = {"text": TEXT, "x": np.array([number], np.float32)}
        return float(column.run("serving_default", given)["y"][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(doubled, range(200))) == [2.0 * number for number in range(200)]


def test_an_error_of_the_model_has_its_code(tmp_path: Path) -> None:
    servable = Servable("picky", 1, fake_models.half_plus(tmp_path / "1", 2.0))
    with pytest.raises(StatusError, match="x must be below 10") as refused:
        servable.run("picky", {"x": np.array([11.0], np.float32)})
    assert refused.value.code.name == "INVALID_ARGUMENT"


@pytest.mark.parametrize("name", ["工作", "models [v2] *?", "a'b \\c"])
def test_a_model_with_variables_lies_wherever_the_system_allows(tmp_path: Path, name: str) -> None:
    servable = Servable("half", 1, fake_models.half_plus(tmp_path / "plain", 2.0).rename(tmp_path / name))
    assert servable.run("serving_default", {"x": np.array([2.0], np.float32)})["y"].tolist() == [3.0]


def test_a_version_that_gives_way_is_warm_and_leaves_the_thread_that_loads_it_as_it_was(tmp_path: Path) -> None:
    folder = fake_models.half_plus(tmp_path / "1", 2.0)
    write_warmup(folder, "half", [("serving_default", {"x": np.ones(1, np.float32)})] * 2)
    before = os.getpriority(os.PRIO_PROCESS, get_native_id())
    assert Servable("half", 1, folder, gives_way=True).warmups == 2
    assert os.getpriority(os.PRIO_PROCESS, get_native_id()) == before
