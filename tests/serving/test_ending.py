import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fake_models
import numpy as np
import pytest
from test_versions import until

from serving.client import Client, ServingError
from serving.process import ServerProcess


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
