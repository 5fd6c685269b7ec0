"""`easel run --watch` around a program that stands in for the runs, since only when they begin is asked here."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easel.watch import stamp, state

# A shell's background jobs ignore interrupts, and hand that on.
PROGRAM = """
import signal
import sys
from pathlib import Path
from easel.watch import watch_data
signal.signal(signal.SIGINT, signal.default_int_handler)
place = Path(sys.argv[1])
if "--watch" in sys.argv:
    sys.exit(watch_data(place / "data", 0.05))
with (place / "log").open("a") as log:
    log.write("ran ")
sys.exit(int((place / "code").read_text()))
"""

Watch = Callable[[int], subprocess.Popen[bytes]]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Starts a watcher whose runs end with an exit code."""
    (tmp_path / "data").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    started: list[subprocess.Popen[bytes]] = []

    def start(code: int) -> subprocess.Popen[bytes]:
        (tmp_path / "code").write_text(str(code))
        command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path), "--watch"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def runs(place: Path) -> int:
    return (place / "log").read_text().count("ran") if (place / "log").exists() else 0


def wait_for(place: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while runs(place) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("code", [0, 3, 4])
def test_a_run_begins_at_once_and_again_when_a_span_comes(tmp_path: Path, watch: Watch, code: int) -> None:
    watch(code)
    wait_for(tmp_path, 1)
    time.sleep(1)
    assert runs(tmp_path) == 1
    (tmp_path / "data/span-0001").mkdir()
    wait_for(tmp_path, 2)


def test_a_run_that_failed_is_tried_again(tmp_path: Path, watch: Watch) -> None:
    watch(1)
    wait_for(tmp_path, 2)
    (tmp_path / "code").write_text("0")


def test_wrong_use_ends_the_watch(tmp_path: Path, watch: Watch) -> None:
    assert watch(2).wait(timeout=60) == 2
    assert runs(tmp_path) == 1


def test_an_interrupt_ends_the_watch_in_peace(tmp_path: Path, watch: Watch) -> None:
    process = watch(0)
    wait_for(tmp_path, 1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


def change_caption(data: Path) -> None:
    (data / "images/a.txt").write_text("a blue square")


def add_picture(data: Path) -> None:
    (data / "images/more").mkdir()
    (data / "images/more/b.png").touch()


def replace_picture(data: Path) -> None:
    """By an older one of the same size, as a sync from another machine does."""
    (data / "new").write_text("1234")
    os.utime(data / "new", ns=(0, 0))
    (data / "new").rename(data / "images/a.png")


@pytest.mark.parametrize(
    "change",
    [change_caption, add_picture, replace_picture, lambda data: (data / "images/a.png").unlink()],
    ids=["caption", "sub-folder", "older", "removed"],
)
def test_a_stamp_changes_with_every_picture_and_caption(tmp_path: Path, change: Callable[[Path], None]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_text("abcd")
    (tmp_path / "images/a.txt").write_text("a red circle")
    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    change(tmp_path)
    assert stamp(tmp_path) != before


def test_a_stamp_leaves_out_what_systems_write(tmp_path: Path) -> None:
    assert stamp(tmp_path / "nowhere") == {}
    (tmp_path / "span-0001").mkdir()
    before = stamp(tmp_path)
    assert set(before) == {"span-0001"}
    (tmp_path / "@eaDir").mkdir()
    (tmp_path / "@eaDir/thumbnail.jpg").touch()
    (tmp_path / ".DS_Store").touch()
    assert stamp(tmp_path) == before


def test_a_file_beside_the_data_is_watched_by_its_state(tmp_path: Path) -> None:
    assert state(tmp_path / "lines.txt") == ()
    (tmp_path / "lines.txt").write_text("one")
    before = state(tmp_path / "lines.txt")
    (tmp_path / "lines.txt").write_text("one\ntwo")
    assert () != state(tmp_path / "lines.txt") != before


def test_an_edited_caption_begins_a_run(tmp_path: Path, watch: Watch) -> None:
    (tmp_path / "data/images").mkdir()
    (tmp_path / "data/images/a.txt").write_text("a red circle")
    watch(0)
    wait_for(tmp_path, 1)
    change_caption(tmp_path / "data")
    wait_for(tmp_path, 2)
