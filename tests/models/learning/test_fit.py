import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from models.learning.fit import EPOCHS, Cosine, backups, fit, save_grid
from models.learning.inputs import Batches

STEPS = 2 * EPOCHS


class KilledError(Exception):
    """Stands in for the end of the process."""


class Dies(keras.Model):
    """A linear model that ends its training at a step, where one is given."""

    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.dies_at = dies_at
        self.build((None, 2))

    def build(self, shape: Any) -> None:
        self.dense.build(shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.dense(x)

    def train_step(self, batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        if self.dies_at is not None and int(self.optimizer.iterations.numpy()) >= self.dies_at:
            raise KilledError
        return super().train_step(batch)


def compiled(dies_at: int | None = None, rate: float = 0.01) -> Dies:
    keras.utils.set_random_seed(0)
    model = Dies(dies_at)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse", run_eagerly=True)
    return model


def batches() -> Batches:
    """The same rows in the same order whenever a training begins, so that a resumed one can be compared."""
    x = tf.constant(np.random.default_rng(0).standard_normal((32, 2)).astype(np.float32))

    def pick(number: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.gather(x, (8 * number + tf.range(8, dtype=tf.int64)) % 32)
        return chosen, tf.reduce_sum(chosen, axis=1, keepdims=True)

    return Batches(32, 8, 0, pick)


def train(model: Dies, place: Path, *, steps: int = STEPS, **options: Any) -> int:
    """Train and return the optimizer's count of steps."""
    fit(model, batches(), label="line", steps=steps, checkpoints=place / "backup", run_dir=place / "run", **options)
    return int(model.optimizer.iterations.numpy())


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("steps", "done"), [(STEPS, STEPS), (EPOCHS, EPOCHS), (7, 7), (1, 1), (45, 40)])
def test_training_takes_its_steps(tmp_path: Path, steps: int, done: int) -> None:
    assert train(compiled(), tmp_path, steps=steps) == done


def test_training_learns(tmp_path: Path) -> None:
    train(compiled(rate=0.1), tmp_path, steps=100)
    assert lines(tmp_path)[-1]["loss"] < lines(tmp_path)[0]["loss"] / 4


def test_a_killed_training_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KilledError):
        train(compiled(dies_at=25), tmp_path)
    reached = lines(tmp_path)[-1]["step"]
    assert reached == 24
    again = compiled()
    assert train(again, tmp_path) == STEPS
    assert [line["step"] for line in lines(tmp_path)] == list(range(2, STEPS + 1, STEPS // EPOCHS))
    assert f"line: resumed at step {reached} of {STEPS}" in capsys.readouterr().err


def test_a_resumed_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(compiled(dies_at=25), tmp_path)
    again, unbroken = compiled(), compiled()
    train(again, tmp_path)
    train(unbroken, tmp_path / "unbroken")
    for first, second in zip(again.variables, unbroken.variables, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_a_training_killed_before_its_first_backup_starts_over(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(compiled(dies_at=0), tmp_path)
    assert train(compiled(), tmp_path) == STEPS


def test_a_complete_phase_is_not_trained_again(tmp_path: Path) -> None:
    first = compiled()
    train(first, tmp_path)
    weights, told = first.get_weights(), lines(tmp_path)
    again = compiled()
    assert train(again, tmp_path) == STEPS
    assert lines(tmp_path) == told
    for before, after in zip(weights, again.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit])
@pytest.mark.parametrize(("damaged", "resumed"), [(1, 28), (2, 0)])
def test_a_damaged_backup_gives_way_to_the_one_before(
    tmp_path: Path, damage: Callable[[Path], None], damaged: int, resumed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KilledError):
        train(compiled(dies_at=30), tmp_path)
    for file in backups(tmp_path / "backup/line")[:damaged]:
        damage(file)
    assert train(compiled(), tmp_path) == STEPS
    told = capsys.readouterr().err
    assert told.count("is damaged: resuming from the previous checkpoint") == damaged
    assert (f"resumed at step {resumed} of {STEPS}" in told) == (resumed > 0)


def test_two_backups_are_kept(tmp_path: Path) -> None:
    train(compiled(), tmp_path)
    kept = sorted(path.name[:2] for path in (tmp_path / "backup/line").iterdir())
    assert kept == [f"{EPOCHS - 1}", f"{EPOCHS}"]


def test_a_training_leaves_its_losses_and_events(tmp_path: Path) -> None:
    train(compiled(), tmp_path)
    told = lines(tmp_path)
    assert len(told) == EPOCHS
    assert {line["phase"] for line in told} == {"line"}
    assert all(np.isfinite(line["loss"]) for line in told)
    assert list((tmp_path / "run/tensorboard/line").rglob("events.out.tfevents.*"))


def drawing(count: int) -> Callable[[], NDArray[np.uint8]]:
    return lambda: np.full((count, 4, 4, 3), 200, np.uint8)


def test_a_training_leaves_four_grids_of_samples(tmp_path: Path) -> None:
    train(compiled(), tmp_path, samples=drawing(20))
    names = sorted(path.name for path in (tmp_path / "run/samples").iterdir())
    assert names == [f"line-{step:07}.png" for step in (10, 20, 30, 40)]


def test_a_training_that_diverges_stops(tmp_path: Path) -> None:
    model = compiled()
    model.dense.kernel.assign(np.full((2, 1), np.nan))
    assert train(model, tmp_path) < STEPS


def test_a_grid_fills_its_last_row_with_black(tmp_path: Path) -> None:
    pictures = drawing(5)()
    save_grid(pictures, tmp_path / "grids/a.png", columns=3)
    with Image.open(tmp_path / "grids/a.png") as grid:
        pixels = np.asarray(grid)
    assert pixels.shape == (8, 12, 3)
    np.testing.assert_array_equal(pixels[:4], np.full((4, 12, 3), 200))
    np.testing.assert_array_equal(pixels[4:, 8:], np.zeros((4, 4, 3)))


def test_a_full_grid_has_no_black(tmp_path: Path) -> None:
    save_grid(drawing(6)(), tmp_path / "a.png", columns=3)
    with Image.open(tmp_path / "a.png") as grid:
        assert np.asarray(grid).min() == 200


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    rate = Cosine(0.01, 1000, floor=0.1)
    steps = np.arange(1001)
    rates = np.array([float(rate(tf.constant(step, tf.int64))) for step in steps])
    assert rates[0] == pytest.approx(0.0001)
    assert rates.max() < 0.01
    assert 90 <= rates.argmax() <= 100
    assert np.all(np.diff(rates[100:]) < 0)
    assert rates[-1] == pytest.approx(0.001)
    assert float(rate(tf.constant(5000, tf.int64))) == pytest.approx(0.001)


def test_the_rate_is_made_again_from_its_config() -> None:
    rate = Cosine(0.01, 50, floor=0.2)
    assert float(Cosine.from_config(rate.get_config())(10)) == float(rate(10))
