import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fake_models
import numpy as np
import pytest
from test_versions import until

from serving.client import Client, ServingError
from serving.process import ServerProcess
from serving.server import check_ports
from serving.server.settings import Settings


@pytest.mark.parametrize("flag", ["port", "rest_api_port", "studio_port"])
def test_a_taken_port_is_told_before_anything_loads(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"port": -1, "rest_api_port": -1, "studio_port": -1, flag: taken.getsockname()[1]}
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{ports[flag]}: choose another --{flag}, or -1"):
            check_ports(Settings(models=tmp_path, **ports))


def test_requests_under_way_finish_after_sigterm(tmp_path: Path) -> None:
    fake_models.half_plus(tmp_path / "half_plus_two" / "1", 2.0)
    turns = {"turns": np.array(1_000_000, np.int32)}
    with ServerProcess(tmp_path) as server, Client(server.grpc_address) as client, ThreadPoolExecutor(1) as pool:
        client.predict("half_plus_two", {"turns": np.array(1, np.int32)}, signature="slow")
        waiting = pool.submit(client.predict, "half_plus_two", turns, signature="slow")
        until(lambda: waiting.running())
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        server.signal(signal.SIGTERM)
        until(lambda: "ending: no new requests" in server.log())
        assert waiting.result(60)["y"] == 1_000_000
        with pytest.raises(ServingError):
            client.predict("half_plus_two", turns, signature="slow")
        assert server.stop() == 0
        assert server.log().endswith("stopped\n")
