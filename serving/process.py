"""The embedded server as a child process."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_READY = re.compile(r"^ready: grpc (\S+) rest (\S+)$", re.MULTILINE)
_STUDIO = re.compile(r"^studio: (\S+)$", re.MULTILINE)
_POLL_SECONDS = 0.05


class ServerProcess:
    """A server for a folder of models, on free ports, that runs during a `with` block.

    Args:
        models: a folder of `<model>/<version>/saved_model.pb`, or an address; None if the flags say what to serve.
        poll_seconds: how often the server looks for new versions.
        start_timeout: seconds until the server must be ready.
        flags: further flags of the server.

    Attributes:
        grpc_address: `host:port` for `serving.client.Client`.
        rest_address: `host:port` for HTTP.
        studio_url: URL of the studio with the flag --studio_port=-1; else empty.

    """

    def __init__(
        self,
        models: Path | str | None,
        *,
        poll_seconds: float = 1.0,
        start_timeout: float = 120.0,
        flags: Sequence[str] = (),
    ) -> None:
        self.models = models
        self.poll_seconds = poll_seconds
        self.start_timeout = start_timeout
        self.flags = flags
        self.grpc_address = ""
        self.rest_address = ""
        self.studio_url = ""

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; the message contains the last lines it printed.

        """
        self._output = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(self._command(), stdout=self._output, stderr=subprocess.STDOUT)
        try:
            self.grpc_address, self.rest_address = self._wait_ready()
            studio = _STUDIO.search(self.log())
            self.studio_url = studio[1] if studio else ""
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def log(self) -> str:
        """Return the output of the server so far."""
        # The file position is shared with the server, so reading must not move it.
        return os.pread(self._output.fileno(), 2**24, 0).decode(errors="replace")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal without waiting."""
        self._process.send_signal(number)

    def stop(self, grace: float = 15.0) -> int:
        """Terminate the server and return its exit code; it is killed if it is still running after `grace` seconds."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _close(self) -> None:
        self.stop()
        self._output.close()

    def _command(self) -> list[str]:
        flags = ["--port=-1", "--rest_api_port=-1", f"--file_system_poll_wait_seconds={self.poll_seconds}"]
        if self.models is not None:
            flags.append(f"--models={self.models}")
        return [sys.executable, "-m", "serving.server", *flags, *self.flags]

    def _wait_ready(self) -> tuple[str, str]:
        deadline = time.monotonic() + self.start_timeout
        while not (match := _READY.search(self.log())):
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with code {self._process.returncode}: {self._last_lines()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server was not ready within {self.start_timeout:g} s: {self._last_lines()}")
            time.sleep(_POLL_SECONDS)
        return match[1], match[2]

    def _last_lines(self) -> str:
        return " | ".join(self.log().strip().splitlines()[-5:])
