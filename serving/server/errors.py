"""Errors of requests, with codes for gRPC and HTTP."""

import logging
import re
from pathlib import Path

import grpc
from grpc import StatusCode

from serving.http_codes import HTTP_CODES

_LOG = logging.getLogger(__name__)

_BY_NUMBER = {code.value[0]: code for code in StatusCode}
_LONGEST_GRPC_MESSAGE = 1024
# TensorFlow's messages contain the location in the graph, which is noise to clients and leaks file names.
_GRAPH_NOISE = re.compile(r"\s|Graph execution error|Detected at node|<stack traces|File ")
_GRAPH_PLACES = re.compile(r"\{\{(function_)?node [^}]*\}\}\s*|\s*\[\[[^\]]*\]\]|\s*\[Op:\w+\]$")


class StatusError(Exception):
    """A request that cannot be answered, or a version that cannot be loaded."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> str:
        """The code and the message, in the format of a TensorFlow status."""
        return f"{self.code.name}: {self.message}"

    @property
    def http_code(self) -> int:
        """The HTTP status of the code; 500 for codes that are not in the table."""
        return HTTP_CODES.get(self.code, 500)

    @property
    def number(self) -> int:
        """The number of the code, the same in gRPC and in TensorFlow."""
        return int(self.code.value[0])

    @property
    def grpc_details(self) -> str:
        """The message, truncated to the size limit of gRPC's trailing headers."""
        cut = self.message[:_LONGEST_GRPC_MESSAGE]
        return self.message if cut == self.message else f"{cut}...TRUNCATED"


def invalid(message: str) -> StatusError:
    """Return the error for an invalid request."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


def as_status_error(error: Exception) -> StatusError:
    """Convert any error from loading or running a model to one with a code."""
    if isinstance(error, StatusError):
        return error
    # TensorFlow's own errors have such a number; to name their class would import TensorFlow, which takes seconds.
    number = getattr(error, "error_code", None)
    if number is not None:
        return StatusError(_BY_NUMBER.get(number, StatusCode.UNKNOWN), _cleaned(str(getattr(error, "message", error))))
    if isinstance(error, OSError) and error.strerror:
        file = f"{Path(error.filename).name}: " if isinstance(error.filename, str) else ""
        return StatusError(StatusCode.INTERNAL, f"{file}{error.strerror}")
    # The message is for the operator: it may contain file names, and clients cannot fix the problem.
    _LOG.error("the server failed", exc_info=error)
    return StatusError(StatusCode.INTERNAL, "The server failed at this; its log says why.")


def _cleaned(message: str) -> str:
    lines = [line for line in message.splitlines() if line and not _GRAPH_NOISE.match(line)]
    return _GRAPH_PLACES.sub("", " ".join(lines) or message)
