"""The servers that the cases are asked of.

Each is one process for all cases that need its flags. With --serving-address only the cases of the first are asked.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import served_models
from asking import Ask, Stubs
from launching import EMBEDDED, Server, launched, text_file

BATCHING = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 400000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
"""
COUNTED = 'prometheus_config { enable: true path: "/counted" }'


@pytest.fixture(scope="session")
def command(request: pytest.FixtureRequest) -> str:
    """The command that starts a server."""
    if request.config.getoption("--serving-address"):
        pytest.skip("this case starts a server of its own: give --serving-binary instead of --serving-address")
    return request.config.getoption("--serving-binary") or shutil.which("tensorflow_model_server") or EMBEDDED


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    served_models.write_all(root)
    return root


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Serves all models; gRPC health and metrics are on, all else is as it is by default."""
    if address := request.config.getoption("--serving-address"):
        host, port, rest_port = address.rsplit(":", 2)
        yield Server(f"{host}:{port}", f"{host}:{rest_port}")
        return
    root: Path = request.getfixturevalue("models")
    flags = [
        f"--model_config_file={root / 'models.config'}",
        f"--monitoring_config_file={root / 'monitoring.config'}",
        "--enable_grpc_healthcheck_service=true",
        "--allow_version_labels_for_unavailable_models=true",
    ]
    with launched(request.getfixturevalue("command"), flags) as running:
        yield running


@pytest.fixture(scope="session")
def ask(server: Server) -> Ask:
    return server.ask


@pytest.fixture(scope="session")
def stubs(server: Server) -> Stubs:
    return server.stubs


@pytest.fixture(scope="session")
def batching(command: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Batches by 4, looks at the disk once, and has every flag that the first server leaves alone."""
    folder = tmp_path_factory.mktemp("batching")
    (folder / "once").mkdir()
    (folder / "once" / "1").symlink_to(models / "half_plus_three" / "1")
    (folder / "cold").mkdir()
    shutil.copytree(models / "half_plus_three" / "1", folder / "cold" / "1")
    (folder / "cold" / "1" / "assets.extra").mkdir()
    text_file(folder / "cold" / "1" / "assets.extra", "tf_serving_warmup_requests", "no record at all")
    listed = [served_models.entry(name, models / name) for name in ("slow", "half_plus_three", "with_signatures")]
    listed += [served_models.entry(name, folder / name) for name in ("once", "cold")]
    flags = [
        f"--model_config_file={text_file(folder, 'models.config', served_models.config(*listed))}",
        "--enable_batching=true",
        f"--grpc_socket_path={folder / 'grpc.sock'}",
        f"--batching_parameters_file={text_file(folder, 'batching.config', BATCHING)}",
        "--file_system_poll_wait_seconds=0",
        "--enable_serialization_as_tensor_content=true",
        "--enable_model_warmup=false",
        "--rest_api_timeout_in_ms=1000",
        "--rest_api_enable_cors_support=true",
        f"--monitoring_config_file={text_file(folder, 'monitoring.config', COUNTED)}",
    ]
    with launched(command, flags) as running:
        running.folder = folder
        yield running


@pytest.fixture(scope="session")
def reloading(command: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Looks at the disk and at its configuration every second, and batches with the default parameters."""
    folder = tmp_path_factory.mktemp("reloading")
    listed = served_models.config(served_models.entry("half_plus_two", models / "half_plus_two"))
    flags = [
        f"--model_config_file={text_file(folder, 'models.config', listed)}",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--enable_batching=true",
    ]
    with launched(command, flags) as running:
        running.folder = folder
        yield running
