import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from benchmarks.speed import check, page, rounds, rows
from benchmarks.speed.compiled import export_compiled
from benchmarks.speed.limits import flops
from benchmarks.speed.networks import Networks, inputs_for, keras_inference, our_inference, our_training
from benchmarks.speed.ways import Fused, Staged, differences
from easel import bench as command
from models.export import export_text_to_image
from models.generator import Generator
from models.language_model import LanguageModel
from models.restorer import Restorer
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED

WORDS = ("▁a", "▁red", "▁house", "▁it", "▁is", "▁snowing", "▁today", "▁cat", "▁under", "▁tree", "▁at", "▁night")
VOCABULARY = (*RESERVED, *WORDS, *"▁abcdeghiklnorstuwy今天的气很好")


def networks() -> Networks:
    keras.utils.set_random_seed(1)
    sizes = {"token_size": 8, "width": 16, "depth": 2, "slots": 2, "slot_size": 4, "reading_depth": 1}
    language_model = LanguageModel(VOCABULARY, length=12, **sizes)
    generator = Generator(language_model, picture_size=16, noise_size=2, style_size=16, frames=4, width=8, depth=2)
    restorer = Restorer(widths=(4, 8), depth=1)
    random = np.random.default_rng(4)
    for model in (language_model, generator, restorer):
        model.set_weights([weight + random.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    return Networks(language_model, generator, restorer)


@pytest.fixture(scope="module")
def tiny() -> Networks:
    return networks()


# ---- rounds ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: now[0])
    yield now


def test_sides_take_turns_and_the_median_counts(clock: list[float]) -> None:
    order = []

    def side(name: str, seconds: Iterator[float]) -> Any:
        def run() -> None:
            order.append(name)
            clock[0] += next(seconds)

        return run

    fast = side("fast", itertools.repeat(0.010))
    slow = side("slow", itertools.chain([0.020] * 2, itertools.cycle([0.020, 0.021, 0.022])))
    found = rounds.in_turn({"fast": fast, "slow": slow}, rounds=3, seconds=0.0)
    assert order == ["fast", "fast", "slow", "slow", *["fast", "slow"] * 3]
    assert found["fast"] == pytest.approx((10.0, 0.0))
    assert found["slow"].ms == pytest.approx(21.0)
    assert 0 < found["slow"].spread < rounds.WIDEST


def test_a_restless_machine_is_not_reported(clock: list[float]) -> None:
    times = itertools.cycle([0.01, 0.02, 0.04])

    def run() -> None:
        clock[0] += next(times)

    with pytest.raises(rounds.UnsteadyError, match=r"'it' spread by .* measure on idle cores") as refusal:
        rounds.in_turn({"it": run, "nothing": lambda: clock.__setitem__(0, clock[0] + 0.01)}, rounds=3, seconds=0.0)
    assert refusal.value.steady == {"nothing": pytest.approx((10.0, 0.0))}


# ---- work ------------------------------------------------------------------------------------------------------------


def test_work_is_counted_from_the_graph() -> None:
    def run(x: tf.Tensor, kernel: tf.Tensor, filters: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return (
            tf.matmul(x, kernel),
            tf.matmul(x[None], x[None], transpose_b=True),
            tf.nn.conv2d(tf.reshape(x, [1, 3, 5, 1]), filters, 1, "SAME"),
            tf.einsum("ab,bc->c", x, kernel),
            tf.function(lambda y: tf.matmul(y, kernel))(x),
        )

    shapes = ([3, 5], [5, 7], [3, 3, 1, 2])
    graph = tf.function(run).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))
    assert flops(graph) == 2 * (3 * 5 * 7 + 3 * 5 * 3 + 3 * 5 * 2 * 9 + 3 * 5 * 7 + 3 * 5 * 7)


def test_a_graph_of_any_batch_is_not_counted() -> None:
    graph = tf.function(lambda x: tf.matmul(x, tf.ones([5, 7]))).get_concrete_function(tf.TensorSpec([None, 5]))
    with pytest.raises(ValueError, match="trace the function for one batch size"):
        flops(graph)


@pytest.mark.parametrize("name", rows.NAMES)
def test_the_work_of_a_network_grows_with_the_batch(tiny: Networks, name: str) -> None:
    one, four = (flops(our_inference(tiny, name, inputs_for(tiny, batch).of(name), xla=False)[1]) for batch in (1, 4))
    assert 0 < one < four <= 4 * one


# ---- ways ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fused(tiny: Networks, tmp_path_factory: pytest.TempPathFactory) -> Fused:
    folder = tmp_path_factory.mktemp("fused")
    export_text_to_image(TextToImage(tiny.generator, tiny.restorer), folder)
    return Fused(folder)


@pytest.mark.slow
def test_xla_draws_the_same_pictures(tiny: Networks, fused: Fused, tmp_path: Path) -> None:
    export_compiled(TextToImage(tiny.generator, tiny.restorer), tmp_path)
    assert max(differences(Fused(tmp_path), fused)) <= rows.MOST_DIFFERENT


def test_plain_keras_draws_the_same_pictures(tiny: Networks, fused: Fused) -> None:
    way = Staged(TextToImage(tiny.generator, tiny.restorer))
    assert max(differences(way, fused)) <= rows.MOST_DIFFERENT


def test_bfloat16_draws_about_the_same(tiny: Networks) -> None:
    low = rows.low_networks(tiny)
    noise, embedding = inputs_for(tiny, 4).of("generator")
    full, rough = (each.generator([noise, embedding]).numpy() for each in (tiny, low))
    assert rough.dtype == np.float32
    assert 0 < np.abs(full - rough).max() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["language_model", "generator", "restorer"])
def test_our_training_step_lowers_its_loss(name: str) -> None:
    fresh = networks()
    step = our_training(fresh, name, inputs_for(fresh, 4))
    losses = [float(np.asarray(step())) for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", rows.NAMES)
def test_the_twin_in_pytorch_gives_the_same(tiny: Networks, name: str) -> None:
    pytest.importorskip("torch")
    from benchmarks.speed import twins

    inputs = inputs_for(tiny, 3).of(name)
    own, theirs = (
        our_inference(tiny, name, inputs, xla=False)[0](),
        twins.inference(twins.twin_of(tiny, name).eval(), inputs, compile_it=False)(),
    )
    for one, other in zip(tf.nest.flatten(own), tf.nest.flatten(theirs), strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-4)


# ---- the page, the check and the command -----------------------------------------------------------------------------


def figures(**changed: Any) -> dict[str, Any]:
    line = {"what": "prompt to PNG", "side": "ours", "batch": 1, "ms": 5.0, "spread": 0.03}
    return {
        **dict.fromkeys(rows.KEYS),
        "vs_keras": 2.5,
        "training_vs_torch_min": 1.25,
        "minutes": 3.0,
        "limits": {"fp32": 200.0, "bf16": 400.0},
        "machine": rows.machine(),
        "refused": {"start": "it was restless"},
        "lines": [{**line, "peak_share": 0.25, "bandwidth_share": None}],
        **changed,
    }


def test_the_page_has_targets_beside_measurements(tmp_path: Path) -> None:
    text = page.write_docs(figures(), tmp_path).read_text(encoding="utf-8")
    assert "| training step: speedup over PyTorch's best, worst network | at least 1x | 1.25x | reached |" in text
    assert "| prompt to PNG: speedup over plain Keras | at least 3x | 2.5x | missed |" in text
    assert "at most 900 MB | not measured |" in text
    assert "| ours | 1 | 5 | 3% | 25.0% |  |" in text
    assert "Refused: start, since it was restless." in text
    assert "<svg" in (tmp_path / "images" / "speed.svg").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))["vs_keras"] == 2.5


def test_rows_that_were_not_run_again_stay(tmp_path: Path) -> None:
    page.write_docs(figures(), tmp_path)
    line = {**figures()["lines"][0], "what": "a piece", "ms": 0.5}
    later = figures(vs_keras=None, decode_ms_per_token=0.5, lines=[line])
    text = page.write_docs(later, tmp_path).read_text(encoding="utf-8")
    assert "2.5x" in text and "0.5 ms" in text
    assert text.count("| ours | 1 |") == 2
    elsewhere = page.write_docs({**later, "machine": rows.machine() | {"cores": 64}}, tmp_path)
    assert "2.5x" not in elsewhere.read_text(encoding="utf-8")


def test_libraries_stand_side_by_side(tmp_path: Path) -> None:
    line = {"what": "restorer", "batch": 1, "spread": 0.03, "peak_share": None, "bandwidth_share": None}
    sides = {"ours": 4.0, "ours, XLA": 3.0, "PyTorch, eager": 5.0, "LiteRT": 2.0}
    timed = figures(lines=[{**line, "side": side, "ms": ms} for side, ms in sides.items()])
    text = page.write_docs(timed, tmp_path).read_text(encoding="utf-8")
    assert "| restorer | 1 | 4 | 3 |  | 5 |  |  | 2 | 0.50 |" in text
    assert rows.served_against_best(sides) == 0.5
    assert rows.served_against_best({"ours": 4.0}) is None


@pytest.mark.parametrize("name", ["generator", "restorer"])
def test_litert_and_keras_give_what_ours_gives(tiny: Networks, name: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="Install LiteRT: make install-dev")
    from benchmarks.speed import edge

    inputs = inputs_for(tiny, 3).of(name)
    own = our_inference(tiny, name, inputs, xla=False)[0]()
    for run in (edge.inference(tiny, name, inputs), keras_inference(tiny, name, inputs)):
        rows.check_same("It", name, own, run())


def test_another_output_is_refused(tiny: Networks) -> None:
    with pytest.raises(rows.SpeedError, match=r"LiteRT's restorer is not ours: the output differs by 0\.5"):
        rows.check_same("LiteRT", "restorer", tf.zeros([2]), np.array([0, 0.5], np.float32))


def test_the_page_is_one_file_too() -> None:
    text = page.html(figures())
    assert "data:image/svg+xml;base64," in text
    assert "<td>2.5x<td>missed" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_every_promised_figure_has_a_target() -> None:
    assert set(page.TARGETS) == set(rows.KEYS)


def test_a_ratio_that_falls_by_a_fifth_is_a_loss() -> None:
    recorded = {"vs_keras": 100.0, "decoding_vs_torch": 5.0, "training_vs_torch_min": None}
    assert list(check.lost(recorded, {"vs_keras": 81.0, "decoding_vs_torch": 4.1, "training_vs_torch_min": 0.1})) == []
    (sentence,) = check.lost(recorded, {"vs_keras": 79.0, "decoding_vs_torch": None})
    assert sentence == "vs_keras is 79, more than 20% below the 100 on record."
    assert check.compared(recorded, {"vs_keras": 79.0, "decoding_vs_torch": None}) == ["vs_keras"]


@pytest.mark.parametrize(("seen", "code"), [(90.0, 0), (50.0, 1)])
def test_the_command_fails_where_a_ratio_fell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: float, code: int
) -> None:
    (tmp_path / "speed.json").write_text(json.dumps(figures(vs_keras=100.0)), encoding="utf-8")
    monkeypatch.setattr(rows, "measure", lambda **given: figures(vs_keras=seen))
    done = CliRunner().invoke(command.app, ["speed", "--json", "--check", str(tmp_path / "speed.json")])
    assert done.exit_code == code
    assert json.loads(done.stdout)["vs_keras"] == seen
    assert ("below the 100 on record" in done.stderr) == bool(code)


def test_a_row_that_does_not_exist_is_wrong_use() -> None:
    done = CliRunner().invoke(command.app, ["speed", "--rows", "promt"])
    assert done.exit_code == 2
    assert "There is no row 'promt': choose among prompt, stages" in done.stderr
