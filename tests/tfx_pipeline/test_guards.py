import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from tfx_pipeline.runs.guards import (
    RunError,
    check_metadata,
    check_path,
    check_serving_folder,
    cure,
    damage,
    is_under_way,
    keep_metadata,
    only_run,
)
from tfx_pipeline.runs.root import Root


def store_with_rows(root: Root, rows: int) -> None:
    with closing(sqlite3.connect(root.metadata)) as store, store:
        store.execute("CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY)")
        store.executemany("INSERT INTO runs VALUES (?)", [(f"{'x' * 500}{number}",) for number in range(rows)])


def count(store: Path) -> int:
    with closing(sqlite3.connect(store)) as opened:
        return int(opened.execute("SELECT COUNT(*) FROM runs").fetchone()[0])


def overwrite_the_middle(store: Path) -> None:
    content = bytearray(store.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    store.write_bytes(content)


# Two runs at once


def test_the_second_run_is_told_of_the_first(tmp_path: Path) -> None:
    with only_run(Root(tmp_path)), pytest.raises(RunError) as refused, only_run(Root(tmp_path)):
        pass
    assert f"Another run has been active in {tmp_path} since 2" in str(refused.value)
    assert f"(process {os.getpid()}): wait for it, or choose another --root." in str(refused.value)


def test_a_run_of_another_process_is_seen_while_it_lasts(tmp_path: Path) -> None:
    assert not is_under_way(Root(tmp_path))
    holding = (
        "import pathlib, sys\n"
        "from tfx_pipeline.runs.guards import only_run\n"
        "from tfx_pipeline.runs.root import Root\n"
        f"with only_run(Root(pathlib.Path({str(tmp_path)!r}))): print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", holding], **pipes) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == b"held\n"
        assert is_under_way(Root(tmp_path))
        other.stdin.close()
    assert not is_under_way(Root(tmp_path))
    with only_run(Root(tmp_path)):
        assert not is_under_way(Root(tmp_path))


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    holding = (
        "import os, signal, pathlib\n"
        "from tfx_pipeline.runs.guards import only_run\n"
        "from tfx_pipeline.runs.root import Root\n"
        f"with only_run(Root(pathlib.Path({str(tmp_path)!r}))): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", holding], check=False).returncode == -9
    assert (tmp_path / ".lock").read_text(encoding="utf-8")
    with only_run(Root(tmp_path)):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_holds_a_run_up_no_more_than_one_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def none(lock: IO[str], kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with only_run(Root(tmp_path)):
        assert f"(process {os.getpid()})" in (tmp_path / ".lock").read_text(encoding="utf-8")
        assert not is_under_way(Root(tmp_path))


# The serving folder


def test_a_root_that_can_be_written_passes_and_stays_as_it_is(tmp_path: Path) -> None:
    check_serving_folder(Root(tmp_path))
    (tmp_path / "pushed/restorer/1").mkdir(parents=True)
    check_serving_folder(Root(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["pushed", "restorer", "1"]


def test_a_serving_folder_on_a_disk_mounted_for_reading_is_refused(small_disk: Path) -> None:
    (small_disk / "pushed/restorer").mkdir(parents=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(RunError) as refused:
        check_serving_folder(Root(small_disk))
    assert str(refused.value) == (
        f"Cannot push to {small_disk}/pushed: Read-only file system; mount it writable, or choose another --root."
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_serving_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pushed").mkdir(mode=0o500)
    with pytest.raises(RunError, match="Permission denied; give this user access to it, or choose another --root"):
        check_serving_folder(Root(tmp_path))


# The root's path


@pytest.mark.parametrize("name", ["work [v2]", "工作", "a*b", "a\\b", "a\nb"])
def test_a_path_that_beam_misreads_is_refused(tmp_path: Path, name: str) -> None:
    check_path(Root(tmp_path / "Jane's work-2.0_b"))
    with pytest.raises(RunError) as refused:
        check_path(Root(tmp_path / name))
    assert str(refused.value) == (
        f"Beam cannot use the root {tmp_path / name}: choose a --root whose path is plain ASCII without *?[]\\. "
        "On Linux, any path works without --beam-runner."
    )


# The store of metadata


def test_a_sound_store_passes_and_so_does_none(tmp_path: Path) -> None:
    check_metadata(Root(tmp_path))
    assert list(tmp_path.iterdir()) == []
    store_with_rows(Root(tmp_path), 10)
    check_metadata(Root(tmp_path))


@pytest.mark.parametrize("ruin", [overwrite_the_middle, lambda store: store.write_bytes(b"not a database" * 1000)])
def test_a_damaged_store_is_refused_and_comes_back_by_the_command_that_is_named(tmp_path: Path, ruin: object) -> None:
    root = Root(tmp_path / "工作 [v2] a'b?c#d%41")
    root.path.mkdir()
    store_with_rows(root, 100)
    keep_metadata(root)
    assert callable(ruin)
    ruin(root.metadata)
    with pytest.raises(RunError) as refused:
        check_metadata(root)
    told = str(refused.value)
    assert told.startswith(f"The metadata store {root.metadata} is damaged (")
    subprocess.run(told.split("`")[1], shell=True, check=True)
    check_metadata(root)
    assert count(root.metadata) == 100
    assert root.metadata.with_name("metadata.sqlite.damaged").is_file()


def test_without_a_copy_a_new_store_is_the_cure(tmp_path: Path) -> None:
    root = Root(tmp_path)
    root.metadata.write_bytes(b"not a database" * 1000)
    with pytest.raises(RunError, match="starts a new one and keeps the pushed models") as refused:
        check_metadata(root)
    subprocess.run(str(refused.value).split("`")[1], shell=True, check=True)
    check_metadata(root)


def test_the_copy_is_of_the_last_time(tmp_path: Path) -> None:
    root = Root(tmp_path)
    store_with_rows(root, 3)
    keep_metadata(root)
    with closing(sqlite3.connect(root.metadata)) as store, store:
        store.execute("DELETE FROM runs WHERE name LIKE '%0'")
    assert count(root.kept_metadata) == 3
    keep_metadata(root)
    assert count(root.kept_metadata) == 2
    assert damage(root.kept_metadata) == ""


# Cures


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "free disk space ("),
        (RuntimeError("; No space left on device [while running 'Write']"), "free disk space ("),
        (RuntimeError("database or disk is full"), "free disk space ("),
        (OSError(errno.EFBIG, os.strerror(errno.EFBIG)), "raise the file size limit"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), "give this user access to it"),
        (ValueError("something else"), "fix the cause"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_the_disk_comes_with_its_cure(tmp_path: Path, error: Exception, words: str) -> None:
    assert cure(error, Root(tmp_path)).startswith(words)
