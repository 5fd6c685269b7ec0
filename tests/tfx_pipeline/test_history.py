from dataclasses import replace
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from tfx_pipeline.datasets.entries import fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.runs.history import Artifact, History, HistoryError, Run, Step
from tfx_pipeline.runs.root import Root
from tfx_pipeline.runs.store import open_store


def pusher(name: str, *, pushed: int, version: str = "1700000000") -> Step:
    properties = {"pushed": pushed, "pushed_version": version}
    return Step(f"Pusher.{name}", "ran", 1.0, {}, (Artifact("pushed_model", "PushedModel", "", properties),))


DONE = Run(
    "2026-11-01T10:00:00.000000",
    (
        Step("Trainer.generator", "ran", 9.0, {}),
        Step("Trainer.restorer", "cached", 0.0, {}),
        pusher("generator", pushed=1),
        pusher("restorer", pushed=0),
    ),
)


def with_state(state: str) -> Run:
    return replace(DONE, steps=(*DONE.steps, Step("Evaluator.restorer", state, 0.0, {})))


@pytest.mark.parametrize(
    ("run", "state"), [(DONE, "done"), (with_state("failed"), "failed"), (with_state("interrupted"), "interrupted")]
)
def test_a_run_is_as_its_worst_step(run: Run, state: str) -> None:
    assert run.state == state


def test_a_model_from_the_cache_was_not_trained() -> None:
    assert DONE.trained == ["generator"]


def test_only_what_was_pushed_counts_as_pushed() -> None:
    assert DONE.pushed == {"generator": "1700000000"}


def test_a_step_is_found_by_its_name() -> None:
    assert DONE.step("Trainer.generator") == DONE.steps[0]
    assert DONE.step("Trainer.language_model") is None


def test_the_id_is_the_time() -> None:
    assert DONE.started.year == 2026


def test_a_root_without_runs_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"There are no runs in .*: start one with `easel run --root "):
        History(Root(tmp_path))
    assert list(tmp_path.iterdir()) == []


# Over two real runs of the ExampleGens


@pytest.fixture
def runs(reading_run: Path) -> list[Run]:
    return History(Root(reading_run)).runs()


def test_runs_come_newest_first(runs: list[Run]) -> None:
    assert len(runs) == 2
    assert runs[0].started > runs[1].started
    assert [run.state for run in runs] == ["done", "done"]


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path) -> None:
    store = open_store(Root(tmp_path))
    kind = store.put_context_type(pb.ContextType(name="pipeline_run"))
    for name in ("2026-02-01T00:00:00", "2026-01-01T00:00:00"):
        store.put_contexts([pb.Context(type_id=kind, name=name)])
    assert [run.id for run in History(Root(tmp_path)).runs()] == ["2026-01-01T00:00:00", "2026-02-01T00:00:00"]


def test_the_second_run_came_from_the_cache(runs: list[Run]) -> None:
    assert {step.name: step.state for step in runs[1].steps} == {"FolderExampleGen": "ran", "TextExampleGen": "ran"}
    assert {step.state for step in runs[0].steps} == {"cached"}
    assert {step.seconds for step in runs[0].steps} == {0.0}
    assert all(step.seconds > 0 for step in runs[1].steps)


def test_both_runs_know_their_data(runs: list[Run], reading_run: Path) -> None:
    folder = reading_run / "pictures"
    for run in runs:
        assert run.data == {
            "folder": str(folder),
            "fingerprint": fingerprint(folder, read_folder(folder, decode=False).entries),
            "pictures": 23,
            "quarantined": 1,
            "caption": "red number 1",
            "file": str(reading_run / "lines.txt"),
            "file_fingerprint": "of lines",
        }


def test_both_runs_share_the_artifacts(runs: list[Run]) -> None:
    places = [[artifact.uri for step in run.steps for artifact in step.outputs] for run in runs]
    assert places[0] == places[1]
    assert len(places[0]) == 2
    assert all(Path(place).is_dir() for place in places[0])


def test_a_run_is_found_by_the_beginning_of_its_id(runs: list[Run], reading_run: Path) -> None:
    history = History(Root(reading_run))
    assert history.run("latest") == runs[0]
    assert history.run(runs[1].id) == runs[1]
    unique = next(end for end in range(1, 40) if not runs[0].id.startswith(runs[1].id[:end]))
    assert history.run(runs[1].id[:unique]) == runs[1]


def test_an_unknown_or_ambiguous_run_is_refused_with_the_ones_there_are(runs: list[Run], reading_run: Path) -> None:
    history = History(Root(reading_run))
    with pytest.raises(HistoryError, match="No run begins with 'x': choose from ") as refused:
        history.run("x")
    assert all(run.id in str(refused.value) for run in runs)
    with pytest.raises(HistoryError, match="Several runs begin with '2': choose from "):
        history.run("2")
