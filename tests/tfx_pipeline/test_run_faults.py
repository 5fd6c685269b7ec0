"""A run and a push whose disk fails: one sentence with the cure, nothing half-pushed, and the same command goes on."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from disks import Disk, fault, new_disk
from test_components import card, saved_model, versions

from tfx_pipeline.config import RunConfig
from tfx_pipeline.local_run import RunError, narrated, run_local
from tfx_pipeline.pushing.versions import push, same_tree
from tfx_pipeline.runs.root import Root

CURES = {
    "ENOSPC": r"free disk space \(0 MB are left\), for example with `easel runs clean --keep 3`",
    "EROFS": "mount it writable, or choose another --root",
    "EIO": "check the disk and its connection",
    "EMFILE 3": "raise the limit on open files, `ulimit -n 4096`",
}


class Reached(BaseException):
    """The run has come far enough."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with new_disk(tmp_path, 8) as made:
        yield made


def at(component: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something once a component starts."""

    def say(line: str) -> None:
        if line.startswith("[") and line.split()[-1] == component:
            act()

    return say


def failure(root: Root, pictures: Path, say: Callable[[str], None]) -> str:
    """What a run says that fails; the error itself would keep files of the root open."""
    try:
        run_local(root, pictures, RunConfig(), say=say)
    except RunError as error:
        return str(error)
    pytest.fail("the run did not fail")


def stop() -> None:
    raise Reached


@pytest.mark.parametrize("name", CURES)
def test_a_run_ends_with_the_cure_and_goes_on_afterwards(disk: Disk, pictures: Path, name: str) -> None:
    root = Root(disk.path / "root")
    with ExitStack() as failing:
        told = failure(root, pictures, at("StatisticsGen", lambda: failing.enter_context(fault(name, disk))))
    assert re.fullmatch(rf"StatisticsGen failed: .+\. The log is .+\.log; {CURES[name]}, then run the same .+\.", told)
    assert not root.pushed.exists()
    with pytest.raises(Reached):
        run_local(root, pictures, RunConfig(), say=at("SchemaGen", stop))


@pytest.mark.parametrize("name", ["ENOSPC", "EROFS", "EIO", "EMFILE 1"])
def test_a_push_leaves_no_half_of_a_version_and_works_afterwards(tmp_path: Path, disk: Disk, name: str) -> None:
    first, base = saved_model(tmp_path / "first"), disk.path / "pushed"
    push(first, base, card(100))
    second = saved_model(tmp_path / "second", "another graph")
    (second / "variables/variables.data").write_bytes(bytes(50_000))
    with fault(name, disk), pytest.raises(OSError):
        push(second, base, card(200))
    assert versions(base) == ["100"]
    assert same_tree(first, base / "100")
    assert push(second, base, card(200)).name == "200"
    assert sorted(path.name for path in base.iterdir()) == ["100", "200"]


def test_a_push_waits_for_a_disk_that_stalls(tmp_path: Path, disk: Disk) -> None:
    model = saved_model(tmp_path / "model")
    with disk.stalled():
        place = push(model, disk.path / "pushed", card(100))
    assert same_tree(model, place)


def test_what_a_component_made_outlasts_a_power_cut(disk: Disk) -> None:
    root = Root(disk.path / "root")
    made = root.pipeline / "Transform/examples/1/data"
    made.parent.mkdir(parents=True)
    with narrated(root, lambda line: None):
        made.write_bytes(b"1")
        logging.getLogger("absl").info("Component %s is finished.", "Transform")
        logging.getLogger("absl").info("Component %s is finished.", "LastData")
        disk.fail()
    disk.repair()
    assert made.read_bytes() == b"1"
