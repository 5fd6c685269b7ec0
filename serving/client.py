"""Ask a server for pictures: `Client("localhost:8500").generate("a red circle")[0].image`.

The client needs NumPy, Pillow, gRPC and protobuf, and speaks to TensorFlow Serving and the embedded server alike.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message
from PIL import Image

from serving.tensors import strings, to_array, to_proto
from serving.wire import serving_pb2 as wire

# The same as in the models themselves, so that leaving an option out and naming its default draw the same picture.
TEMPERATURE = 0.3
ESTIMATE_NOISE = -1.0

# A batch of pictures soon passes the default limit of 4 MB, and a proxy for the web would hide a server nearby.
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]

ImageLike: TypeAlias = Image.Image | bytes | str | Path
Inputs: TypeAlias = Mapping[str, np.ndarray]
Request: TypeAlias = wire.PredictRequest | wire.GetModelMetadataRequest | wire.GetModelStatusRequest
Spec: TypeAlias = dict[str, tuple[str, tuple[int | None, ...] | None]]
Response = TypeVar("Response", bound=Message)


class ServingError(Exception):
    """What went wrong and what to do about it, in one sentence; `code` is the gRPC status name, such as NOT_FOUND."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Picture:
    """One generated picture.

    Attributes:
        png: the encoded picture, as the server sent it.
        prompt: what was asked for.
        expanded_prompt: the full caption that was drawn.
        seed: with the prompt, it names the picture: the same two give the same picture.

    """

    png: bytes
    prompt: str
    expanded_prompt: str
    seed: int

    @property
    def image(self) -> Image.Image:
        """The decoded picture."""
        return _decode(self.png)

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class Signature:
    """What a signature takes and gives: by name, the dtype and the shape (None where a size, or the rank, is open)."""

    inputs: Spec
    outputs: Spec


class Client:
    """A connection to one server, opened at the first call and reused; safe to share between threads.

    Args:
        address: `host:port` of the server's gRPC port.
        timeout: seconds that a call may take; None waits for ever.

    """

    def __init__(self, address: str = "localhost:8500", *, timeout: float | None = 60.0) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._predict = self._method("PredictionService/Predict", wire.PredictResponse)
        self._metadata = self._method("PredictionService/GetModelMetadata", wire.GetModelMetadataResponse)
        self._status = self._method("ModelService/GetModelStatus", wire.GetModelStatusResponse)

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
        temperature: float | None = None,
        expand: bool = True,
        refine: bool = True,
    ) -> list[Picture]:
        """Draw one picture for each prompt.

        Args:
            prompt: one prompt or several.
            seed: one seed for all, or one for each prompt; several seeds for one prompt give several pictures of it.
            temperature: how freely the prompt is expanded, from 0 (always the likeliest word); None stands for
                0.3, as in the model.
            expand: let the language model complete the prompt to a full caption.
            refine: let the restorer clean the picture.

        Raises:
            ServingError: the server cannot be reached or refuses, or the numbers of prompts and seeds do not fit.

        """
        prompts, seeds = _paired(prompt, seed)
        inputs: dict[str, np.ndarray] = {"prompt": strings(prompts), "seed": np.array(seeds, np.int64)}
        if temperature is None and expand and refine:
            outputs = self.predict("text_to_image", inputs)
        else:
            warmth = TEMPERATURE if temperature is None else temperature
            count = len(prompts)
            inputs |= {
                "temperature": np.full(count, warmth, np.float32),
                "expand": np.full(count, expand),
                "refine": np.full(count, refine),
            }
            outputs = self.predict("text_to_image", inputs, signature="options")
        drawn = zip(outputs["image_bytes"], prompts, outputs["expanded_prompt"], seeds, strict=True)
        return [Picture(png, asked, caption.decode(), at) for png, asked, caption, at in drawn]

    def restore(
        self, image: ImageLike, *, mask: ImageLike | None = None, noise_sigma: float | None = None
    ) -> Image.Image:
        """Clean one picture, and fill its holes where a mask is given.

        Args:
            image: a picture, its encoded bytes, or its path.
            mask: the same size, white where the picture has a hole.
            noise_sigma: standard deviation of the noise in grey levels of 0..255; None lets the model estimate it.

        Raises:
            ServingError: the server cannot be reached or refuses the picture.
            OSError: a path that cannot be read.

        """
        sigma = ESTIMATE_NOISE if noise_sigma is None else noise_sigma
        inputs = {"image_bytes": strings([_encode(image, "RGB")]), "noise_sigma": np.array([sigma], np.float32)}
        if mask is None:
            return _decode(self.predict("restorer", inputs)["image_bytes"][0])
        inputs["mask_bytes"] = strings([_encode(mask, "L")])
        return _decode(self.predict("restorer", inputs, signature="inpaint")["image_bytes"][0])

    def continue_prompt(self, prompt: str, *, seed: int = 0, temperature: float = TEMPERATURE) -> str:
        """Complete a prompt to a full caption.

        Raises:
            ServingError: the server cannot be reached or refuses.

        """
        inputs = {
            "prompt": strings([prompt]),
            "seed": np.array([seed], np.int64),
            "temperature": np.array([temperature], np.float32),
        }
        text: bytes = self.predict("language_model", inputs)["text"][0]
        return text.decode()

    def predict(self, model: str, inputs: Inputs, *, signature: str = "serving_default") -> dict[str, np.ndarray]:
        """Call any signature of any model; strings go and come as object arrays of str or bytes.

        Raises:
            ServingError: the server cannot be reached or refuses.
            TypeError: an input whose dtype no tensor can hold.

        """
        request = wire.PredictRequest(model_spec=wire.ModelSpec(name=model, signature_name=signature))
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(array))
        response = self._predict(request)
        return {name: to_array(tensor) for name, tensor in response.outputs.items()}

    def status(self, model: str) -> list[tuple[int, str]]:
        """Return the versions of a model that the server knows, newest first, as pairs such as `(3, "AVAILABLE")`.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        return [(version, state) for version, state, _ in self.version_states(model)]

    def version_states(self, model: str) -> list[tuple[int, str, str]]:
        """Return the versions as `status` does, each with its error message, empty where all is well.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        request = wire.GetModelStatusRequest(model_spec=wire.ModelSpec(name=model))
        name = wire.ModelVersionStatus.State.Name
        versions = self._status(request).model_version_status
        return [(entry.version, name(entry.state), entry.status.error_message) for entry in versions]

    def signatures(self, model: str) -> dict[str, Signature]:
        """Return what each signature of a model takes and gives.

        Raises:
            ServingError: the server cannot be reached or has no such model.

        """
        spec = wire.ModelSpec(name=model)
        request = wire.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        packed = self._metadata(request).metadata["signature_def"].value
        definitions = wire.SignatureDefMap.FromString(packed).signature_def.items()
        return {
            name: Signature(_spec(each.inputs), _spec(each.outputs))
            for name, each in definitions
            if not name.startswith("__")
        }

    def _method(self, path: str, response: type[Response]) -> Callable[[Request], Response]:
        call = self._channel.unary_unary(
            f"/tensorflow.serving.{path}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

        def method(request: Request) -> Response:
            try:
                return call(request, timeout=self.timeout)
            except grpc.RpcError as error:
                raise self._explained(error, request.model_spec.name) from None

        return method

    def _explained(self, error: grpc.RpcError, model: str) -> ServingError:
        code, details = error.code().name, error.details()
        sentences = {
            "UNAVAILABLE": f"no server answers at {self.address}: start one with `easel serve`, or give its address",
            "NOT_FOUND": f'the server at {self.address} does not serve "{model}" ({details}): '
            "check the name against the lines that the server printed at its start",
            "DEADLINE_EXCEEDED": f'"{model}" gave no answer within {self.timeout} s: give the client a longer timeout '
            "or ask for fewer pictures at once",
        }
        return ServingError(sentences.get(code, f'the server refused the request to "{model}": {details}'), code)


def _paired(prompt: str | Sequence[str], seed: int | Sequence[int]) -> tuple[list[str], list[int]]:
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    seeds = np.atleast_1d(seed).tolist()
    count = max(len(prompts), len(seeds))
    if not prompts or not seeds or len(prompts) not in (1, count) or len(seeds) not in (1, count):
        raise ServingError(
            f"{len(prompts)} prompts and {len(seeds)} seeds do not fit together: give one seed, or one for each prompt",
            "INVALID_ARGUMENT",
        )
    return prompts * (count // len(prompts)), seeds * (count // len(seeds))


def _encode(image: ImageLike, mode: str) -> bytes:
    if isinstance(image, bytes):
        return image
    if not isinstance(image, Image.Image):
        return Path(image).read_bytes()
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def _decode(encoded: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(encoded))
    image.load()
    return image


def _spec(tensors: Mapping[str, wire.TensorInfo]) -> Spec:
    return {name: (wire.DataType.Name(each.dtype)[3:].lower(), _shape(each)) for name, each in tensors.items()}


def _shape(info: wire.TensorInfo) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
