import json
import math
from pathlib import Path

import fake_models
import pytest
from typer.testing import CliRunner

from benchmarks import serving
from easel import bench as command

PROMISED = {
    "p50_ms",
    "p99_ms",
    "overhead_p50_ms",
    "batching_gain",
    "share_of_in_process",
    "ready_s",
    "connections_held",
    "swap_failed_requests",
    "swap_p99_s",
    "reload_memory_growth",
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    models = tmp_path_factory.mktemp("pushed")
    fake_models.text_to_image(models / "text_to_image" / "1")
    effort = serving.Effort(seconds=0.5, calls=10, connections=20, swaps=1, reloads=2)
    return serving.measure(models, soak_minutes=0.02, effort=effort)


@pytest.mark.slow
def test_every_figure_is_a_number(figures: dict[str, float]) -> None:
    assert set(figures) >= PROMISED
    assert all(math.isfinite(value) for value in figures.values())


@pytest.mark.slow
def test_nothing_fails_on_a_healthy_server(figures: dict[str, float]) -> None:
    failures = {name: figures[name] for name in ("errors", "soak_errors", "swap_failed_requests")}
    assert failures == dict.fromkeys(failures, 0)
    assert figures["connections_held"] == 20
    assert figures["swap_requests"] > 10


@pytest.mark.slow
def test_times_and_rates_fit_together(figures: dict[str, float]) -> None:
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["overhead_p50_ms"] == pytest.approx(
        figures["served_p50_ms"] - figures["in_process_p50_ms"], abs=2e-3
    )
    assert figures["batching_gain"] == pytest.approx(figures["batched_per_s"] / figures["sequential_per_s"], abs=0.01)


def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(command.app, ["serving", "--models", str(tmp_path), "--json"])
    assert done.exit_code == 1
    assert "holds no version: train and push one with `easel run`" in done.stderr


def test_figures_are_one_flat_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "measure", lambda *given, **more: {"p50_ms": 1.5})
    done = CliRunner().invoke(command.app, ["serving", "--models", str(tmp_path), "--json"])
    assert json.loads(done.stdout) == {"p50_ms": 1.5}


def test_the_pretrained_models_can_be_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easel.pictures.unpacked", lambda root: root / "pretrained")
    monkeypatch.setattr(serving, "measure", lambda folder, **more: {"measured": str(folder)})
    done = CliRunner().invoke(command.app, ["serving", "--root", str(tmp_path), "--pretrained", "--json"])
    assert json.loads(done.stdout) == {"measured": str(tmp_path / "pretrained")}
