"""Clients that others wrote agree with the server; `make test-clients` installs them and runs this."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fake_models
import pytest

from serving.process import ServerProcess

HERE = Path(__file__).parent
OVMS, NODE = HERE / ".venv" / "bin" / "python", HERE / "node_modules"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    root = tmp_path_factory.mktemp("models")
    fake_models.half_plus(root / "half_plus_two" / "123", 2.0)
    with ServerProcess(root) as process:
        yield process


def said(*command: str) -> dict[str, object]:
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not OVMS.exists(), reason="`make test-clients` installs it")
def test_ovmsclient(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("server")
    answers = said(str(OVMS), "ovms.py", server.grpc_address, server.rest_address)
    expected = {"status": {"123": "AVAILABLE"}, "inputs": ["x"], "y": [2.5, 3.0]}
    assert answers == {"grpc": expected, "http": expected}


@pytest.mark.skipif(not NODE.exists(), reason="`make test-clients` installs it")
def test_node(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("server")
    assert said("node", "node.mjs", server.grpc_address) == {"y": [2.5, 3.0], "version": 123}
