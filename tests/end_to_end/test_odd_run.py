"""A run over odd pictures."""

import json
import subprocess
from pathlib import Path

import pytest
from easel_process import EASEL, write_config
from odd_data import lay_out

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def test_a_run_takes_or_lists_every_picture(tmp_path: Path) -> None:
    made = lay_out(tmp_path / "odd", 480)
    config = write_config(tmp_path / "tiny.toml")
    config.write_text(config.read_text(encoding="utf-8") + "\n[data]\nmax_quarantine = 0.9\n", encoding="utf-8")
    root = tmp_path / "root"
    command = [EASEL, "run", "--data", str(made.root), "--root", str(root), "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (listed,) = (root / "pipeline/FolderExampleGen/examples").glob("*/quarantine.jsonl")
    rows = [json.loads(line)["file_name"] for line in listed.read_text(encoding="utf-8").splitlines()]
    assert set(rows) == made.aside
    show = [EASEL, "runs", "show", "--root", str(root), "--json"]
    told = json.loads(subprocess.run(show, capture_output=True, text=True, check=True).stdout)
    assert told["data"]["pictures"] == len(made.legal)
