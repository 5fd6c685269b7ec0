import logging
from pathlib import Path

import pytest
from absl import logging as absl_logging
from disks import fill

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.entries import DataSetError
from tfx_pipeline.judging.verdict import Verdict
from tfx_pipeline.local_run import (
    RunError,
    file_fingerprint,
    first_line,
    narrated,
    refusal,
    run_local,
)
from tfx_pipeline.runs.guards import only_run
from tfx_pipeline.runs.history import Artifact, Run, Step
from tfx_pipeline.runs.root import Root

RUNNING = "Component %s is running."


def test_a_second_run_in_a_root_is_refused_and_told_of_the_first(tmp_path: Path, pictures: Path) -> None:
    with only_run(Root(tmp_path)):
        since = (tmp_path / ".lock").read_text(encoding="utf-8")
        with pytest.raises(RunError) as refused:
            run_local(Root(tmp_path), pictures, RunConfig(), say=lambda line: None)
    assert str(refused.value) == (
        f"Another run has been active in {tmp_path} since {since}: wait for it, or choose another --root."
    )


def test_a_serving_folder_that_is_none_is_refused_before_anything_runs(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "pushed").write_text("a file")
    with pytest.raises(RunError, match=r"Cannot push to .*/pushed: Not a directory; move the file that is in the way"):
        run_local(Root(tmp_path), pictures, RunConfig(), say=lambda line: None)
    assert not Root(tmp_path).metadata.exists()


def test_a_full_disk_ends_a_run_with_the_cure_and_pushes_nothing(small_disk: Path, pictures: Path) -> None:
    fill(small_disk / "ballast", leaving=200_000)
    with pytest.raises(RunError, match=r"free disk space \(0 MB are left\), .* then run the same"):
        run_local(Root(small_disk), pictures, RunConfig(), say=lambda line: None)
    assert not Root(small_disk).pushed.exists()


def test_a_root_is_free_again_after_a_run(tmp_path: Path) -> None:
    for _ in range(2):
        with only_run(Root(tmp_path)):
            pass
    with pytest.raises(ValueError, match="ended"), only_run(Root(tmp_path)):
        raise ValueError("ended")
    with only_run(Root(tmp_path)):
        pass


def test_two_roots_run_side_by_side(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with only_run(Root(tmp_path / "one")), only_run(Root(tmp_path / "two")):
        pass


def test_every_component_is_told_as_it_starts(tmp_path: Path) -> None:
    said: list[str] = []
    begun: list[str] = []
    with narrated(Root(tmp_path), said.append, begun.append) as narrator:
        assert narrator.component == "The pipeline"
        logging.getLogger("absl").info(RUNNING, "Transform")
        logging.getLogger("absl").info("Component %s is finished.", "Transform")
        logging.getLogger("elsewhere").warning("a warning of a library")
        logging.getLogger().info(RUNNING, "Trainer.generator")
    assert said == ["[ 1] 0:00 Transform", "[ 2] 0:00 Trainer.generator"]
    assert begun == ["Transform", "Trainer.generator"]
    assert "a warning of a library" in narrator.log.read_text(encoding="utf-8")
    assert narrator.component == "Trainer.generator"


def test_the_loggers_are_as_before_afterwards(tmp_path: Path) -> None:
    logger = logging.getLogger()
    before = (logger.handlers[:], logger.level, absl_logging.get_verbosity())
    with narrated(Root(tmp_path), lambda line: None):
        assert logger.handlers != before[0]
    assert (logger.handlers, logger.level, absl_logging.get_verbosity()) == before


def test_a_data_set_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(DataSetError, match="There is no folder"):
        run_local(Root(tmp_path / "root"), tmp_path / "nowhere", RunConfig(), say=said.append)
    assert not Root(tmp_path / "root").metadata.exists()
    assert said == [f"reading {tmp_path / 'nowhere'}"]


def test_a_text_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(DataSetError, match=r"The text file .*none\.txt cannot be read: No such file or directory\."):
        run_local(Root(tmp_path / "root"), pictures, RunConfig(), text=tmp_path / "none.txt", say=lambda line: None)
    assert not Root(tmp_path / "root").metadata.exists()


def test_a_component_that_fails_is_one_sentence_with_the_log(tmp_path: Path, pictures: Path) -> None:
    root = Root(tmp_path / "root")
    root.path.mkdir()
    root.pipeline.write_text("a file where the artifacts go")
    with pytest.raises(RunError) as failed:
        run_local(root, pictures, RunConfig(), say=lambda line: None)
    told = str(failed.value)
    (log,) = root.logs.iterdir()
    assert told.startswith("FolderExampleGen failed: ")
    assert told.count("\n") == 0
    assert f"The log is {log}; fix the cause, then run the same command to resume." in told
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_text_is_known_by_its_bytes(tmp_path: Path) -> None:
    for name, content in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).write_text(content)
    first, same, other = (file_fingerprint(tmp_path / name) for name in "abc")
    assert first == same != other


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one."),
        (ValueError("a sentence."), "a sentence."),
        (ValueError(""), "no message."),
        (KeyError("name"), "'name'."),
    ],
)
def test_an_error_is_told_by_its_first_line(error: Exception, line: str) -> None:
    assert first_line(error) == line


def checked(blessed: int, reason: str) -> Run:
    properties = {"blessed": blessed, "reason": reason}
    outputs = (Artifact("blessing", "InfraBlessing", "", properties),)
    return Run("2026-01-01", (Step("ServingValidator", "ran", 1.0, {}, outputs),))


def test_the_models_that_missed_are_told_first() -> None:
    good = Verdict("generator", True, {}, ())
    bad = Verdict("restorer", False, {}, ("SSIM 0.61 < 0.70",))
    assert refusal(checked(0, "nothing was assembled"), [good, bad]) == "restorer not blessed: SSIM 0.61 < 0.70"


def test_a_model_that_does_not_serve_is_told_with_its_reason() -> None:
    good = Verdict("generator", True, {}, ())
    assert refusal(checked(0, "it does not load"), [good]) == "the serving check failed: it does not load"
    assert refusal(checked(1, "it answered"), [good]) == ""


def test_a_text_that_is_not_utf_8_is_refused_with_its_byte(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(b"a line\n\xff")
    with pytest.raises(DataSetError, match=r"lines\.txt line 2 is not UTF-8 at its byte 0; save the file as"):
        file_fingerprint(file)
