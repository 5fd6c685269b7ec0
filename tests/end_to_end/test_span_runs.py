"""Data that come in spans: trainings that go on from the last one, drift, and a root that is cleaned."""

import json
import shutil
from typing import Any

import pytest
from easel_process import MODELS, Stage, easel, run_stage, succeeded, write_config
from PIL import Image

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def spans_run(whole_line: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A copy of a root goes on: its data have become the first of two spans; the pictures of the second are dark."""
    folder = tmp_path_factory.mktemp("spans")
    root, data = folder / "root", folder / "data"
    shutil.copytree(whole_line.root, root)
    shutil.copytree(whole_line.data, data / "span-0001")
    assert easel("data", "shapes", "--out", data / "span-0002", "--count", 400, "--seed", 9).returncode == 0
    for file in (data / "span-0002/images").iterdir():
        with Image.open(file) as picture:
            dark = picture.point(lambda value: value // 4)
        dark.save(file)
    return run_stage(root, data, "--config", write_config(folder / "tiny.toml"), "--json")


@pytest.fixture(scope="module")
def idle_run(spans_run: Stage) -> Stage:
    """The same command once more, as a scheduler gives it."""
    return spans_run.run("--config", spans_run.data.parent / "tiny.toml")


@pytest.fixture(scope="module")
def drifted_run(idle_run: Stage) -> Stage:
    """Back to the bright pictures alone, and drift stops the run."""
    shutil.rmtree(idle_run.data / "span-0002")
    return idle_run.run("--config", write_config(idle_run.data.with_name("stop.toml"), on_drift="stop"))


@pytest.fixture(scope="module")
def cleaned(drifted_run: Stage) -> dict[str, Any]:
    """What `easel runs clean` says of a root where only the newest run stays whole."""
    done = easel("runs", "clean", "--keep", 1, "--root", drifted_run.root, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_newest_spans_are_trained_on_together(spans_run: Stage) -> None:
    told = succeeded(spans_run)
    assert set(told["trained"]) == {"language_model", "generator", "restorer"}
    shown = json.loads(easel("runs", "show", told["run"], "--root", spans_run.root, "--json").stdout)
    assert (shown["data"]["spans"], shown["data"]["pictures"]) == ("span-0001 span-0002", 799)


def test_new_data_are_learned_from_the_last_pushed_weights(spans_run: Stage) -> None:
    for model in MODELS[:3]:
        told = f"{model} starts from the weights in pipeline/Trainer.{model}/model/"
        assert told in spans_run.done.stderr
    (version,) = set(succeeded(spans_run)["pushed"].values())
    card = json.loads((spans_run.root / f"pushed/restorer/{version}/assets.extra/model_card.json").read_text())
    assert "/Trainer.restorer/model/" in card["warm_start"]


def test_drift_is_a_warning_with_a_page_of_pictures(spans_run: Stage) -> None:
    assert "drift of brightness" in succeeded(spans_run)["drift"]
    assert (spans_run.root / "drift.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 2


def test_nothing_new_trains_nothing_and_says_so(spans_run: Stage, idle_run: Stage) -> None:
    assert idle_run.done.returncode == 0, idle_run.done.stderr
    assert "Nothing new: run " in idle_run.done.stdout
    assert "used span-0001 to span-0002. Nothing was trained." in idle_run.done.stdout
    assert "[ 1]" not in idle_run.done.stdout + idle_run.done.stderr
    assert idle_run.pushed == spans_run.pushed


def test_drift_stops_a_run_that_is_told_to_stop(idle_run: Stage, drifted_run: Stage) -> None:
    assert drifted_run.done.returncode == 4, drifted_run.done.stderr
    assert "The data have drifted: drift of brightness " in drifted_run.done.stderr
    assert ": step " not in drifted_run.done.stderr
    assert drifted_run.pushed == idle_run.pushed


def test_cleaning_gives_disk_back_and_keeps_what_pushed_models_came_from(
    drifted_run: Stage, cleaned: dict[str, Any]
) -> None:
    assert cleaned["artifacts"] > 5 and cleaned["megabytes"] > 0
    for model in MODELS[:3]:
        for version in drifted_run.pushed[model]:
            card = drifted_run.root / f"pushed/{model}/{version}/assets.extra/model_card.json"
            begun = json.loads(card.read_text(encoding="utf-8"))["warm_start"]
            assert not begun or (drifted_run.root / begun / "Format-Serving").is_dir()
    again = easel("runs", "clean", "--keep", 1, "--root", drifted_run.root, "--json")
    assert json.loads(again.stdout)["artifacts"] == 0


def test_a_cleaned_root_still_lists_its_runs(cleaned: dict[str, Any], drifted_run: Stage) -> None:
    listed = json.loads(easel("runs", "--root", drifted_run.root, "--json").stdout)
    assert len(listed) == 3
    assert cleaned["kept"] == [listed[0]["run"]]
