"""Request pictures from a server: `Client("localhost:8500").generate("a red house")[0].image`.

`AsyncClient` has the same methods as coroutines. Both need gRPC, protobuf and Pillow (and NumPy for `predict`), and
work with TensorFlow Serving and the embedded server.
"""

import asyncio
import copy
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

import grpc
from google.protobuf.message import Message

from models.options import TEMPERATURE, DrawingOptions
from serving import requests
from serving.requests import Ask, Facts, ImageLike, Inputs, Picture, ServingError, Signature
from serving.wire import serving_pb2 as wire

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

__all__ = ["AsyncClient", "Client", "Credentials", "Facts", "Picture", "ServingError", "Signature"]

Answer = TypeVar("Answer")
Response = TypeVar("Response", bound=Message)

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
# gRPC retries with exponential backoff, within the deadline, if the server is unreachable or its queue is full.
_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_OPTIONS = [
    # Batches of pictures exceed the default limit of 4 MB.
    ("grpc.max_receive_message_length", -1),
    # A web proxy could not reach a server on the local network.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _RETRY}]})),
]


@dataclass(frozen=True)
class Credentials:
    """Credentials for a server; everything except the token is the contents of a PEM file.

    Attributes:
        token: the bearer token.
        authority: the certificate of the authority that signed the server's, or empty bytes for those of the system;
            None for no TLS.
        key: the client's private key, if the server requires client certificates.
        certificate: the client's certificate.

    """

    token: str = ""
    authority: bytes | None = None
    key: bytes | None = None
    certificate: bytes | None = None

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The metadata of every call."""
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    @property
    def channel(self) -> grpc.ChannelCredentials | None:
        """The credentials of the channel; None for an insecure one."""
        if self.authority is None and self.key is None:
            return None
        return grpc.ssl_channel_credentials(self.authority or None, self.key, self.certificate)


class Client:
    """A connection to a server, opened by the first call and then reused; safe to share between threads.

    A call is retried within its timeout if the server is unreachable or busy.

    Args:
        address: `host:port` of the server's gRPC port.
        timeout: seconds for a call, including retries; None for no limit.
        credentials: a bearer token and TLS; None for an insecure server.

    """

    def __init__(
        self,
        address: str = "localhost:8500",
        *,
        timeout: float | None = 60.0,
        credentials: Credentials | None = None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._credentials = credentials or Credentials()
        opened = self._credentials.channel
        self._channel = (
            grpc.secure_channel(address, opened, options=_OPTIONS)
            if opened
            else grpc.insecure_channel(address, options=_OPTIONS)
        )
        self._stubs: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the client cannot be used again."""
        self._channel.close()

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        seed: int | Sequence[int] = 0,
        label: str = "",
        version: int | None = None,
        **options: Unpack[DrawingOptions],
    ) -> list[Picture]:
        """Draw one picture for each prompt.

        Args:
            prompt: one prompt or several.
            seed: one seed for all, or one for each prompt; several seeds for one prompt give several pictures of it.
                Any 64 bits: those from 2^63 on are the same seeds as the negative ones.
            label: the label of the version that draws, such as `canary`; empty for the newest.
            version: its number, which goes before a label.
            options: how to draw, such as `temperature=0.5` or `scale=4`; `models.options` lists them, with their
                defaults and ranges.

        Raises:
            ServingError: the server cannot be reached or refuses, an option is out of its range, or the numbers of
                prompts and seeds do not fit.
            TypeError: there is no such option.

        """
        return self._predict(requests.generate(prompt, seed, label, version, **options))

    def facts(self, *, languages: Sequence[str] = ("en", "zh"), label: str = "") -> Facts:
        """Return the size of the pictures that the model draws, and example prompts.

        Args:
            languages: language codes of the prompts.
            label: the label of the version to ask; empty for the newest.

        Raises:
            ServingError: the server cannot be reached or refuses; FAILED_PRECONDITION if the model was exported by an
                earlier release and lacks the signature.

        """
        return self._predict(requests.facts(languages, label))

    def restore(
        self,
        image: ImageLike,
        *,
        mask: "ImageLike | None" = None,
        noise_sigma: float | None = None,
        blur_sigma: float = 0.0,
        label: str = "",
    ) -> "Image.Image":
        """Denoise a picture; with a mask also fill its holes, with a blur also sharpen it.

        Args:
            image: a picture, its encoded bytes, or its path, in any format that `serving.images` reads; it is turned
                upright, converted to sRGB and composited on white.
            mask: a picture of the same size; the transparent or white part is the hole.
            noise_sigma: standard deviation of the noise in grey levels of 0..255; None lets the model estimate it.
            blur_sigma: standard deviation of the blur in pixels, 0 to 2; not with a mask.
            label: the label of the version that restores; empty for the newest.

        Returns:
            An RGB picture of the same size; its `info["model_version"]` is the version that restored.

        Raises:
            ValueError: a mask and a blur are given.
            ServingError: a picture cannot be read, the mask has no hole, the server cannot be reached or refuses.
            OSError: a path that cannot be read.

        """
        return self._predict(requests.restore(image, mask, noise_sigma, blur_sigma, label))

    def enlarge(self, image: ImageLike, *, label: str = "") -> "Image.Image":
        """Upscale a picture to twice its size.

        Args:
            image: as in `restore`.
            label: the label of the version to use; empty for the newest.

        Raises:
            ServingError: the picture cannot be read, the server cannot be reached or refuses.
            OSError: a path that cannot be read.

        """
        return self._predict(requests.enlarge(image, label))

    def continue_prompt(
        self,
        prompt: str,
        *,
        seed: int = 0,
        temperature: float = TEMPERATURE.default,
        length: int | None = None,
        label: str = "",
    ) -> str:
        """Complete a prompt to a full caption.

        Args:
            prompt: the beginning of the caption.
            seed: the same prompt and seed give the same caption.
            temperature: sampling temperature; 0 always takes the likeliest word.
            length: maximum number of tokens to add; None for as many as fit into a caption.
                A shorter length gives the beginning of the result of a longer one.
            label: the label of the version to use; empty for the newest.

        Raises:
            ServingError: the server cannot be reached or refuses.

        """
        return self._predict(requests.continue_prompt(prompt, seed, temperature, length, label))

    def predict(
        self, model: str, inputs: Inputs, *, signature: str = "serving_default", label: str = ""
    ) -> "dict[str, np.ndarray]":
        """Call any signature of any model; strings are object arrays of str or bytes.

        Raises:
            ServingError: the server cannot be reached or refuses.
            TypeError: an input whose dtype no tensor can hold.

        """
        return self._predict(requests.predict(model, inputs, signature, label))

    def status(self, model: str) -> list[tuple[int, str]]:
        """Return the versions of a model that the server knows, newest first, as pairs such as `(3, "AVAILABLE")`.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        return [(version, state) for version, state, _ in self.version_states(model)]

    def version_states(self, model: str) -> list[tuple[int, str, str]]:
        """Return the versions as `status` does, each with its error message, which is empty if there is no error.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        response = self._call(_STATUS, model, requests.status(model), wire.GetModelStatusResponse)
        return requests.read_status(response)

    def signatures(self, model: str) -> dict[str, Signature]:
        """Return the inputs and outputs of each signature of a model.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        response = self._call(_METADATA, model, requests.metadata(model), wire.GetModelMetadataResponse)
        return requests.read_signatures(response)

    def _predict(self, ask: Ask[Answer]) -> Answer:
        return ask.read(self._call(_PREDICT, ask.request.model_spec.name, ask.request, wire.PredictResponse))

    def _call(self, path: str, model: str, request: Message, response: type[Response]) -> Response:
        if path not in self._stubs:
            self._stubs[path] = _stub(self._channel, path, response)
        try:
            return self._stubs[path](request, timeout=self.timeout, metadata=self._credentials.metadata)
        except grpc.RpcError as error:
            raise _explained(error, model, self.address, self.timeout) from None


class AsyncClient:
    """`Client` with coroutines, for the event loop in which it is first used.

    Args:
        address: `host:port` of the server's gRPC port.
        timeout: seconds for a call, including retries; None for no limit.
        credentials: a bearer token and TLS; None for an insecure server.

    """

    def __init__(
        self,
        address: str = "localhost:8500",
        *,
        timeout: float | None = 60.0,
        credentials: Credentials | None = None,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._credentials = credentials or Credentials()
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._opened:
            await self._opened.close()
            self._opened = None

    def with_token(self, token: str) -> Self:
        """Return a client with another token on the same connection; closing either closes both."""
        self._channel()
        other = copy.copy(self)
        other._credentials = dataclasses.replace(self._credentials, token=token)
        return other

    async def generate(
        self,
        prompt: str | Sequence[str],
        *,
        seed: int | Sequence[int] = 0,
        label: str = "",
        version: int | None = None,
        **options: Unpack[DrawingOptions],
    ) -> list[Picture]:
        """As `Client.generate`."""
        return await self._predict(requests.generate(prompt, seed, label, version, **options))

    async def facts(self, *, languages: Sequence[str] = ("en", "zh"), label: str = "") -> Facts:
        """As `Client.facts`."""
        return await self._predict(requests.facts(languages, label))

    async def restore(
        self,
        image: ImageLike,
        *,
        mask: "ImageLike | None" = None,
        noise_sigma: float | None = None,
        blur_sigma: float = 0.0,
        label: str = "",
    ) -> "Image.Image":
        """As `Client.restore`."""
        # Decoding and encoding pictures would block the event loop.
        ask = await asyncio.to_thread(requests.restore, image, mask, noise_sigma, blur_sigma, label)
        return await self._predict(ask)

    async def enlarge(self, image: ImageLike, *, label: str = "") -> "Image.Image":
        """As `Client.enlarge`."""
        return await self._predict(await asyncio.to_thread(requests.enlarge, image, label))

    async def continue_prompt(
        self,
        prompt: str,
        *,
        seed: int = 0,
        temperature: float = TEMPERATURE.default,
        length: int | None = None,
        label: str = "",
    ) -> str:
        """As `Client.continue_prompt`."""
        return await self._predict(requests.continue_prompt(prompt, seed, temperature, length, label))

    async def predict(
        self, model: str, inputs: Inputs, *, signature: str = "serving_default", label: str = ""
    ) -> "dict[str, np.ndarray]":
        """As `Client.predict`."""
        return await self._predict(requests.predict(model, inputs, signature, label))

    async def status(self, model: str) -> list[tuple[int, str]]:
        """As `Client.status`."""
        return [(version, state) for version, state, _ in await self.version_states(model)]

    async def version_states(self, model: str) -> list[tuple[int, str, str]]:
        """As `Client.version_states`."""
        response = await self._call(_STATUS, model, requests.status(model), wire.GetModelStatusResponse)
        return requests.read_status(response)

    async def signatures(self, model: str) -> dict[str, Signature]:
        """As `Client.signatures`."""
        response = await self._call(_METADATA, model, requests.metadata(model), wire.GetModelMetadataResponse)
        return requests.read_signatures(response)

    async def _predict(self, ask: Ask[Answer]) -> Answer:
        return ask.read(await self._call(_PREDICT, ask.request.model_spec.name, ask.request, wire.PredictResponse))

    async def _call(self, path: str, model: str, request: Message, response: type[Response]) -> Response:
        call = _stub(self._channel(), path, response)
        try:
            return await call(request, timeout=self.timeout, metadata=self._credentials.metadata)
        except grpc.RpcError as error:
            raise _explained(error, model, self.address, self.timeout) from None

    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:
            credentials = self._credentials.channel
            self._opened = (
                grpc.aio.secure_channel(self.address, credentials, options=_OPTIONS)
                if credentials
                else grpc.aio.insecure_channel(self.address, options=_OPTIONS)
            )
        return self._opened


def _stub(channel: Any, path: str, response: type[Response]) -> Callable[..., Any]:
    return channel.unary_unary(
        path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=response.FromString
    )


def _explained(error: grpc.RpcError, model: str, address: str, timeout: float | None) -> ServingError:
    code, details = error.code().name, error.details() or ""
    sentences = {
        "UNAVAILABLE": _unavailable(address, details),
        "NOT_FOUND": f'the server at {address} does not serve "{model}" ({details}): '
        "check the name against the lines that the server printed at its start",
        "DEADLINE_EXCEEDED": f'"{model}" gave no answer within {timeout} s: give the client a longer timeout '
        "or ask for fewer pictures at once",
        "UNAUTHENTICATED": f"the server at {address} asks for a token: give Credentials(token=...)",
    }
    return ServingError(sentences.get(code, f'the server refused the request to "{model}": {details}'), code)


def _unavailable(address: str, details: str) -> str:
    if "queue" in details:
        return f"the server at {address} is too busy ({details}): ask again later, or less at once"
    if "http1.x" in details:
        return f"{address} speaks HTTP/1 and not gRPC: give the server's gRPC port, such as localhost:8500"
    if address.startswith(("http://", "https://")):
        return f"{address} is a URL: give host:port of the server's gRPC port, such as localhost:8500"
    return f"no server answers at {address}: start one with `easel serve`, or give its address"
