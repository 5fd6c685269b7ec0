"""Refusals, in the envelope that OpenAI's clients read."""

from typing import Literal

from serving.http_codes import HTTP_CODES
from serving.requests import ServingError
from serving.studio.schemas import Problem, Refusal

_STATUS = {code.name: status for code, status in HTTP_CODES.items()}
# 400 is for requests that break the schemas; these keep them, and still ask for what cannot be done.
_STATUS |= dict.fromkeys(("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"), 422)


class RequestError(Exception):
    """A request that cannot be answered: one sentence, an HTTP status, and the parameter at fault."""

    def __init__(
        self, message: str, status: int = 422, *, param: str | None = None, code: str = "invalid_argument"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    @classmethod
    def of(cls, error: ServingError) -> "RequestError":
        """What the model server said."""
        return cls(str(error), _STATUS.get(error.code, 500), code=error.code.lower())

    @property
    def refusal(self) -> Refusal:
        """The body."""
        kind: Literal["server_error", "invalid_request_error"]
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return Refusal(error=Problem(message=str(self), type=kind, param=self.param, code=self.code))
