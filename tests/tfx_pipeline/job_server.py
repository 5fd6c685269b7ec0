"""A job server for Beam's PortableRunner, to test with: `python job_server.py --host HOST --port PORT`.

It is Beam's own, with two additions, which Flink and Spark have ways of their own for. `environment_config` may name
several worker pools with commas between them, each of which works on its part of every step; and a worker that dies, or
never comes up, ends its job, which would wait for it forever.
"""

import argparse
import logging
import signal
import sys
import threading
from typing import Any

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_job_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer

PATIENCE = 180.0
"""Seconds that a worker has to come up: it imports TensorFlow first."""


def pools_of(environment: beam_runner_api_pb2.Environment) -> list[str]:
    """The worker pools of an environment; none if its workers are others."""
    if environment.urn != common_urns.environments.EXTERNAL.urn:
        return []
    return beam_runner_api_pb2.ExternalPayload.FromString(environment.payload).endpoint.url.split(",")


class Job(BeamJob):
    """One pipeline of Beam's, with a worker in each pool; Beam's own has one worker."""

    def _invoke_runner(self) -> Any:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
        environments = self._pipeline_proto.components.environments.values()
        runner._num_workers = max(1, *(len(pools_of(environment)) for environment in environments))
        return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())


class JobServer(LocalJobServicer):
    """Beam's job server, at an address that other machines reach."""

    def __init__(self, host: str) -> None:
        super().__init__(beam_job_type=Job)
        self.host = host

    def get_service_address(self) -> str:
        """Where clients and workers find it."""
        return self.host


class Connection(worker_handlers.ControlConnection):
    """What the job server asks of a worker, and is told by it; a dead worker answers everything with an error."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = ""
        timer = threading.Timer(PATIENCE, self.check)
        timer.daemon = True
        timer.start()

    def check(self) -> None:
        """Give a worker up that has not come."""
        if self._state == worker_handlers.BeamFnControlServicer.UNSTARTED_STATE:
            self.give_up(f"A Beam worker did not come up within {PATIENCE:.0f} seconds.")

    def push(self, request: Any) -> Any:
        """Ask, or answer for a worker that is gone."""
        future = super().push(request)
        if self.gone:
            self.give_up(self.gone)
        return future

    def _read(self) -> None:
        try:
            super()._read()
        except grpc.RpcError:
            self.give_up("A Beam worker has died.")

    def give_up(self, reason: str) -> None:
        """Answer all that is open."""
        self.gone = reason
        for name in list(self._futures_by_id):
            if future := self._futures_by_id.pop(name, None):
                future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=name, error=reason))


def serve(host: str, port: int) -> int:
    """Start a job server.

    Args:
        host: The name or address of this machine, by which workers reach it.
        port: For clients; 0 takes a free one.

    Returns:
        The port.
    """
    # Beam has no other place to put one's own.
    worker_handlers.ControlConnection = Connection

    @worker_handlers.WorkerHandler.register_environment(
        common_urns.environments.EXTERNAL.urn, beam_runner_api_pb2.ExternalPayload
    )
    class Pools(worker_handlers.ExternalWorkerHandler):
        def start_worker(self) -> None:
            pools = self._external_payload.endpoint.url.split(",")
            # The ids are numbers in a row.
            self._external_payload.endpoint.url = pools[int(self.worker_id.rpartition("_")[2]) % len(pools)]
            super().start_worker()

        def host_from_worker(self) -> str:
            return host

    return int(JobServer(host).start_grpc_server(port))


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="localhost", help="the address of this machine, by which workers reach it")
    parser.add_argument("--port", type=int, default=8099, help="where `--beam-option job_endpoint` points")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"A Beam job server listens at {options.host}:{serve(options.host, options.port)}.", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
