"""Errors in the envelope that OpenAI's clients expect."""

from typing import Literal

from serving.http_codes import HTTP_CODES
from serving.requests import ServingError
from serving.studio.schemas import Problem, Refusal

_STATUS = {code.name: status for code, status in HTTP_CODES.items()}
# 400 is for requests that violate their schema; these are valid, but cannot be fulfilled.
_STATUS |= dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 422)


class RequestError(Exception):
    """A request that cannot be fulfilled: one sentence, an HTTP status, and the responsible parameter."""

    def __init__(
        self, message: str, status: int = 422, *, param: str | None = None, code: str = "invalid_argument"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    @classmethod
    def of(cls, error: ServingError) -> "RequestError":
        """The error of the model server."""
        return cls(str(error), _STATUS.get(error.code, 500), code=error.code.lower())

    @property
    def refusal(self) -> Refusal:
        """The body of the response."""
        kind: Literal["server_error", "invalid_request_error"]
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return Refusal(error=Problem(message=str(self), type=kind, param=self.param, code=self.code))
