"""Access control: TLS from an SSLConfig, and bearer tokens."""

import hashlib
import hmac
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode

from serving.server.errors import StatusError
from serving.server.text_protos import read_text_proto
from serving.wire.config_pb2 import SSLConfig

# Health checks have no token.
_OPEN_SERVICES = ("/grpc.health.v1.Health/",)
_WRONG = "This server asks for a bearer token: send `authorization: Bearer TOKEN`, with one that it knows."


def grpc_credentials(path: Path) -> grpc.ServerCredentials:
    """Return the credentials that an SSLConfig file holds.

    Raises:
        ValueError: the file is not such a message, or lacks a key or a certificate.
        OSError: the file cannot be read.

    """
    config = _read(path)
    pair = (config.server_key.encode(), config.server_cert.encode())
    authority = config.custom_ca.encode() or None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=config.client_verify)


def ssl_context(path: Path) -> ssl.SSLContext:
    """Return the same for HTTP, with the same errors as `grpc_credentials`."""
    config = _read(path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=config.custom_ca or None)
    context.verify_mode = ssl.CERT_REQUIRED if config.client_verify else ssl.CERT_NONE
    # The standard library reads keys only from files; the folder is private and deleted immediately.
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder, "chain.pem")
        chain.write_text(f"{config.server_key}\n{config.server_cert}\n")
        try:
            context.load_cert_chain(chain)
        except ssl.SSLError as error:
            raise ValueError(f"{path} holds no key and certificate that fit together: {error}") from error
    return context


class Tokens:
    """The bearer tokens that a server accepts.

    Args:
        path: a file with one token per line; empty lines and lines that begin with # are ignored.

    Raises:
        ValueError: the file contains no token, so that nobody would have access.
        OSError: the file cannot be read.

    """

    def __init__(self, path: Path) -> None:
        lines = [line.strip() for line in path.read_text().splitlines()]
        self._known = [_digest(line) for line in lines if line and not line.startswith("#")]
        if not self._known:
            raise ValueError(f"{path} holds no token: write one a line")

    def check(self, authorization: str) -> None:
        """Raise UNAUTHENTICATED unless the header contains a known token."""
        scheme, _, token = authorization.partition(" ")
        shown = _digest(token.strip())
        # All tokens are compared in constant time, so that the response time reveals nothing.
        known = [hmac.compare_digest(shown, each) for each in self._known]
        if scheme.lower() != "bearer" or not any(known):
            raise StatusError(StatusCode.UNAUTHENTICATED, _WRONG)


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Requires a known token for gRPC calls."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """Return the handler of the call, or one that refuses it."""
        if details.method.startswith(_OPEN_SERVICES):
            return await continuation(details)
        try:
            self._tokens.check(dict(details.invocation_metadata).get("authorization", ""))
        except StatusError as error:
            return grpc.unary_unary_rpc_method_handler(_refusing(error))
        return await continuation(details)


def _refusing(error: StatusError) -> Callable[[Any, Any], Awaitable[None]]:
    async def refuse(request: Any, context: Any) -> None:
        await context.abort(error.code, error.grpc_details)

    return refuse


def _read(path: Path) -> SSLConfig:
    config = read_text_proto(path, SSLConfig)
    if not config.server_key or not config.server_cert:
        raise ValueError(f"{path} needs server_key and server_cert, both as PEM")
    if config.client_verify and not config.custom_ca:
        raise ValueError(f"{path} sets client_verify, which needs custom_ca: the authority of the clients, as PEM")
    return config


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
