"""Data sets larger than memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from held_by_trainings import SIZE

FEW, MANY = 6_000, 24_000


def held(folder: Path, count: int) -> float:
    """Bytes that cannot be given back while all Trainers read so many pictures."""
    command = [sys.executable, str(Path(__file__).with_name("held_by_trainings.py")), str(folder), str(count)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    print(f"{count} pictures: {float(done.stdout):.0f} MiB")
    return float(done.stdout) * 2**20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells anonymous memory from mapped files")
def test_memory_hardly_grows_with_the_number_of_pictures(tmp_path: Path) -> None:
    few, many = held(tmp_path / "few", FEW), held(tmp_path / "many", MANY)
    a_picture = (many - few) / (MANY - FEW)
    print(f"{a_picture:.0f} bytes a picture")
    # Of the 12,288 of its pixels; what remains is its place in the order of an epoch, and which captions it has.
    assert a_picture < SIZE * SIZE * 3 / 4
