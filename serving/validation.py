"""Check that SavedModels can be served before they are pushed.

On the command line: `python -m serving.validation MODEL_DIR --name text_to_image`.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.client import Client, ServingError
from serving.process import ServerProcess
from serving.warmup import WARMUP_FILE, read_warmup


@dataclass(frozen=True)
class Verdict:
    """Whether models can be served.

    Attributes:
        ok: whether all models were loaded and every request was answered with the outputs of its signature.
        reason: one sentence that states what was checked, or what failed and what to do.
        requests: number of answered requests.
        median_ms: median latency in milliseconds, measured by a client on the same machine; 0 without any answer.

    """

    ok: bool
    reason: str
    requests: int
    median_ms: float


def validate(models: Mapping[str, Path], *, timeout_s: float = 300.0) -> Verdict:
    """Serve exported SavedModels in a separate process, and send each its warm-up requests over gRPC.

    Args:
        models: folders with a `saved_model.pb`, by the names under which they are served.
        timeout_s: seconds for the start, and again for each answer.

    """
    try:
        requests = {name: _requests(folder) for name, folder in models.items()}
        with tempfile.TemporaryDirectory() as folder, _server(models, Path(folder), timeout_s) as server:
            return _verdict(server, requests, timeout_s)
    except (OSError, ValueError, RuntimeError, ServingError) as error:
        return Verdict(False, str(error), 0, 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict as one line of JSON; exit code 0 if the model can be served, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.validation", description="Check that a SavedModel can be served."
    )
    parser.add_argument("model_dir", type=Path, help="the folder that holds saved_model.pb")
    parser.add_argument("--name", default="model", help="the name to serve it under")
    parser.add_argument("--timeout_s", type=float, default=300.0, help="seconds for the start and for each answer")
    options = parser.parse_args(arguments)
    verdict = validate({options.name: options.model_dir}, timeout_s=options.timeout_s)
    print(json.dumps(dataclasses.asdict(verdict)))
    return 0 if verdict.ok else 1


def _requests(model_dir: Path) -> list[PredictRequest]:
    if not (model_dir / "saved_model.pb").is_file():
        raise ValueError(f"{model_dir} holds no saved_model.pb: export the model first")
    requests = read_warmup(model_dir)
    if not requests:
        raise ValueError(f"{model_dir} holds no requests in {WARMUP_FILE}: write some with serving.warmup.write_warmup")
    return requests


def _server(models: Mapping[str, Path], folder: Path, timeout_s: float) -> ServerProcess:
    """Return a server for these models, which are linked, not copied."""
    for name, model_dir in models.items():
        (folder / name).mkdir()
        (folder / name / "1").symlink_to(model_dir.resolve(), target_is_directory=True)
    return ServerProcess(folder, start_timeout=timeout_s)


def _verdict(server: ServerProcess, requests: Mapping[str, list[PredictRequest]], timeout_s: float) -> Verdict:
    with Client(server.grpc_address, timeout=timeout_s) as client:
        for name in requests:
            _, state, message = client.version_states(name)[0]
            if state != "AVAILABLE":
                return Verdict(False, f'"{name}" does not load: {message}', 0, 0.0)
        times = [_answer_time(client, name, request) for name, asked in requests.items() for request in asked]
    median = round(1000 * statistics.median(times), 3)
    served = " and ".join(f'"{name}"' for name in requests)
    return Verdict(True, f"{served} answered {len(times)} warm-up requests", len(times), median)


def _answer_time(client: Client, name: str, request: PredictRequest) -> float:
    """Latency in seconds; raises ValueError if the response lacks an output of the signature."""
    signature = request.model_spec.signature_name or "serving_default"
    inputs = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
    start = time.perf_counter()
    outputs = client.predict(name, inputs, signature=signature)
    elapsed = time.perf_counter() - start
    expected = client.signatures(name)[signature].outputs
    if set(outputs) != set(expected):
        raise ValueError(f'"{name}" {signature} answered with {sorted(outputs)} instead of {sorted(expected)}')
    return elapsed


if __name__ == "__main__":
    sys.exit(main())
